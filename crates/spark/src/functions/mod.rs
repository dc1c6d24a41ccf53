//! Spark's functions: a file a family, one row a function.
//!
//! To add a function whose arguments have fixed types, write a kernel (a `fn` over
//! columns, see [`kernel`]) and a row in its family's table:
//!
//! ```text
//! kernel(&["upper", "ucase"], &[Input::String], 1, Output::String, upper),
//! ```
//!
//! One that decides types itself takes a builder instead: `custom(&["coalesce"], 1, MANY,
//! coalesce)`. Then record cases in `tests/golden/function_cases.py`.

mod aggregate;
mod array;
mod cast;
mod collection;
mod conditional;
mod date_fields;
mod date_time;
mod digits;
mod format_number;
mod format_string;
pub(crate) mod grouping;
mod hash;
mod json;
mod kernel;
pub(crate) mod levenshtein;
mod make_time;
mod map;
mod math;
mod misc;
mod missing;
mod nondeterministic;
mod operator;
mod regex;
mod registry;
mod rounding;
mod string;
mod substring;
mod text_encoding;
mod time_window;
mod timestamp_units;

pub(crate) use cast::TIMESTAMP_LITERAL;

use datafusion::arrow::datatypes::DataType;
use millstream_engine::{Result, SparkError, format::value_text::ZoneOffsets, time::Zone};

pub(crate) use kernel::{Args, Evaluation, Kernel, Mode, exprs, kernel_call, marked_call, volatile_call};

use crate::{
    SessionConf,
    expression::{Input, Resolver, TypedExpr, without_over},
    types,
};

/// A call to be resolved.
pub(crate) struct Call<'a> {
    /// The function's name in lower case.
    pub(crate) name: &'a str,
    pub(crate) args: Vec<TypedExpr>,
    /// `f(DISTINCT ...)`.
    pub(crate) distinct: bool,
    pub(crate) resolver: Resolver<'a>,
}

impl Call<'_> {
    pub(crate) fn evaluation(&self) -> Evaluation {
        Evaluation::of(self.resolver.conf)
    }

    /// `name(arg, arg)` with another name.
    pub(crate) fn sql_as(&self, name: &str) -> String {
        let args: Vec<&str> = self.args.iter().map(|arg| arg.sql.as_str()).collect();
        format!("{name}({})", args.join(", "))
    }

    /// The only argument.
    pub(crate) fn one(self) -> Result<TypedExpr> {
        self.args.into_iter().next().ok_or_else(|| SparkError::internal("a function without its argument"))
    }

    /// The first two arguments.
    pub(crate) fn two(self) -> Result<(TypedExpr, TypedExpr)> {
        let mut args = self.args.into_iter();
        match (args.next(), args.next()) {
            (Some(a), Some(b)) => Ok((a, b)),
            _ => Err(SparkError::internal("a function without its arguments")),
        }
    }
}

/// Most arguments of a function that takes any number.
const MANY: usize = usize::MAX;

/// Resolves a function by name.
type Builder = fn(Call) -> Result<TypedExpr>;

/// A row of a family's table.
pub(crate) struct Function {
    names: &'static [&'static str],
    least: usize,
    most: usize,
    /// The name shown, where it is not the one called.
    shown: Option<&'static str>,
    build: Build,
}

enum Build {
    Custom(Builder),
    Kernel { inputs: &'static [Input], output: Output, nullable: bool, kernel: Kernel },
}

impl Function {
    /// Shown under this name whatever it was called.
    const fn shown(self, name: &'static str) -> Self {
        Self { shown: Some(name), ..self }
    }

    /// The result may be null though no argument is.
    const fn may_be_null(self) -> Self {
        let build = match self.build {
            Build::Kernel { inputs, output, kernel, .. } => {
                Build::Kernel { inputs, output, nullable: true, kernel }
            }
            custom => custom,
        };
        Self { build, ..self }
    }
}

/// A function that resolves itself.
const fn custom(names: &'static [&'static str], least: usize, most: usize, build: Builder) -> Function {
    Function { names, least, most, shown: None, build: Build::Custom(build) }
}

/// A function of fixed types; the last inputs after `least` are optional.
const fn kernel(
    names: &'static [&'static str],
    inputs: &'static [Input],
    least: usize,
    output: Output,
    kernel: Kernel,
) -> Function {
    let build = Build::Kernel { inputs, output, nullable: false, kernel };
    Function { names, least, most: inputs.len(), shown: None, build }
}

/// The result type of a function of fixed types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Boolean,
    Byte,
    Int,
    Long,
    Double,
    String,
    Binary,
    Date,
    Timestamp,
    TimestampNtz,
    /// The (coerced) type of the first argument.
    First,
}

impl Output {
    fn data_type(self, args: &[TypedExpr]) -> DataType {
        match self {
            Output::Boolean => DataType::Boolean,
            Output::Byte => DataType::Int8,
            Output::Int => DataType::Int32,
            Output::Long => DataType::Int64,
            Output::Double => DataType::Float64,
            Output::String => DataType::Utf8,
            Output::Binary => DataType::Binary,
            Output::Date => DataType::Date32,
            Output::Timestamp => types::timestamp(),
            Output::TimestampNtz => types::timestamp_ntz(),
            Output::First => args.first().map_or(DataType::Null, |arg| arg.data_type().clone()),
        }
    }
}

/// Resolves a call.
///
/// # Errors
/// `UNRESOLVED_ROUTINE`, `WRONG_NUM_ARGS.WITHOUT_SUGGESTION`, `DATATYPE_MISMATCH.*`, and
/// `UNSUPPORTED_FEATURE.MILLSTREAM` for functions Spark has and we do not.
pub(crate) fn call(mut call: Call) -> Result<TypedExpr> {
    let Some(function) = registry::find(call.name) else {
        return Err(without_over(call.name).unwrap_or_else(|| registry::unknown(call.name)));
    };
    let given = call.args.len();
    if given < function.least || given > function.most {
        return Err(wrong_count(call.name, function, given));
    }
    let shown = function.shown.unwrap_or(call.name);
    match &function.build {
        Build::Custom(build) => {
            call.name = shown;
            build(call)
        }
        Build::Kernel { inputs, output, nullable, kernel } => {
            let sql = call.sql_as(shown);
            let evaluation = call.evaluation();
            let args = coerce(call.args, inputs, &sql, call.resolver.conf)?;
            let data_type = output.data_type(&args);
            let nullable = *nullable || args.iter().any(TypedExpr::nullable);
            let name = function.names.first().copied().unwrap_or_default();
            let expr = kernel_call(name, *kernel, exprs(&args), data_type.clone(), nullable, evaluation);
            Ok(TypedExpr::new(expr, data_type, nullable, sql))
        }
    }
}

/// The arguments as the parameters `inputs` take them.
///
/// # Errors
/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` for the first that does not fit.
pub(crate) fn coerce(
    args: Vec<TypedExpr>,
    inputs: &[Input],
    sql: &str,
    conf: &SessionConf,
) -> Result<Vec<TypedExpr>> {
    args.into_iter()
        .enumerate()
        .map(|(i, arg)| {
            let input = inputs.get(i).or(inputs.last()).copied().unwrap_or(Input::Any);
            input.coerce(arg.clone(), conf).ok_or_else(|| unexpected_input(sql, i, input.described(), &arg))
        })
        .collect()
}

/// `DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE` for argument `index`, counted from 0.
pub(crate) fn unexpected_input(sql: &str, index: usize, required: &str, arg: &TypedExpr) -> SparkError {
    SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
        .with("sqlExpr", format!("\"{sql}\""))
        .with("paramIndex", ordinal(index))
        .with("requiredType", required)
        .with("inputSql", format!("\"{}\"", arg.sql))
        .with("inputType", format!("\"{}\"", types::sql_name(arg.data_type())))
}

/// `first`, `second`, ... as messages count parameters.
pub(crate) fn ordinal(index: usize) -> String {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    WORDS.get(index).map_or_else(|| format!("{}th", index + 1), |word| (*word).to_string())
}

fn wrong_count(name: &str, function: &Function, given: usize) -> SparkError {
    let expected = match (function.least, function.most) {
        (least, MANY) => format!("> {}", least.saturating_sub(1)),
        (least, most) if least == most => least.to_string(),
        (least, most) => {
            let all: Vec<String> = (least..=most).map(|n| n.to_string()).collect();
            format!("[{}]", all.join(", "))
        }
    };
    SparkError::new("WRONG_NUM_ARGS.WITHOUT_SUGGESTION")
        .with("functionName", format!("`{name}`"))
        .with("expectedNum", expected)
        .with("actualNum", given.to_string())
        .with("docroot", "https://spark.apache.org/docs/latest")
}

/// The session's zone as value texts want it.
pub(crate) struct SessionZone(pub(crate) Zone);

impl ZoneOffsets for SessionZone {
    fn offset_seconds(&self, seconds: i64) -> i64 {
        i64::from(self.0.offset_at(seconds.saturating_mul(1_000_000)))
    }
}

/// The text of a foldable string argument; `what` names function and parameter.
pub(crate) fn literal_text<'a>(arg: &'a TypedExpr, function: &str, parameter: &str) -> Result<&'a str> {
    arg.literal_str().ok_or_else(|| {
        SparkError::new("NON_FOLDABLE_ARGUMENT")
            .with("funcName", format!("`{function}`"))
            .with("paramName", format!("`{parameter}`"))
            .with("paramType", "\"STRING\"")
    })
}
