//! Event-time windows: `window`, `window_time`, `session_window`.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray},
        datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimestampMicrosecondType},
    },
    common::ScalarValue,
    logical_expr::{Expr, expr::Cast},
};
use millstream_engine::{Result, SparkError, time::WindowSpec};

use super::{Args, Call, Evaluation, Function, Mode, custom, kernel_call, marked_call};
use crate::{
    expression::{
        Input, TypedExpr,
        arithmetic::{self, Operator},
    },
    sql::interval::{Interval, parse_interval},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["window"], 2, 4, window),
    custom(&["window_time"], 1, 1, window_time),
    custom(&["session_window"], 2, 2, session_window),
];

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `window(time, duration, [slide, [start]])`: asks the relation for the window column.
fn window(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("window");
    let micros = |i: usize| call.args.get(i).map(duration).transpose();
    let length = micros(1)?.unwrap_or(0);
    let slide = micros(2)?.unwrap_or(length);
    let start = micros(3)?.unwrap_or(0);
    let Some(spec) = WindowSpec::new(length, slide, start) else {
        return Err(refused(&sql, length, slide, start));
    };
    let Some(time) = call.args.first().cloned() else {
        return Err(SparkError::internal("window without time"));
    };
    // A window column stands for its own time.
    let time = match time.data_type() {
        DataType::Struct(_) => last_instant(time)?,
        _ => time,
    };
    let Some(time) = Input::AnyTimestamp.coerce(time.clone(), call.resolver.conf) else {
        return Err(super::unexpected_input(&sql, 0, WINDOWED, &time));
    };
    let column = call.resolver.scope.window(time, spec)?;
    Ok(TypedExpr { name: "window".to_string(), sql: "window".to_string(), named: true, ..column })
}

/// `session_window(time, gap)`: asks the relation for the session column.
fn session_window(call: Call) -> Result<TypedExpr> {
    // As Spark names its expression.
    let sql = call.sql_as("sessionwindow");
    let conf = call.resolver.conf;
    let scope = call.resolver.scope;
    let evaluation = call.evaluation();
    let (time, gap) = call.two()?;
    let time = match time.data_type() {
        DataType::Struct(_) => last_instant(time)?,
        _ => time,
    };
    let Some(time) = Input::AnyTimestamp.coerce(time.clone(), conf) else {
        return Err(super::unexpected_input(&sql, 0, WINDOWED, &time));
    };
    let gap = match gap.data_type() {
        DataType::Interval(IntervalUnit::MonthDayNano) => gap,
        DataType::Utf8 | DataType::Null => interval_of_text(&gap, evaluation),
        other => {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1040").with("dt", scala_name(other)));
        }
    };
    let end = arithmetic::resolve(Operator::Add, time.clone(), gap, evaluation.mode, None, conf)?;
    let column = scope.session_window(time, end)?;
    let name = "session_window".to_string();
    Ok(TypedExpr { name: name.clone(), sql: name, named: true, ..column })
}

/// Texts as calendar intervals; those that are none are null, as in Spark's cast.
fn interval_of_text(text: &TypedExpr, evaluation: Evaluation) -> TypedExpr {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let texts = if *text.data_type() == DataType::Null {
        Expr::Cast(Cast::new(Box::new(text.expr.clone()), DataType::Utf8))
    } else {
        text.expr.clone()
    };
    let expr =
        kernel_call("interval_of_text", parse_intervals, vec![texts], interval.clone(), true, evaluation);
    text.replaced(expr, interval, true)
}

fn parse_intervals(args: &Args) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    // Few distinct texts come in many rows.
    let mut known: HashMap<&str, Option<IntervalMonthDayNano>> = HashMap::new();
    let parse = |text: &str| {
        let Interval { months, days, microseconds } = parse_interval(text).ok()?;
        Some(IntervalMonthDayNano::new(months, days, microseconds.checked_mul(1000)?))
    };
    let intervals: IntervalMonthDayNanoArray = texts
        .iter()
        .map(|text| text.and_then(|text| *known.entry(text).or_insert_with(|| parse(text))))
        .collect();
    Ok(Arc::new(intervals))
}

/// What `window` and `session_window` take as their first argument.
const WINDOWED: &str = "(\"(TIMESTAMP OR TIMESTAMP WITHOUT TIME ZONE)\" or \"STRUCT<start: TIMESTAMP, end: \
    TIMESTAMP>\" or \"STRUCT<start: TIMESTAMP_NTZ, end: TIMESTAMP_NTZ>\")";

/// A duration in microseconds: a number of them, or an interval's text.
fn duration(arg: &TypedExpr) -> Result<i64> {
    let text = match arg.literal() {
        Some(ScalarValue::Int32(Some(micros))) => return Ok(i64::from(*micros)),
        Some(ScalarValue::Int64(Some(micros))) => return Ok(*micros),
        Some(ScalarValue::Utf8(Some(text))) => text,
        _ => return Err(SparkError::new("_LEGACY_ERROR_TEMP_1207")),
    };
    let unreadable = || SparkError::new("CANNOT_PARSE_INTERVAL").with("intervalString", format!("'{text}'"));
    let interval = parse_interval(text).map_err(|cause| unreadable().caused_by(cause))?;
    if interval.months != 0 {
        return Err(SparkError::new("_LEGACY_ERROR_TEMP_3231").with("interval", text));
    }
    i64::from(interval.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.microseconds))
        .ok_or_else(unreadable)
}

/// A type as Scala prints it, for messages that show it so.
fn scala_name(data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Boolean => "BooleanType",
        DataType::Int8 => "ByteType",
        DataType::Int16 => "ShortType",
        DataType::Int32 => "IntegerType",
        DataType::Int64 => "LongType",
        DataType::Float32 => "FloatType",
        DataType::Float64 => "DoubleType",
        DataType::Date32 => "DateType",
        DataType::Timestamp(_, Some(_)) => "TimestampType",
        DataType::Timestamp(_, None) => "TimestampNTZType",
        DataType::Binary => "BinaryType",
        DataType::Duration(_) => "DayTimeIntervalType(0,3)",
        DataType::Interval(_) => "YearMonthIntervalType(0,1)",
        DataType::Decimal128(precision, scale) => return format!("DecimalType({precision},{scale})"),
        other => return types::sql_name(other),
    };
    name.to_string()
}

/// Spark's reason to refuse a window definition.
fn refused(sql: &str, length: i64, slide: i64, start: i64) -> SparkError {
    let range = |name: &str, value: i64| {
        SparkError::new("DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("exprName", format!("`{name}`"))
            .with("valueRange", format!("(0, {}]", i64::MAX))
            .with("currentValue", format!("{value}L"))
    };
    let constraint = |left: &str, lv: i64, what: &str, right: &str, rv: i64| {
        SparkError::new("DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION")
            .with("sqlExpr", format!("\"{sql}\""))
            .with("leftExprName", format!("`{left}`"))
            .with("leftExprValue", format!("{lv}L"))
            .with("constraint", what)
            .with("rightExprName", format!("`{right}`"))
            .with("rightExprValue", format!("{rv}L"))
    };
    if length <= 0 {
        range("window_duration", length)
    } else if slide <= 0 {
        range("slide_duration", slide)
    } else if slide > length {
        constraint("slide_duration", slide, "<=", "window_duration", length)
    } else {
        constraint("abs(start_time)", start.saturating_abs(), "<", "slide_duration", slide)
    }
}

/// `window_time(window)`: the last microsecond of a window.
fn window_time(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("window_time");
    let window = call.one()?;
    if !matches!(window.data_type(), DataType::Struct(fields) if fields.len() == 2) {
        return Err(super::unexpected_input(&sql, 0, "\"STRUCT\"", &window));
    }
    let time = last_instant(window)?;
    Ok(TypedExpr { name: sql.clone(), sql, named: false, ..time })
}

fn last_instant(window: TypedExpr) -> Result<TypedExpr> {
    let DataType::Struct(fields) = window.data_type() else {
        return Err(SparkError::internal("the time of something that is no window"));
    };
    let Some(end) = fields.get(1).filter(|f| matches!(f.data_type(), DataType::Timestamp(..))) else {
        return Err(SparkError::unsupported("`window_time` of a struct that is no window"));
    };
    let data_type = end.data_type().clone();
    let evaluation = Evaluation { mode: Mode::Ansi, zone: millstream_engine::time::Zone::UTC };
    let nullable = window.nullable() || end.is_nullable();
    // The mark of event time carries over.
    let field = window.field.as_ref().clone().with_data_type(data_type).with_nullable(nullable);
    let args = vec![window.expr.clone()];
    let expr = marked_call("window_time", window_time_kernel, args, &field, evaluation);
    Ok(TypedExpr::with_field(expr, Arc::new(field), format!("{}.end", window.sql)))
}

fn window_time_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let windows = array.as_struct();
    let ends = windows.column(1).as_primitive::<TimestampMicrosecondType>();
    let times = ends.unary::<_, TimestampMicrosecondType>(|end| end.saturating_sub(1));
    let times = Arc::new(times.with_data_type(args.return_type.clone())) as ArrayRef;
    crate::expression::masked(&times, windows.nulls())
}
