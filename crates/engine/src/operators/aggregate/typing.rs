//! Which aggregate functions exist, and Spark's typing of them.

use datafusion::arrow::datatypes::{DataType, Field, TimeUnit};

use super::AggregateOptions;
use crate::{Result, SparkError};

/// A function, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Function {
    Avg,
    Count,
    CountIf,
    Max,
    Min,
    Sum,
    TryAvg,
    TrySum,
}

/// Names in lower case, sorted, with the number of arguments (least, most).
const TABLE: &[(&str, Function, usize, usize)] = &[
    ("any", Function::Max, 1, 1),
    ("avg", Function::Avg, 1, 1),
    ("bool_and", Function::Min, 1, 1),
    ("bool_or", Function::Max, 1, 1),
    ("count", Function::Count, 1, usize::MAX),
    ("count_if", Function::CountIf, 1, 1),
    ("every", Function::Min, 1, 1),
    ("max", Function::Max, 1, 1),
    ("mean", Function::Avg, 1, 1),
    ("min", Function::Min, 1, 1),
    ("some", Function::Max, 1, 1),
    ("sum", Function::Sum, 1, 1),
    ("try_avg", Function::TryAvg, 1, 1),
    ("try_sum", Function::TrySum, 1, 1),
];

/// Functions whose argument has to be boolean, though they share `min` and `max`.
const BOOLEAN: &[&str] = &["any", "bool_and", "bool_or", "every", "some"];

/// What a call takes and gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Signature {
    pub(super) function: Function,
    /// Types the arguments are cast to.
    pub(super) inputs: Vec<DataType>,
    pub(super) output: DataType,
    pub(super) nullable: bool,
}

/// The names of all aggregate functions, in lower case, sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(name, ..)| *name)
}

/// The type of `name(args)` and whether it may be null.
///
/// `count(*)` is `count` of one argument that is never null. Arguments that only steer a
/// function (`ignoreNulls`, `rsd`) are options and not among `args`.
///
/// # Errors
/// `UNRESOLVED_ROUTINE` for an unknown name, `WRONG_NUM_ARGS`, and
/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` with `paramIndex` and `requiredType`; the
/// caller adds `sqlExpr`, `inputSql` and `inputType`.
pub fn return_type(name: &str, args: &[DataType], ansi: bool) -> Result<(DataType, bool)> {
    let signature = resolve(name, args, &AggregateOptions { ansi, ..AggregateOptions::default() })?;
    Ok((signature.output, signature.nullable))
}

/// The types the arguments of `name(args)` have to be cast to (implicit casts only).
///
/// # Errors
/// As [`return_type`].
pub fn argument_types(name: &str, args: &[DataType]) -> Result<Vec<DataType>> {
    Ok(resolve(name, args, &AggregateOptions::default())?.inputs)
}

/// Types a call.
pub(super) fn resolve(name: &str, args: &[DataType], options: &AggregateOptions) -> Result<Signature> {
    let lower = name.to_ascii_lowercase();
    let Some((_, function, least, most)) =
        TABLE.binary_search_by(|(known, ..)| (*known).cmp(&lower)).ok().and_then(|i| TABLE.get(i))
    else {
        return Err(SparkError::new("UNRESOLVED_ROUTINE")
            .with("routineName", format!("`{name}`"))
            .with("searchPath", "[`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`]"));
    };
    if args.len() < *least || args.len() > *most {
        let expected = if *most == usize::MAX { format!("> {}", least - 1) } else { least.to_string() };
        return Err(SparkError::new("WRONG_NUM_ARGS.WITHOUT_SUGGESTION")
            .with("functionName", format!("`{lower}`"))
            .with("expectedNum", expected)
            .with("actualNum", args.len().to_string())
            .with("docroot", "https://spark.apache.org/docs/latest"));
    }
    let mut inputs = args.to_vec();
    let (output, nullable) = match function {
        Function::Count => (DataType::Int64, false),
        Function::CountIf => {
            inputs = vec![boolean(&args[0])?];
            (DataType::Int64, false)
        }
        Function::Min | Function::Max => {
            if BOOLEAN.contains(&lower.as_str()) {
                inputs = vec![boolean(&args[0])?];
            } else {
                orderable(&args[0])?;
            }
            (inputs[0].clone(), true)
        }
        Function::Sum | Function::TrySum => {
            inputs = vec![summable(&args[0])?];
            (sum_type(&inputs[0]), true)
        }
        Function::Avg | Function::TryAvg => {
            inputs = vec![match summable(&args[0])? {
                DataType::Int64 => DataType::Float64,
                other => other,
            }];
            (average_type(&inputs[0]), true)
        }
    };
    let _ = options;
    Ok(Signature { function: *function, inputs, output, nullable })
}

/// `decimal(p + 10, s)`, bounded; other types sum in their own.
pub(super) fn sum_type(input: &DataType) -> DataType {
    match input {
        DataType::Decimal128(p, s) => DataType::Decimal128((p + 10).min(38), *s),
        other => other.clone(),
    }
}

/// `decimal(p + 4, s + 4)`, bounded.
fn average_type(input: &DataType) -> DataType {
    match input {
        DataType::Decimal128(p, s) => DataType::Decimal128((p + 4).min(38), (s + 4).min(38)),
        other => other.clone(),
    }
}

/// What `sum` and `avg` compute in: bigint, double, decimal or a day-time interval.
fn summable(input: &DataType) -> Result<DataType> {
    match input {
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => Ok(DataType::Int64),
        DataType::Float32 | DataType::Float64 | DataType::Utf8 | DataType::Null => Ok(DataType::Float64),
        DataType::Decimal128(_, _) | DataType::Duration(TimeUnit::Microsecond) => Ok(input.clone()),
        DataType::Interval(_) => Err(SparkError::unsupported("sum or avg of a year-month interval")),
        _ => Err(mismatch(1, "NUMERIC\" or \"ANSI INTERVAL")),
    }
}

fn boolean(input: &DataType) -> Result<DataType> {
    match input {
        DataType::Boolean | DataType::Null => Ok(DataType::Boolean),
        _ => Err(mismatch(1, "BOOLEAN")),
    }
}

/// Maps and calendar intervals have no order.
fn orderable(input: &DataType) -> Result<()> {
    let ordered = match input {
        DataType::Map(_, _)
        | DataType::Interval(datafusion::arrow::datatypes::IntervalUnit::MonthDayNano) => false,
        DataType::List(field) => return orderable(field.data_type()),
        DataType::Struct(fields) => {
            return fields.iter().try_for_each(|f: &std::sync::Arc<Field>| orderable(f.data_type()));
        }
        _ => true,
    };
    if ordered { Ok(()) } else { Err(SparkError::new("DATATYPE_MISMATCH.INVALID_ORDERING_TYPE")) }
}

pub(super) fn mismatch(index: usize, required: &str) -> SparkError {
    let ordinal = ["first", "second", "third"].get(index - 1).copied().unwrap_or("next");
    SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
        .with("paramIndex", ordinal)
        .with("requiredType", format!("(\"{required}\")"))
}
