//! Window functions: `function OVER (PARTITION BY .. ORDER BY .. frame)`.
//!
//! Ranking functions are DataFusion's, aggregates our own. The relation computes the
//! resulting `Expr::WindowFunction` below the projection it stands in.

use datafusion::{
    arrow::datatypes::{DataType, IntervalMonthDayNano},
    common::ScalarValue,
    functions_window::{
        cume_dist::cume_dist_udwf,
        lead_lag::{lag_udwf, lead_udwf},
        nth_value::nth_value_udwf,
        ntile::ntile_udwf,
        rank::{dense_rank_udwf, percent_rank_udwf, rank_udwf},
        row_number::row_number_udwf,
    },
    logical_expr::{
        Cast, Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition,
        expr::{NullTreatment, Sort, WindowFunction, WindowFunctionParams},
    },
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{self as e, ExprType, window as w, window::window_frame as wf},
};

use super::{TypedExpr, attribute, cast::implicit_cast, literal, resolver::Resolver};
use crate::types;

/// Functions that exist only with `OVER`.
const RANKING: &[&str] =
    &["cume_dist", "dense_rank", "lag", "lead", "nth_value", "ntile", "percent_rank", "rank", "row_number"];

/// The error for a ranking function without `OVER`, if `name` is one.
pub(crate) fn without_over(name: &str) -> Option<SparkError> {
    RANKING.contains(&name).then(|| {
        SparkError::new("WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE").with("funcName", format!("\"{name}()\""))
    })
}

/// Where a frame ends on one side.
#[derive(Clone, PartialEq)]
enum Bound {
    Unbounded,
    Current,
    /// Rows after the current one, negative for before.
    Rows(i64),
    /// Values of the ordering key within this distance after the current row's, or before it.
    Range {
        distance: ScalarValue,
        before: bool,
        sql: String,
    },
}

/// A frame as Spark shows it.
#[derive(PartialEq)]
struct Frame {
    units: WindowFrameUnits,
    lower: Bound,
    upper: Bound,
}

impl Frame {
    const fn rows(lower: Bound, upper: Bound) -> Self {
        Self { units: WindowFrameUnits::Rows, lower, upper }
    }

    fn sql(&self) -> String {
        let side = |bound: &Bound, open: &str| match bound {
            Bound::Unbounded => format!("UNBOUNDED {open}"),
            Bound::Current => "CURRENT ROW".to_string(),
            Bound::Rows(n) => format!("{n} FOLLOWING"),
            Bound::Range { sql, .. } => format!("{sql} FOLLOWING"),
        };
        let units = if self.units == WindowFrameUnits::Rows { "ROWS" } else { "RANGE" };
        format!("{units} BETWEEN {} AND {}", side(&self.lower, "PRECEDING"), side(&self.upper, "FOLLOWING"))
    }

    /// As Spark's messages show it: `specifiedwindowframe(RowFrame, -1, currentrow$())`.
    fn specified(&self) -> String {
        let side = |bound: &Bound, open: &str| match bound {
            Bound::Unbounded => format!("unbounded{open}$()"),
            Bound::Current => "currentrow$()".to_string(),
            Bound::Rows(n) => n.to_string(),
            Bound::Range { sql, .. } => sql.clone(),
        };
        let units = if self.units == WindowFrameUnits::Rows { "RowFrame" } else { "RangeFrame" };
        let (lower, upper) = (side(&self.lower, "preceding"), side(&self.upper, "following"));
        format!("specifiedwindowframe({units}, {lower}, {upper})")
    }

    fn build(&self) -> WindowFrame {
        let rows = |n: u64| ScalarValue::UInt64(Some(n));
        let side = |bound: &Bound, lower: bool| match bound {
            Bound::Unbounded if lower => WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
            Bound::Unbounded => WindowFrameBound::Following(ScalarValue::UInt64(None)),
            Bound::Current => WindowFrameBound::CurrentRow,
            Bound::Rows(n) if *n < 0 => WindowFrameBound::Preceding(rows(n.unsigned_abs())),
            Bound::Rows(n) => WindowFrameBound::Following(rows(n.unsigned_abs())),
            Bound::Range { distance, before: true, .. } => WindowFrameBound::Preceding(distance.clone()),
            Bound::Range { distance, .. } => WindowFrameBound::Following(distance.clone()),
        };
        WindowFrame::new_bounds(self.units, side(&self.lower, true), side(&self.upper, false))
    }
}

/// Resolves a function with its `OVER` clause.
pub(super) fn resolve(resolver: &Resolver, over: &e::Window) -> Result<TypedExpr> {
    let partition = resolver.resolve_list(&over.partition_spec)?;
    let order = over.order_spec.iter().map(|o| resolver.sort_order(o)).collect::<Result<Vec<Sort>>>()?;
    let keys = over
        .order_spec
        .iter()
        .map(|spec| resolver.child(spec.child.as_deref()))
        .collect::<Result<Vec<TypedExpr>>>()?;
    let mut clause = Vec::new();
    if !partition.is_empty() {
        let shown: Vec<&str> = partition.iter().map(|p| p.sql.as_str()).collect();
        clause.push(format!("PARTITION BY {}", shown.join(", ")));
    }
    if !order.is_empty() {
        let shown: Vec<String> = keys
            .iter()
            .zip(&order)
            .map(|(key, sort)| {
                let direction = if sort.asc { "ASC" } else { "DESC" };
                let nulls = if sort.nulls_first { "FIRST" } else { "LAST" };
                format!("{} {direction} NULLS {nulls}", key.sql)
            })
            .collect();
        clause.push(format!("ORDER BY {}", shown.join(", ")));
    }
    let given = over.frame_spec.as_deref().map(|frame| frame_of(resolver, frame, &keys)).transpose()?;
    let Some(message) = over.window_function.as_deref() else {
        return Err(SparkError::internal("a window without function"));
    };
    let partition_by = partition.into_iter().map(|p| p.expr).collect();
    if let Some((name, arguments)) = ranking(message)? {
        return rank(resolver, &name, arguments, Over { partition_by, order_by: order, given }, clause);
    }
    let function = resolver.resolve(message)?;
    let Expr::AggregateFunction(aggregate) = &function.expr else {
        return Err(
            SparkError::new("UNSUPPORTED_EXPR_FOR_WINDOW").with("sqlExpr", format!("\"{}\"", function.sql))
        );
    };
    let frame = given.unwrap_or(if order.is_empty() {
        Frame::rows(Bound::Unbounded, Bound::Unbounded)
    } else {
        Frame { units: WindowFrameUnits::Range, lower: Bound::Unbounded, upper: Bound::Current }
    });
    clause.push(frame.sql());
    let sql = format!("{} OVER ({})", function.sql, clause.join(" "));
    let mut expr = window(
        WindowFunctionDefinition::AggregateUDF(std::sync::Arc::clone(&aggregate.func)),
        aggregate.params.args.clone(),
        partition_by,
        order,
        frame.build(),
    );
    if let Expr::WindowFunction(window) = &mut expr {
        window.params.filter.clone_from(&aggregate.params.filter);
    }
    Ok(TypedExpr::with_field(expr, function.field, sql))
}

fn window(
    fun: WindowFunctionDefinition,
    args: Vec<Expr>,
    partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    window_frame: WindowFrame,
) -> Expr {
    Expr::WindowFunction(Box::new(WindowFunction {
        fun,
        params: WindowFunctionParams {
            args,
            partition_by,
            order_by,
            window_frame,
            filter: None,
            null_treatment: None,
            distinct: false,
        },
    }))
}

/// Name and arguments of a ranking function.
fn ranking(message: &proto::Expression) -> Result<Option<(String, &[proto::Expression])>> {
    let (name, arguments) = match &message.expr_type {
        Some(ExprType::UnresolvedFunction(f)) => (&f.function_name, &f.arguments),
        Some(ExprType::CallFunction(f)) => (&f.function_name, &f.arguments),
        _ => return Ok(None),
    };
    let name = attribute::function_name(name)?;
    Ok(RANKING.contains(&name.as_str()).then_some((name, arguments.as_slice())))
}

/// The resolved parts of an `OVER` clause.
struct Over {
    partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    given: Option<Frame>,
}

fn rank(
    resolver: &Resolver,
    name: &str,
    arguments: &[proto::Expression],
    over: Over,
    mut clause: Vec<String>,
) -> Result<TypedExpr> {
    let Over { partition_by, order_by, given } = over;
    if order_by.is_empty() {
        return Err(SparkError::new("WINDOW_FUNCTION_FRAME_NOT_ORDERED").with("wf_name", name).with(
            "wf_expr",
            format!("{}()", if name.ends_with("rank") { name.to_uppercase() } else { name.to_string() }),
        ));
    }
    let mut args = resolver.resolve_list(arguments)?;
    let offset = |args: &[TypedExpr], at: usize| match args.get(at).map(TypedExpr::literal) {
        None => Ok(1),
        Some(Some(ScalarValue::Int32(Some(n)))) => Ok(i64::from(*n)),
        Some(Some(ScalarValue::Int64(Some(n)))) => Ok(*n),
        Some(_) => Err(SparkError::unsupported(format!("`{name}` with an offset that is no literal"))),
    };
    let mut frame = Frame::rows(Bound::Unbounded, Bound::Current);
    let long = |n: i64| Expr::Literal(ScalarValue::Int64(Some(n)), None);
    let mut nullable = false;
    let mut null_treatment = None;
    let (udwf, shown, to, args_of) = match name {
        "row_number" => (row_number_udwf(), "row_number", Some(DataType::Int32), vec![]),
        "rank" => (rank_udwf(), "RANK", Some(DataType::Int32), vec![]),
        "dense_rank" => (dense_rank_udwf(), "DENSE_RANK", Some(DataType::Int32), vec![]),
        "percent_rank" => (percent_rank_udwf(), "PERCENT_RANK", None, vec![]),
        "cume_dist" => {
            frame.units = WindowFrameUnits::Range;
            (cume_dist_udwf(), "cume_dist", None, vec![])
        }
        "ntile" => {
            let n = offset(&args, 0)?;
            if args.is_empty() {
                args.push(literal::int(1));
            }
            (ntile_udwf(), "ntile", Some(DataType::Int32), vec![long(n)])
        }
        "nth_value" => {
            let n = offset(&args, 1)?;
            let Some(value) = args.first() else {
                return Err(SparkError::internal("nth_value without a value"));
            };
            if n <= 0 {
                return Err(SparkError::unsupported(format!("`nth_value` with the offset {n}")));
            }
            null_treatment = match args.get(2).map(TypedExpr::literal) {
                None | Some(Some(ScalarValue::Boolean(Some(false)))) => None,
                Some(Some(ScalarValue::Boolean(Some(true)))) => Some(NullTreatment::IgnoreNulls),
                Some(_) => {
                    return Err(SparkError::unsupported(
                        "`nth_value` with an `ignoreNulls` that is no literal",
                    ));
                }
            };
            frame.units = WindowFrameUnits::Range;
            nullable = true;
            let call = vec![value.expr.clone(), long(n)];
            args.truncate(2);
            (nth_value_udwf(), "nth_value", None, call)
        }
        name => {
            let lag = name == "lag";
            let n = offset(&args, 1)?;
            let Some(value) = args.first().cloned() else {
                return Err(SparkError::internal("lag without a value"));
            };
            if args.len() < 2 {
                args.push(literal::int(1));
            }
            if args.len() < 3 {
                args.push(literal::null(&DataType::Null)?);
            }
            args.truncate(3);
            let default = match args.get(2) {
                Some(default) => implicit_cast(default.clone(), value.data_type(), resolver.conf)?,
                None => literal::null(value.data_type())?,
            };
            let rows = if lag { -n } else { n };
            frame = Frame::rows(Bound::Rows(rows), Bound::Rows(rows));
            nullable = value.nullable() || default.nullable();
            let udwf = if lag { lag_udwf() } else { lead_udwf() };
            (udwf, if lag { "lag" } else { "lead" }, None, vec![value.expr, long(n), default.expr])
        }
    };
    if name == "nth_value" {
        frame = given.unwrap_or(frame);
    } else if let Some(given) = given {
        match name {
            "lag" | "lead" if given == frame => {}
            "lag" | "lead" => {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1035").with("prettyName", name));
            }
            _ if given != (Frame { units: WindowFrameUnits::Rows, ..running() }) => {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_1036")
                    .with("wf", given.specified())
                    .with("required", running().specified()));
            }
            _ => {}
        }
    }
    let shown_args: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
    clause.push(frame.sql());
    let nulls = if null_treatment.is_some() { " ignore nulls" } else { "" };
    let sql = format!("{shown}({}){nulls} OVER ({})", shown_args.join(", "), clause.join(" "));
    let t = match name {
        "lag" | "lead" | "nth_value" => args.first().map_or(DataType::Null, |a| a.data_type().clone()),
        _ => to.clone().unwrap_or(DataType::Float64),
    };
    // Ranking functions see the whole partition; only nth_value looks at its frame.
    let frame = if name == "nth_value" { frame } else { Frame { units: frame.units, ..running() } };
    let mut expr =
        window(WindowFunctionDefinition::WindowUDF(udwf), args_of, partition_by, order_by, frame.build());
    if let Expr::WindowFunction(window) = &mut expr {
        window.params.null_treatment = null_treatment;
    }
    let expr = match to {
        Some(to) => Expr::Cast(Cast::new(Box::new(expr), to)),
        None => expr,
    };
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// All rows up to the current one.
const fn running() -> Frame {
    Frame::rows(Bound::Unbounded, Bound::Current)
}

/// `distance` in the terms in which DataFusion moves along values of type `key`.
fn range_distance(distance: &ScalarValue, key: &DataType) -> Option<(ScalarValue, bool)> {
    let nano_interval = |days: i32, nanos: i64| {
        ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, days, nanos)))
    };
    let whole = match distance {
        ScalarValue::Int32(Some(n)) => i64::from(*n),
        ScalarValue::Int64(Some(n)) | ScalarValue::DurationMicrosecond(Some(n)) => *n,
        _ => return None,
    };
    let (size, before) = (i64::try_from(whole.unsigned_abs()).ok()?, whole < 0);
    let distance = match (distance.data_type(), key) {
        (DataType::Duration(_), DataType::Timestamp(..)) => nano_interval(0, size.checked_mul(1000)?),
        (DataType::Duration(_), _) => return None,
        (_, DataType::Date32) => nano_interval(i32::try_from(size).ok()?, 0),
        (_, key) if key.is_integer() || key.is_floating() => {
            ScalarValue::Int64(Some(size)).cast_to(key).ok()?
        }
        _ => return None,
    };
    Some((distance, before))
}

fn frame_of(resolver: &Resolver, frame: &w::WindowFrame, keys: &[TypedExpr]) -> Result<Frame> {
    let rows = frame.frame_type() == wf::FrameType::Row;
    let bound = |side: Option<&wf::FrameBoundary>| -> Result<Bound> {
        use wf::frame_boundary::Boundary;
        match side.and_then(|s| s.boundary.as_ref()) {
            Some(Boundary::CurrentRow(_)) => Ok(Bound::Current),
            Some(Boundary::Unbounded(_)) => Ok(Bound::Unbounded),
            Some(Boundary::Value(value)) => {
                let value = resolver.resolve(value)?;
                let literal = value.literal();
                if !rows {
                    let ([key], Some(literal)) = (keys, literal) else {
                        return Err(SparkError::unsupported(
                            "a RANGE frame with values that is not over one key and by literals",
                        ));
                    };
                    let Some((distance, before)) = range_distance(literal, key.data_type()) else {
                        return Err(SparkError::unsupported(format!(
                            "a RANGE frame over {} by {}",
                            types::sql_name(key.data_type()),
                            value.sql
                        )));
                    };
                    return Ok(Bound::Range { distance, before, sql: value.sql });
                }
                match literal {
                    Some(ScalarValue::Int32(Some(0)) | ScalarValue::Int64(Some(0))) => Ok(Bound::Current),
                    Some(ScalarValue::Int32(Some(n))) => Ok(Bound::Rows(i64::from(*n))),
                    Some(ScalarValue::Int64(Some(n))) => Ok(Bound::Rows(*n)),
                    _ => Err(SparkError::unsupported("a ROWS frame by something that is no literal")),
                }
            }
            None => Err(SparkError::internal("a frame without a bound")),
        }
    };
    Ok(Frame {
        units: if rows { WindowFrameUnits::Rows } else { WindowFrameUnits::Range },
        lower: bound(frame.lower.as_deref())?,
        upper: bound(frame.upper.as_deref())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_shown_as_spark_shows_them() {
        let frame = Frame::rows(Bound::Rows(-1), Bound::Current);
        assert_eq!(frame.sql(), "ROWS BETWEEN -1 FOLLOWING AND CURRENT ROW");
        let frame =
            Frame { units: WindowFrameUnits::Range, lower: Bound::Unbounded, upper: Bound::Unbounded };
        assert_eq!(frame.sql(), "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING");
    }
}
