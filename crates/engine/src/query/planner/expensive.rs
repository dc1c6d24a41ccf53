//! Conditions on what is expensive to compute stay above it, as under Spark's
//! `spark.sql.optimizer.avoidDoubleFilterEval`: which rows a watermark sees depends on it.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::{
        Result, internal_datafusion_err,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    logical_expr::{
        Aggregate, ColumnarValue, Expr, ExpressionPlacement, LogicalPlan, Projection, ScalarFunctionArgs,
        ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::{is_streaming, replace::replace};

/// Fences what is expensive in the projections over streams of a plan, and computes expensive
/// grouping keys in a projection, as Spark does with every one.
pub(super) fn put_up(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::Projection(projection)
            if projection.expr.iter().any(is_expensive) && is_streaming(&projection.input) =>
        {
            let exprs = projection.expr.into_iter().map(fenced);
            let fenced =
                Projection::try_new_with_schema(exprs.collect(), projection.input, projection.schema)?;
            Ok(Transformed::yes(LogicalPlan::Projection(fenced)))
        }
        LogicalPlan::Aggregate(aggregate)
            if aggregate.group_expr.iter().any(is_expensive) && is_streaming(&aggregate.input) =>
        {
            pull_out_keys(aggregate).map(Transformed::yes)
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// Holds what is fenced where it is against the whole optimiser, which would move the fences
/// themselves.
pub(super) fn hold(plan: LogicalPlan) -> Result<LogicalPlan> {
    replace(plan, |_| true, |e| Some(fence(fenced_in(e)?.clone(), Volatility::Volatile)))
}

/// Takes the fences off; the projections stay.
pub(super) fn release(plan: LogicalPlan) -> Result<LogicalPlan> {
    replace(plan, |_| true, |e| fenced_in(e).cloned())
}

/// What is behind a fence.
fn fenced_in(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.func.inner().is::<Fence>() => call.args.first(),
        _ => None,
    }
}

/// `aggregate` by columns where it was by something expensive; its own columns stay the same.
fn pull_out_keys(aggregate: Aggregate) -> Result<LogicalPlan> {
    let below = aggregate.input.schema();
    let mut exprs: Vec<Expr> = below.columns().into_iter().map(Expr::Column).collect();
    let mut keys = aggregate.group_expr.clone();
    for key in keys.iter_mut().filter(|key| is_expensive(key)) {
        let name = key.schema_name().to_string();
        if below.has_column_with_unqualified_name(&name) {
            return Ok(LogicalPlan::Aggregate(aggregate));
        }
        exprs.push(fenced(key.clone().alias(&name)));
        *key = Expr::Column(datafusion::common::Column::new_unqualified(name));
    }
    let input = Projection::try_new(exprs, Arc::clone(&aggregate.input))?;
    let input = Arc::new(LogicalPlan::Projection(input));
    Aggregate::try_new(input, keys, aggregate.aggr_expr).map(LogicalPlan::Aggregate)
}

fn fenced(expr: Expr) -> Expr {
    if !is_expensive(&expr) {
        return expr;
    }
    match expr {
        Expr::Alias(mut alias) => {
            alias.expr = Box::new(fence(*alias.expr, Volatility::Immutable));
            Expr::Alias(alias)
        }
        expr => {
            let name = expr.schema_name().to_string();
            fence(expr, Volatility::Immutable).alias(name)
        }
    }
}

fn fence(expr: Expr, volatility: Volatility) -> Expr {
    ScalarUDF::from(Fence { signature: Signature::any(1, volatility) }).call(vec![expr])
}

/// Spark's `expensive`, of an expression or a part of it.
fn is_expensive(expr: &Expr) -> bool {
    let own = |e: &Expr| match e {
        Expr::ScalarFunction(call) => match call.name() {
            "rlike" | "regexp_like" | "array_join" => true,
            "like" | "ilike" => !is_simple_like(&call.args),
            _ => false,
        },
        _ => false,
    };
    expr.exists(|e| Ok(own(e))).unwrap_or(false)
}

/// Whether Spark's `LikeSimplification` makes it a comparison of beginnings, ends or parts.
fn is_simple_like(args: &[Expr]) -> bool {
    let [_, Expr::Literal(pattern, _)] = args else { return false };
    let Some(Some(pattern)) = pattern.try_as_str() else { return pattern.is_null() };
    if pattern.contains(['_', '\\']) {
        return false;
    }
    // Between the `%`: one part anywhere, or a beginning and an end.
    match pattern.split('%').collect::<Vec<_>>()[..] {
        [_] => true,
        [first, last] => !first.is_empty() || !last.is_empty(),
        ["", part, ""] => !part.is_empty(),
        _ => false,
    }
}

/// Gives its argument, and keeps conditions from being computed below it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Fence {
    signature: Signature,
}

impl ScalarUDFImpl for Fence {
    fn name(&self) -> &str {
        "computed_once"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        types.first().cloned().ok_or_else(|| internal_datafusion_err!("a fence around nothing"))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        args.args.into_iter().next().ok_or_else(|| internal_datafusion_err!("a fence around nothing"))
    }

    /// DataFusion moves no condition below a projection of such an expression.
    fn placement(&self, _: &[ExpressionPlacement]) -> ExpressionPlacement {
        ExpressionPlacement::MoveTowardsLeafNodes
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::lit;

    use super::*;

    #[test]
    fn patterns_that_are_compared_without_an_expression() {
        for pattern in ["a", "a%", "%a", "%a%", "a%b", ""] {
            assert!(is_simple_like(&[lit("x"), lit(pattern)]), "{pattern}");
        }
        for pattern in ["%", "a_", "%a%b", "a\\%", "%%", "a%b%c"] {
            assert!(!is_simple_like(&[lit("x"), lit(pattern)]), "{pattern}");
        }
        assert!(!is_simple_like(&[lit("x"), lit("a"), lit("/")]));
    }
}
