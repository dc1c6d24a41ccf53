//! Which Java exception a [`SparkError`] stands for: PySpark picks its own exception class by
//! the names in this hierarchy.

use millstream_engine::{SparkError, error::ExceptionKind};

/// The exception's class and its parents, as `Class.getName` prints them, up to `Object`.
pub fn class_hierarchy(error: &SparkError) -> &'static [&'static str] {
    if is_handle_error(error) {
        return &[
            "org.apache.spark.SparkSQLException",
            "java.sql.SQLException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ];
    }
    if error.class().starts_with("CONNECT_INVALID_PLAN") {
        return &[
            "org.apache.spark.sql.connect.common.InvalidPlanInput",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ];
    }
    match error.kind() {
        ExceptionKind::Analysis => &[
            "org.apache.spark.sql.catalyst.ExtendedAnalysisException",
            "org.apache.spark.sql.AnalysisException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Parse => &[
            "org.apache.spark.sql.catalyst.parser.ParseException",
            "org.apache.spark.sql.AnalysisException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::IllegalArgument => &[
            "org.apache.spark.SparkIllegalArgumentException",
            "java.lang.IllegalArgumentException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Arithmetic => &[
            "org.apache.spark.SparkArithmeticException",
            "java.lang.ArithmeticException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::DateTime => &[
            "org.apache.spark.SparkDateTimeException",
            "java.time.DateTimeException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::NumberFormat => &[
            "org.apache.spark.SparkNumberFormatException",
            "java.lang.NumberFormatException",
            "java.lang.IllegalArgumentException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::ArrayIndex => &[
            "org.apache.spark.SparkArrayIndexOutOfBoundsException",
            "java.lang.ArrayIndexOutOfBoundsException",
            "java.lang.IndexOutOfBoundsException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Runtime => &[
            "org.apache.spark.SparkRuntimeException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Unsupported => &[
            "org.apache.spark.SparkUnsupportedOperationException",
            "java.lang.UnsupportedOperationException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::StreamingQuery => &[
            "org.apache.spark.sql.streaming.StreamingQueryException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::NoSuchElement => &[
            "org.apache.spark.SparkNoSuchElementException",
            "java.util.NoSuchElementException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Concurrent => &[
            "org.apache.spark.SparkConcurrentModificationException",
            "java.util.ConcurrentModificationException",
            "java.lang.RuntimeException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
        ExceptionKind::Spark => &[
            "org.apache.spark.SparkException",
            "java.lang.Exception",
            "java.lang.Throwable",
            "java.lang.Object",
        ],
    }
}

/// Errors about handles, cursors and cancelled operations are `SparkSQLException` in Spark.
fn is_handle_error(error: &SparkError) -> bool {
    ["INVALID_HANDLE", "INVALID_CURSOR", "OPERATION_CANCELED", "INVALID_CLONE_SESSION_REQUEST"]
        .iter()
        .any(|main| error.class().split('.').next() == Some(main))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_condition_has_a_hierarchy_that_ends_at_object() {
        for condition in millstream_engine::error::conditions::CONDITIONS {
            let classes = class_hierarchy(&SparkError::new(condition.class));
            assert_eq!(classes.last(), Some(&"java.lang.Object"), "{}", condition.class);
        }
    }

    #[test]
    fn handles_are_sql_exceptions() {
        let error = SparkError::new("INVALID_HANDLE.FORMAT").with("handle", "x");
        assert_eq!(class_hierarchy(&error)[0], "org.apache.spark.SparkSQLException");
        let error = SparkError::new("PATH_NOT_FOUND");
        assert_eq!(class_hierarchy(&error)[1], "org.apache.spark.sql.AnalysisException");
    }
}
