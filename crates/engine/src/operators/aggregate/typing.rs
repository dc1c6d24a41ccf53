//! Which aggregate functions exist, and Spark's typing of them.

use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};

use super::{
    AggregateOptions,
    bitwise::Bits,
    central_moments::Moment,
    collect::collected_type,
    covariance::{Regression, Relation},
    extremum::End,
    histogram::histogram_type,
    hyperloglog,
    percentile::Rank,
    positional::Place,
};
use crate::{Result, SparkError};

/// A function, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    ApproxCountDistinct,
    Avg,
    Bitwise(Bits),
    CollectList,
    CollectSet,
    Count,
    CountIf,
    /// `count` of two numbers.
    CountPairs,
    Covariance(Relation),
    Extremum(End),
    ExtremumBy(End),
    Histogram,
    Median,
    Moment(Moment),
    Percentile(Rank),
    Positional(Place),
    Sum,
    TryAvg,
    TrySum,
}

/// Names in lower case, sorted, with the number of arguments (least, most).
const TABLE: &[(&str, Function, usize, usize)] = &[
    ("any", Function::Extremum(End::Max), 1, 1),
    ("any_value", Function::Positional(Place::First), 1, 1),
    ("approx_count_distinct", Function::ApproxCountDistinct, 1, 1),
    ("approx_percentile", Function::Percentile(Rank::Nearest), 2, 2),
    ("array_agg", Function::CollectList, 1, 1),
    ("avg", Function::Avg, 1, 1),
    ("bit_and", Function::Bitwise(Bits::And), 1, 1),
    ("bit_or", Function::Bitwise(Bits::Or), 1, 1),
    ("bit_xor", Function::Bitwise(Bits::Xor), 1, 1),
    ("bool_and", Function::Extremum(End::Min), 1, 1),
    ("bool_or", Function::Extremum(End::Max), 1, 1),
    ("collect_list", Function::CollectList, 1, 1),
    ("collect_set", Function::CollectSet, 1, 1),
    ("corr", Function::Covariance(Relation::Corr), 2, 2),
    ("count", Function::Count, 1, usize::MAX),
    ("count_if", Function::CountIf, 1, 1),
    ("covar_pop", Function::Covariance(Relation::CovarPop), 2, 2),
    ("covar_samp", Function::Covariance(Relation::CovarSamp), 2, 2),
    ("every", Function::Extremum(End::Min), 1, 1),
    ("first", Function::Positional(Place::First), 1, 1),
    ("first_value", Function::Positional(Place::First), 1, 1),
    ("histogram_numeric", Function::Histogram, 1, 1),
    ("kurtosis", Function::Moment(Moment::Kurtosis), 1, 1),
    ("last", Function::Positional(Place::Last), 1, 1),
    ("last_value", Function::Positional(Place::Last), 1, 1),
    ("max", Function::Extremum(End::Max), 1, 1),
    ("max_by", Function::ExtremumBy(End::Max), 2, 2),
    ("mean", Function::Avg, 1, 1),
    ("median", Function::Median, 1, 1),
    ("min", Function::Extremum(End::Min), 1, 1),
    ("min_by", Function::ExtremumBy(End::Min), 2, 2),
    ("mode", Function::Percentile(Rank::Mode), 1, 1),
    ("percentile", Function::Percentile(Rank::Exact), 2, 2),
    ("percentile_approx", Function::Percentile(Rank::Nearest), 2, 2),
    ("regr_avgx", Function::Covariance(Relation::Regression(Regression::AvgX)), 2, 2),
    ("regr_avgy", Function::Covariance(Relation::Regression(Regression::AvgY)), 2, 2),
    ("regr_count", Function::CountPairs, 2, 2),
    ("regr_intercept", Function::Covariance(Relation::Regression(Regression::Intercept)), 2, 2),
    ("regr_r2", Function::Covariance(Relation::Regression(Regression::R2)), 2, 2),
    ("regr_slope", Function::Covariance(Relation::Regression(Regression::Slope)), 2, 2),
    ("regr_sxx", Function::Covariance(Relation::Regression(Regression::Sxx)), 2, 2),
    ("regr_sxy", Function::Covariance(Relation::Regression(Regression::Sxy)), 2, 2),
    ("regr_syy", Function::Covariance(Relation::Regression(Regression::Syy)), 2, 2),
    ("skewness", Function::Moment(Moment::Skewness), 1, 1),
    ("some", Function::Extremum(End::Max), 1, 1),
    ("std", Function::Moment(Moment::StddevSamp), 1, 1),
    ("stddev", Function::Moment(Moment::StddevSamp), 1, 1),
    ("stddev_pop", Function::Moment(Moment::StddevPop), 1, 1),
    ("stddev_samp", Function::Moment(Moment::StddevSamp), 1, 1),
    ("sum", Function::Sum, 1, 1),
    ("try_avg", Function::TryAvg, 1, 1),
    ("try_sum", Function::TrySum, 1, 1),
    ("var_pop", Function::Moment(Moment::VarPop), 1, 1),
    ("var_samp", Function::Moment(Moment::VarSamp), 1, 1),
    ("variance", Function::Moment(Moment::VarSamp), 1, 1),
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

/// Whether the function called `name` (in lower case) can give null.
pub(super) fn nullable(name: &str) -> bool {
    let found = TABLE.binary_search_by(|(known, ..)| (*known).cmp(name)).ok().and_then(|i| TABLE.get(i));
    !matches!(
        found.map(|(_, function, ..)| function),
        Some(
            Function::Count
                | Function::CountIf
                | Function::CountPairs
                | Function::ApproxCountDistinct
                | Function::CollectList
                | Function::CollectSet
        )
    )
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
    let output = match function {
        Function::Count => DataType::Int64,
        Function::CountPairs => {
            inputs = args.iter().enumerate().map(|(i, t)| double(i + 1, t)).collect::<Result<_>>()?;
            DataType::Int64
        }
        Function::CountIf => {
            inputs = vec![boolean(&args[0])?];
            DataType::Int64
        }
        Function::ApproxCountDistinct => {
            if !hyperloglog::supports(&args[0]) {
                return Err(SparkError::unsupported(format!(
                    "approx_count_distinct of the type {}",
                    args[0]
                )));
            }
            DataType::Int64
        }
        Function::Extremum(_) => {
            if BOOLEAN.contains(&lower.as_str()) {
                inputs = vec![boolean(&args[0])?];
            } else {
                orderable(&lower, &args[0])?;
            }
            inputs[0].clone()
        }
        Function::ExtremumBy(_) => {
            orderable(&lower, &args[1])?;
            inputs[0].clone()
        }
        Function::Positional(_) => inputs[0].clone(),
        Function::Median => {
            inputs = vec![double(1, &args[0])?];
            DataType::Float64
        }
        Function::Histogram => {
            inputs = vec![numeric_within(&args[0])?];
            histogram_type(&inputs[0])
        }
        Function::Percentile(Rank::Mode) => {
            orderable(&lower, &args[0])?;
            inputs[0].clone()
        }
        Function::Percentile(rank) => {
            let value = match rank {
                Rank::Exact => double(1, &args[0])?,
                _ => ranked(&args[0])?,
            };
            let many = matches!(args[1], DataType::List(_));
            let percentage = if many { collected_type(&DataType::Float64) } else { DataType::Float64 };
            inputs = vec![value.clone(), percentage];
            if many { collected_type(&value) } else { value }
        }
        Function::CollectList | Function::CollectSet => collected_type(&inputs[0]),
        Function::Bitwise(_) => {
            if !args[0].is_signed_integer() && args[0] != DataType::Null {
                return Err(mismatch(1, "\"INTEGRAL\""));
            }
            if args[0] == DataType::Null {
                inputs = vec![DataType::Int64];
            }
            inputs[0].clone()
        }
        Function::Covariance(Relation::Regression(Regression::AvgX | Regression::AvgY))
            if args.iter().any(|t| matches!(t, DataType::Decimal128(_, _))) =>
        {
            return Err(SparkError::unsupported(format!("`{lower}` of decimals")));
        }
        Function::Moment(_) | Function::Covariance(_) => {
            inputs = args.iter().enumerate().map(|(i, t)| double(i + 1, t)).collect::<Result<_>>()?;
            DataType::Float64
        }
        Function::Sum | Function::TrySum => {
            inputs = vec![summable(&args[0])?];
            sum_type(&inputs[0])
        }
        Function::Avg | Function::TryAvg => {
            inputs = vec![match summable(&args[0])? {
                DataType::Int64 => DataType::Float64,
                other => other,
            }];
            average_type(&inputs[0])
        }
    };
    if options.distinct && inputs.iter().any(|t| matches!(t, DataType::Map(_, _))) {
        return Err(SparkError::unsupported("DISTINCT over a map"));
    }
    Ok(Signature { function: *function, inputs, output, nullable: nullable(&lower) })
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
        _ => Err(mismatch(1, "\"NUMERIC\" or \"ANSI INTERVAL\"")),
    }
}

/// What the statistical functions compute in.
fn double(index: usize, input: &DataType) -> Result<DataType> {
    if input.is_numeric() || matches!(input, DataType::Utf8 | DataType::Null) {
        return Ok(DataType::Float64);
    }
    Err(mismatch(index, "\"DOUBLE\""))
}

fn boolean(input: &DataType) -> Result<DataType> {
    match input {
        DataType::Boolean | DataType::Null => Ok(DataType::Boolean),
        _ => Err(mismatch(1, "\"BOOLEAN\"")),
    }
}

/// What `percentile_approx` takes: numbers, dates, times and intervals.
fn ranked(input: &DataType) -> Result<DataType> {
    match input {
        DataType::Utf8 | DataType::Null => Ok(DataType::Float64),
        DataType::Date32 | DataType::Timestamp(_, _) | DataType::Duration(_) => Ok(input.clone()),
        other if other.is_numeric() => Ok(other.clone()),
        _ => Err(mismatch(1, "(\"NUMERIC\" or \"DATE\" or \"TIMESTAMP\" or \"ANSI INTERVAL\")")),
    }
}

/// What `histogram_numeric` takes: whatever is a number inside.
fn numeric_within(input: &DataType) -> Result<DataType> {
    match input {
        DataType::Utf8 | DataType::Null => Ok(DataType::Float64),
        DataType::Date32 | DataType::Timestamp(_, _) | DataType::Duration(_) => Ok(input.clone()),
        DataType::Interval(_) => Err(SparkError::unsupported("`histogram_numeric` of an interval in months")),
        other if other.is_numeric() => Ok(other.clone()),
        _ => Err(mismatch(
            1,
            "(\"NUMERIC\" or \"DATE\" or \"TIMESTAMP\" or \"TIMESTAMP_NTZ\" or \"INTERVAL YEAR TO MONTH\" or \
             \"INTERVAL DAY TO SECOND\" or \"TIME\")",
        )),
    }
}

/// Maps and calendar intervals have no order.
fn orderable(name: &str, input: &DataType) -> Result<()> {
    match input {
        DataType::Map(_, _) | DataType::Interval(IntervalUnit::MonthDayNano) => {
            Err(SparkError::new("DATATYPE_MISMATCH.INVALID_ORDERING_TYPE")
                .with("functionName", format!("`{name}`")))
        }
        DataType::List(field) => orderable(name, field.data_type()),
        DataType::Struct(fields) => fields.iter().try_for_each(|f| orderable(name, f.data_type())),
        _ => Ok(()),
    }
}

pub(super) fn mismatch(index: usize, required: &str) -> SparkError {
    let ordinal = ["first", "second", "third"].get(index - 1).copied().unwrap_or("next");
    SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
        .with("paramIndex", ordinal)
        .with("requiredType", required)
}
