//! The table of Spark error conditions that millstream raises.
//!
//! Class names, SQLSTATEs, parameter names and texts follow Spark 4.3's
//! `error-conditions.json`, so that a script which reads them sees no difference.
//! Keep the table sorted by class.

use std::collections::BTreeMap;

/// The exception type a PySpark client raises for a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionKind {
    /// `AnalysisException`: the query cannot be analysed. Fix the query.
    Analysis,
    /// `ParseException`: the SQL text cannot be parsed. Fix the query.
    Parse,
    /// `IllegalArgumentException`: an option or argument is wrong.
    IllegalArgument,
    /// `ArithmeticException`: overflow, division by zero. Fix the data or use `try_*`.
    Arithmetic,
    /// `DateTimeException`: a date or time that does not exist or does not parse.
    DateTime,
    /// `NumberFormatException`: text that is no number. Fix the data or use `try_cast`.
    NumberFormat,
    /// `ArrayIndexOutOfBoundsException`.
    ArrayIndex,
    /// `SparkRuntimeException`: the query failed on its data.
    Runtime,
    /// `UnsupportedOperationException`.
    Unsupported,
    /// `StreamingQueryException`: a streaming query stopped with an error.
    StreamingQuery,
    /// `SparkNoSuchElementException`: a configuration or element that does not exist.
    NoSuchElement,
    /// `SparkConcurrentModificationException`: another run holds the resource.
    Concurrent,
    /// `SparkException`: everything else.
    Spark,
}

/// One row of the table.
#[derive(Debug)]
pub struct Condition {
    /// `MAIN` or `MAIN.SUB`.
    pub class: &'static str,
    /// Five characters.
    pub sql_state: &'static str,
    /// What the client raises.
    pub kind: ExceptionKind,
    /// Text with `<param>` placeholders; main text and sub-class text joined by a space.
    pub template: &'static str,
}

impl Condition {
    /// The text with its placeholders filled; a missing parameter stays visible as `<name>`.
    pub fn render(&self, params: &BTreeMap<String, String>) -> String {
        let mut out = String::with_capacity(self.template.len());
        let mut rest = self.template;
        while let Some(open) = rest.find('<') {
            let (before, from) = rest.split_at(open);
            out.push_str(before);
            let Some(close) = from.find('>') else { break };
            let name = from.get(1..close).unwrap_or_default();
            match params.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(from.get(..=close).unwrap_or_default()),
            }
            rest = from.get(close + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// Looks a class up by its full name.
pub fn find(class: &str) -> Option<&'static Condition> {
    CONDITIONS.binary_search_by(|c| c.class.cmp(class)).ok().and_then(|i| CONDITIONS.get(i))
}

/// The condition for defects of ours.
pub fn internal() -> &'static Condition {
    const INTERNAL: Condition = Condition {
        class: "INTERNAL_ERROR",
        sql_state: "XX000",
        kind: ExceptionKind::Spark,
        template: "<message>",
    };
    find("INTERNAL_ERROR").unwrap_or(&INTERNAL)
}

macro_rules! conditions {
    ($($class:literal $state:literal $kind:ident $template:literal;)*) => {
        /// Every condition, sorted by class (byte order).
        pub static CONDITIONS: &[Condition] = &[
            $(Condition { class: $class, sql_state: $state, kind: ExceptionKind::$kind, template: $template },)*
        ];
    };
}

// One line a class; sorted; texts as in Spark 4.3's error-conditions.json.
conditions! {
    "ALL_PARTITION_COLUMNS_NOT_ALLOWED" "KD005" Analysis "Cannot use all columns for partition columns.";
    "ARITHMETIC_OVERFLOW" "22003" Arithmetic "<message>.<alternative> If necessary set <config> to \"false\" to bypass this error.";
    "BATCH_METADATA_NOT_FOUND" "42K03" Spark "Unable to find batch <batchMetadataFile>.";
    "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION" "56038" IllegalArgument "The codec <codecName> is not available. Available codecs are <availableCodecs>.";
    "COLUMN_ALREADY_EXISTS" "42711" Analysis "The column <columnName> already exists. Choose another name or rename the existing column.";
    "CONCURRENT_QUERY" "0A000" Concurrent "Another instance of this query was just started by a concurrent session.";
    "CONCURRENT_STREAM_LOG_UPDATE" "40000" Concurrent "Concurrent update to the log. Multiple streaming jobs detected for <batchId>. Please make sure only one streaming job runs on a specific checkpoint location at a time.";
    "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <functionName> does not support ordering on type <dataType>.";
    "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <paramIndex> parameter requires the <requiredType> type, however <inputSql> has the type <inputType>.";
    "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <exprName> must be between <valueRange> (current value = <currentValue>).";
    "DATA_SOURCE_NOT_FOUND" "42K02" Analysis "Failed to find the data source: <provider>. Make sure the provider name is correct and the package is properly registered and compatible with your Spark version.";
    "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION" "22003" Arithmetic "Decimal precision <precision> exceeds max precision <maxPrecision>.";
    "DECIMAL_SCALE_EXCEEDS_PRECISION" "22003" Analysis "Decimal scale (<scale>) cannot be greater than precision (<precision>).";
    "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE" "42K09" Analysis "The event time <eventName> has the invalid type <eventType>, but expected \"TIMESTAMP\".";
    "FAILED_READ_FILE.FILE_NOT_EXIST" "KD001" Spark "Encountered error while reading file <path>. File does not exist. It is possible the underlying files have been updated. You can explicitly invalidate the cache in Spark by running 'REFRESH TABLE tableName' command in SQL or by recreating the Dataset/DataFrame involved.";
    "FAILED_READ_FILE.NO_HINT" "KD001" Spark "Encountered error while reading file <path>. ";
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION" "42K0B" Spark "You may get a different result due to the upgrading to Spark >= 3.0: Fail to recognize <pattern> pattern in the DateTimeFormatter. 1) You can set <config> to \"LEGACY\" to restore the behavior before Spark 3.0. 2) You can form a valid datetime pattern with the guide from '<docroot>/sql-ref-datetime-pattern.html'.";
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN" "42K0B" Spark "You may get a different result due to the upgrading to Spark >= 3.0: All week-based patterns are unsupported since Spark 3.0, detected week-based character: <c>. Please use the SQL function EXTRACT instead.";
    "INTERNAL_ERROR" "XX000" Spark "<message>";
    "INVALID_CORRUPT_RECORD_TYPE" "42804" Analysis "The column <columnName> for corrupt records must have the nullable STRING type, but got <actualType>.";
    "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER" "22007" IllegalArgument "Unrecognized datetime pattern: <pattern>. Illegal pattern character found in datetime pattern: <c>. Please provide legal character.";
    "INVALID_DATETIME_PATTERN.LENGTH" "22007" IllegalArgument "Unrecognized datetime pattern: <pattern>. Too many letters in datetime pattern: <pattern>. Please reduce pattern length.";
    "INVALID_DELIMITER_VALUE.EMPTY_STRING" "42602" IllegalArgument "Invalid value for delimiter. Delimiter cannot be empty string.";
    "INVALID_DELIMITER_VALUE.SINGLE_BACKSLASH" "42602" IllegalArgument "Invalid value for delimiter. Single backslash is prohibited. It has special meaning as beginning of an escape sequence. To get the backslash character, pass a string with two backslashes as the delimiter.";
    "INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER" "42602" IllegalArgument "Invalid value for delimiter. Unsupported special character for delimiter: <str>.";
    "INVALID_JSON_DATA_TYPE" "2203G" Analysis "Failed to convert the JSON string '<invalidType>' to a data type. Please enter a valid data type.";
    "INVALID_LINE_SEPARATOR.EMPTY" "22023" IllegalArgument "Invalid line separator configuration. The 'lineSep' option cannot be an empty string.";
    "INVALID_LINE_SEPARATOR.TOO_LONG" "22023" IllegalArgument "Invalid line separator configuration. The 'lineSep' option can contain at most 2 characters, but got <length> characters.";
    "INVALID_LOG_VERSION.MAX_SUPPORTED_VERSION" "KD002" Spark "UnsupportedLogVersion. The maximum supported log version is v<maxSupportedVersion>, but encountered v<version>. The log file was produced by a newer version of Spark and cannot be read by this version. You need to upgrade.";
    "INVALID_PARAMETER_VALUE.BOOLEAN" "22023" IllegalArgument "The value of parameter(s) <parameter> in <functionName> is invalid: expects a boolean literal, but got <invalidValue>.";
    "INVALID_PARAMETER_VALUE.INTEGER" "22023" IllegalArgument "The value of parameter(s) <parameter> in <functionName> is invalid: expects an integer literal, but got <invalidValue>.";
    "INVALID_PARTITION_COLUMN_DATA_TYPE" "0A000" Analysis "Cannot use <type> for partition column.";
    "INVALID_SCHEMA.NON_STRUCT_TYPE" "42K07" Analysis "The input schema <inputSchema> is not a valid schema string. The input expression should be evaluated to struct type, but got <dataType>.";
    "MALFORMED_CSV_RECORD" "KD000" Runtime "Malformed CSV record: <badRecord>";
    "MALFORMED_LOG_FILE" "KD002" Spark "Log file was malformed: failed to read correct log version from <text>.";
    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION" "22023" Spark "Malformed records are detected in record parsing: <badRecord>. Parse Mode: <failFastMode>. To process malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'.";
    "NEGATIVE_SCALE_DISALLOWED" "0A000" Analysis "Negative scale is not allowed: '<scale>'. Set the config <sqlConf> to \"true\" to allow it.";
    "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION" "22003" Arithmetic "<value> cannot be represented as Decimal(<precision>, <scale>). If necessary set <config> to \"false\" to bypass this error, and return NULL instead.";
    "PARSE_SYNTAX_ERROR" "42601" Parse "Syntax error at or near <error><hint>.";
    "PARTITION_COLUMN_NOT_FOUND_IN_SCHEMA" "42000" Analysis "Partition column <column> not found in schema <schema>. Please provide the existing column for partitioning.";
    "PATH_ALREADY_EXISTS" "42K04" Analysis "Path <outputPath> already exists. Set mode as \"overwrite\" to overwrite the existing path.";
    "PATH_NOT_FOUND" "42K03" Analysis "Path does not exist: <path>.";
    "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE" "XXKST" Spark "Provided key schema does not match existing state key schema.\nPlease check number and type of fields.\nExisting key_schema=<storedKeySchema> and new key_schema=<newKeySchema>.\nIf you want to force running the query without schema validation, please set spark.sql.streaming.stateStore.stateSchemaCheck to false.\nHowever, please note that running the query with incompatible schema could cause non-deterministic behavior.";
    "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE" "XXKST" Spark "Provided value schema does not match existing state value schema.\nPlease check number and type of fields.\nExisting value_schema=<storedValueSchema> and new value_schema=<newValueSchema>.\nIf you want to force running the query without schema validation, please set spark.sql.streaming.stateStore.stateSchemaCheck to false.\nHowever, please note that running the query with incompatible schema could cause non-deterministic behavior.";
    "STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.COMMIT_LOG" "58030" Spark "Failed to write a streaming query checkpoint log entry. Failed to write commit log entry for batch <batchId> at checkpoint location <checkpointLocation>. Check that the checkpoint location is writable and retry the query.";
    "STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.OFFSET_LOG" "58030" Spark "Failed to write a streaming query checkpoint log entry. Failed to write offset log entry for batch <batchId> at checkpoint location <checkpointLocation>. Check that the checkpoint location is writable and retry the query.";
    "STREAMING_CHECKPOINT_MISSING_METADATA_FILE" "42K03" Spark "Checkpoint location <checkpointLocation> is in an inconsistent state: the metadata file is missing but offset and/or commit logs contain data. Please restore the metadata file or create a new checkpoint directory.";
    "STREAM_FAILED" "XXKST" StreamingQuery "Query [id = <id>, runId = <runId>] terminated with exception: <message>";
    "TABLE_OR_VIEW_NOT_FOUND" "42P01" Analysis "The table or view <relationName> cannot be found. Verify the spelling and correctness of the schema and catalog.\nSearch path: <searchPath>.\nIf you did not qualify the name with a schema, verify the current_schema() output, or qualify the name with the correct schema and catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS or DROP TABLE IF EXISTS.";
    "TASK_WRITE_FAILED" "58030" Spark "Task failed while writing rows to <path>.";
    "UNABLE_TO_INFER_SCHEMA" "42KD9" Analysis "Unable to infer schema for <format>. It must be specified manually.";
    "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION" "42703" Analysis "A column, variable, or function parameter with name <objectName> cannot be resolved.";
    "UNRESOLVED_COLUMN.WITH_SUGGESTION" "42703" Analysis "A column, variable, or function parameter with name <objectName> cannot be resolved. Did you mean one of the following? [<proposal>].";
    "UNRESOLVED_ROUTINE" "42883" Analysis "Cannot resolve routine <routineName> on search path <searchPath>.";
    "UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING" "0A000" Analysis "The char/varchar type can't be used in the table schema.\nIf you want Spark treat them as string type as same as Spark 3.0 and earlier, please set \"spark.sql.legacy.charVarcharAsString\" to \"true\".";
    "UNSUPPORTED_DATATYPE" "0A000" Parse "Unsupported data type <typeName>.";
    "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE" "0A000" Analysis "The <format> datasource doesn't support the column <columnName> of the type <columnType>.";
    "UNSUPPORTED_FEATURE.MILLSTREAM" "0A000" Unsupported "The feature is not supported: <feature> is not supported by millstream yet.";
    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION" "42605" Analysis "The <functionName> requires <expectedNum> parameters but the actual number is <actualNum>. Please, refer to '<docroot>/sql-ref-functions.html' for a fix.";
    "_LEGACY_ERROR_TEMP_3241" "22023" IllegalArgument "<msg>";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_every_class_is_found() {
        for pair in CONDITIONS.windows(2) {
            assert!(pair[0].class < pair[1].class, "{} must come after {}", pair[0].class, pair[1].class);
        }
        for c in CONDITIONS {
            assert_eq!(find(c.class).map(|f| f.template), Some(c.template));
            assert_eq!(c.sql_state.len(), 5, "{}", c.class);
        }
    }

    #[test]
    fn render_fills_known_and_keeps_unknown_parameters() {
        let c = find("PATH_NOT_FOUND").unwrap();
        assert_eq!(c.render(&BTreeMap::new()), "Path does not exist: <path>.");
        let p = BTreeMap::from([("path".to_string(), "file:/x".to_string())]);
        assert_eq!(c.render(&p), "Path does not exist: file:/x.");
    }
}
