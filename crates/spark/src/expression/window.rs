//! Window functions: `function OVER (PARTITION BY .. ORDER BY .. frame)`.
//!
//! Ranking functions are DataFusion's, aggregates our own. The relation computes the
//! resulting `Expr::WindowFunction` below the projection it stands in.

use datafusion::{
    arrow::datatypes::DataType,
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
        expr::{Sort, WindowFunction, WindowFunctionParams},
    },
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{self as e, ExprType, window as w, window::window_frame as wf},
};

use super::{TypedExpr, attribute, cast::implicit_cast, literal, resolver::Resolver};

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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Unbounded,
    Current,
    /// Rows after the current one, negative for before.
    Rows(i64),
}

/// A frame as Spark shows it.
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
        let side = |bound: Bound, open: &str| match bound {
            Bound::Unbounded => format!("UNBOUNDED {open}"),
            Bound::Current => "CURRENT ROW".to_string(),
            Bound::Rows(n) => format!("{n} FOLLOWING"),
        };
        let units = if self.units == WindowFrameUnits::Rows { "ROWS" } else { "RANGE" };
        format!("{units} BETWEEN {} AND {}", side(self.lower, "PRECEDING"), side(self.upper, "FOLLOWING"))
    }

    fn build(&self) -> WindowFrame {
        let rows = |n: u64| ScalarValue::UInt64(Some(n));
        let side = |bound: Bound, lower: bool| match bound {
            Bound::Unbounded if lower => WindowFrameBound::Preceding(ScalarValue::UInt64(None)),
            Bound::Unbounded => WindowFrameBound::Following(ScalarValue::UInt64(None)),
            Bound::Current => WindowFrameBound::CurrentRow,
            Bound::Rows(n) if n < 0 => WindowFrameBound::Preceding(rows(n.unsigned_abs())),
            Bound::Rows(n) => WindowFrameBound::Following(rows(n.unsigned_abs())),
        };
        WindowFrame::new_bounds(self.units, side(self.lower, true), side(self.upper, false))
    }
}

/// Resolves a function with its `OVER` clause.
pub(super) fn resolve(resolver: &Resolver, over: &e::Window) -> Result<TypedExpr> {
    let partition = resolver.resolve_list(&over.partition_spec)?;
    let order = over.order_spec.iter().map(|o| resolver.sort_order(o)).collect::<Result<Vec<Sort>>>()?;
    let mut clause = Vec::new();
    if !partition.is_empty() {
        let shown: Vec<&str> = partition.iter().map(|p| p.sql.as_str()).collect();
        clause.push(format!("PARTITION BY {}", shown.join(", ")));
    }
    if !order.is_empty() {
        let shown = over
            .order_spec
            .iter()
            .zip(&order)
            .map(|(spec, sort)| {
                let child = resolver.child(spec.child.as_deref())?;
                let direction = if sort.asc { "ASC" } else { "DESC" };
                let nulls = if sort.nulls_first { "FIRST" } else { "LAST" };
                Ok(format!("{} {direction} NULLS {nulls}", child.sql))
            })
            .collect::<Result<Vec<_>>>()?;
        clause.push(format!("ORDER BY {}", shown.join(", ")));
    }
    let given = over.frame_spec.as_deref().map(|frame| frame_of(resolver, frame)).transpose()?;
    let Some(message) = over.window_function.as_deref() else {
        return Err(SparkError::internal("a window without function"));
    };
    let partition_by = partition.into_iter().map(|p| p.expr).collect();
    if let Some((name, arguments)) = ranking(message)? {
        return rank(resolver, &name, arguments, partition_by, order, clause);
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
    let expr = window(
        WindowFunctionDefinition::AggregateUDF(std::sync::Arc::clone(&aggregate.func)),
        aggregate.params.args.clone(),
        partition_by,
        order,
        frame.build(),
    );
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

fn rank(
    resolver: &Resolver,
    name: &str,
    arguments: &[proto::Expression],
    partition_by: Vec<Expr>,
    order_by: Vec<Sort>,
    mut clause: Vec<String>,
) -> Result<TypedExpr> {
    if order_by.is_empty() {
        return Err(SparkError::new("WINDOW_FUNCTION_FRAME_NOT_ORDERED")
            .with("wf_name", name)
            .with("wf_expr", format!("{name}()")));
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
            frame.units = WindowFrameUnits::Range;
            nullable = true;
            (nth_value_udwf(), "nth_value", None, vec![value.expr.clone(), long(n)])
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
    let shown_args: Vec<&str> = args.iter().map(|a| a.sql.as_str()).collect();
    clause.push(frame.sql());
    let sql = format!("{shown}({}) OVER ({})", shown_args.join(", "), clause.join(" "));
    let t = match name {
        "lag" | "lead" | "nth_value" => args.first().map_or(DataType::Null, |a| a.data_type().clone()),
        _ => to.clone().unwrap_or(DataType::Float64),
    };
    // Ranking functions see the whole partition; only nth_value looks at its frame.
    let running = Frame { units: frame.units, lower: Bound::Unbounded, upper: Bound::Current };
    let expr =
        window(WindowFunctionDefinition::WindowUDF(udwf), args_of, partition_by, order_by, running.build());
    let expr = match to {
        Some(to) => Expr::Cast(Cast::new(Box::new(expr), to)),
        None => expr,
    };
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn frame_of(resolver: &Resolver, frame: &w::WindowFrame) -> Result<Frame> {
    let rows = frame.frame_type() == wf::FrameType::Row;
    let bound = |side: Option<&wf::FrameBoundary>| -> Result<Bound> {
        use wf::frame_boundary::Boundary;
        match side.and_then(|s| s.boundary.as_ref()) {
            Some(Boundary::CurrentRow(_)) => Ok(Bound::Current),
            Some(Boundary::Unbounded(_)) => Ok(Bound::Unbounded),
            Some(Boundary::Value(value)) => {
                let n = match resolver.resolve(value)?.literal() {
                    Some(ScalarValue::Int32(Some(n))) => Some(i64::from(*n)),
                    Some(ScalarValue::Int64(Some(n))) => Some(*n),
                    _ => None,
                };
                match n.filter(|_| rows) {
                    Some(0) => Ok(Bound::Current),
                    Some(n) => Ok(Bound::Rows(n)),
                    None => Err(SparkError::unsupported("a RANGE frame with values")),
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
