//! Event-time windows: `window`, `window_time`, `session_window`.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray},
    datatypes::{DataType, TimestampMicrosecondType},
};
use millstream_engine::{Result, SparkError, time::WindowSpec};

use super::{Args, Call, Evaluation, Function, Mode, custom, kernel_call};
use crate::{
    expression::{Input, TypedExpr},
    sql::interval::parse_interval,
};

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&["window"], 2, 4, window),
    custom(&["window_time"], 1, 1, window_time),
    custom(&["session_window"], 2, 2, |_| Err(SparkError::unsupported("the function `session_window`"))),
];

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// `window(time, duration, [slide, [start]])`: asks the relation for the window column.
fn window(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as("window");
    let micros = |i: usize, parameter: &str| -> Result<Option<i64>> {
        call.args.get(i).map(|arg| duration(arg, parameter)).transpose()
    };
    let length = micros(1, "windowDuration")?.unwrap_or(0);
    let slide = micros(2, "slideDuration")?.unwrap_or(length);
    let start = micros(3, "startTime")?.unwrap_or(0);
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
        return Err(super::unexpected_input(
            &sql,
            0,
            "(\"TIMESTAMP\" or \"TIMESTAMP WITHOUT TIME ZONE\")",
            &time,
        ));
    };
    let column = call.resolver.scope.window(time, spec)?;
    Ok(TypedExpr { name: "window".to_string(), sql: "window".to_string(), named: true, ..column })
}

fn duration(arg: &TypedExpr, parameter: &str) -> Result<i64> {
    let text = super::literal_text(arg, "window", parameter)?;
    let interval = parse_interval(text)?;
    if interval.months != 0 {
        return Err(SparkError::new("INVALID_INTERVAL_FORMAT.INTERVAL_PARSING")
            .with("input", text)
            .with("interval", "window duration without months"));
    }
    i64::from(interval.days)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.microseconds))
        .ok_or_else(|| SparkError::new("CANNOT_PARSE_INTERVAL").with("intervalString", text))
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
    let expr = kernel_call(
        "window_time",
        window_time_kernel,
        vec![window.expr.clone()],
        data_type.clone(),
        nullable,
        evaluation,
    );
    // The mark of event time carries over.
    let field = window.field.as_ref().clone().with_data_type(data_type).with_nullable(nullable);
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
