//! Spark's `PushDownLeftSemiAntiJoin`: a left semi or anti join that compares keys of an
//! aggregation, or nothing that a generator makes, goes below it, and one that compares one side of
//! a join on that side. Rows are then late, kept and matched one by one, not as groups. Of a union
//! each input is joined, by an operator of its own.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::{
        Column, JoinType, NullEquality,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    datasource::{provider_as_source, source_as_provider},
    logical_expr::{
        Aggregate, BinaryExpr, Expr, Extension, Join, LogicalPlan, LogicalPlanBuilder, Operator, Projection,
        Union, utils::split_conjunction,
    },
};

use super::is_streaming;
use crate::plan::{EventTimeWatermark, StreamScan};

/// Moves the semi joins of a plan as far down as they go.
pub(super) fn push_below_groups(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    plan.transform_down(|node| match &node {
        LogicalPlan::Join(join)
            if matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
                && is_streaming(&join.left) =>
        {
            Ok(match pushed(join)? {
                Some(pushed) => Transformed::yes(pushed),
                None => Transformed::no(node),
            })
        }
        _ => Ok(Transformed::no(node)),
    })
    .data()
}

/// `join` below the aggregation or the generator on its left, if it compares nothing they make.
fn pushed(join: &Join) -> datafusion::common::Result<Option<LogicalPlan>> {
    if join.null_equality != NullEquality::NullEqualsNothing {
        return Ok(None);
    }
    let mut projections: Vec<&Projection> = Vec::new();
    let mut left = join.left.as_ref();
    while let LogicalPlan::Projection(projection) = left {
        projections.push(projection);
        left = &projection.input;
    }
    let equal = |(l, r): &(Expr, Expr)| {
        Expr::BinaryExpr(BinaryExpr::new(l.clone().into(), Operator::Eq, r.clone().into()))
    };
    let mut condition: Vec<Expr> = join.on.iter().map(equal).collect();
    condition.extend(join.filter.iter().flat_map(split_conjunction).cloned());
    for projection in &projections {
        let meanings = meanings(projection.schema.columns(), &projection.expr);
        condition = spelled_out(condition, &meanings)?;
    }
    let beside = join.right.schema();
    let moved = match left {
        LogicalPlan::Aggregate(aggregate) => below_keys(aggregate, join, condition)?,
        LogicalPlan::Unnest(unnest) => {
            let below = unnest.input.schema();
            let known = |column: &&Column| {
                beside.has_column(column) || below.has_column(column) && !unnest.exec_columns.contains(column)
            };
            match condition.iter().all(|e| e.column_refs().iter().all(known)) {
                true => {
                    let joined = joined(&unnest.input, join, condition)?;
                    Some(left.with_new_exprs(left.expressions(), vec![joined])?)
                }
                false => None,
            }
        }
        LogicalPlan::Union(union) => Some(LogicalPlan::Union(into_inputs(union, join, &condition)?)),
        LogicalPlan::Join(below) => below_join(below, join, condition)?,
        _ => None,
    };
    let Some(mut plan) = moved else { return Ok(None) };
    for above in projections.into_iter().rev() {
        let (exprs, schema) = (above.expr.clone(), Arc::clone(&above.schema));
        plan = LogicalPlan::Projection(Projection::try_new_with_schema(exprs, Arc::new(plan), schema)?);
    }
    Ok(Some(plan))
}

/// `input` joined as `join` joins its left side, on `condition`.
fn joined(input: &LogicalPlan, join: &Join, condition: Vec<Expr>) -> datafusion::common::Result<LogicalPlan> {
    let builder = LogicalPlanBuilder::from(input.clone());
    builder.join_on(join.right.as_ref().clone(), join.join_type, condition)?.build()
}

/// Each input of `union` joined as `join` joins all.
///
/// Spark differs: it plans each batch anew, has no join for an input without new rows, and then
/// numbers the others differently: one join reads the state of another. Here each keeps its own.
fn into_inputs(union: &Union, join: &Join, condition: &[Expr]) -> datafusion::common::Result<Union> {
    let last = union.inputs.len().saturating_sub(1);
    let inputs = union.inputs.iter().enumerate().map(|(place, input)| {
        let own: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        let condition = spelled_out(condition.to_vec(), &meanings(union.schema.columns(), &own))?;
        let condition = spelled_out(condition, &constants(input)?)?;
        // Streams are numbered from left to right as written: the right side comes last.
        let right = match place == last {
            true => join.right.as_ref().clone(),
            false => repeated(join.right.as_ref().clone())?,
        };
        let builder = LogicalPlanBuilder::from(input.as_ref().clone());
        builder.join_on(right, join.join_type, condition)?.build().map(Arc::new)
    });
    let inputs = inputs.collect::<datafusion::common::Result<Vec<_>>>()?;
    Ok(Union { inputs, schema: Arc::clone(&union.schema) })
}

/// Spark's `PushLeftSemiLeftAntiThroughJoin`: `join` on the one side of the join `below` that it
/// compares with; the left one, if it could be either.
fn below_join(
    below: &Join,
    join: &Join,
    condition: Vec<Expr>,
) -> datafusion::common::Result<Option<LogicalPlan>> {
    let reads = |side: &LogicalPlan| {
        let known = |c: &&Column| side.schema().has_column(c) || join.right.schema().has_column(c);
        condition.iter().all(|e| e.column_refs().iter().all(known))
    };
    let (to_left, to_right) = match below.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left => (true, false),
        JoinType::Right => (false, true),
        _ => (false, false),
    };
    let mut moved = below.clone();
    match (reads(&below.left), reads(&below.right)) {
        _ if condition.is_empty() => return Ok(None),
        // Streams are numbered from left to right as written: the one joined comes last.
        (true, _) if to_left && !(is_streaming(&below.right) && is_streaming(&join.right)) => {
            moved.left = Arc::new(joined(&below.left, join, condition)?);
        }
        (false, true) if to_right => moved.right = Arc::new(joined(&below.right, join, condition)?),
        _ => return Ok(None),
    }
    Ok(Some(LogicalPlan::Join(moved)))
}

/// The columns of projections that are constants: Spark's `FoldablePropagation` puts those in the
/// place of the columns, and a comparison with one is no key.
fn constants(plan: &LogicalPlan) -> datafusion::common::Result<BTreeMap<Column, Expr>> {
    let LogicalPlan::Projection(projection) = plan else { return Ok(BTreeMap::new()) };
    let own = projection.expr.iter().map(|e| e.clone().unalias_nested().data).collect();
    let spelled = spelled_out(own, &constants(&projection.input)?)?;
    let mut constants = meanings(projection.schema.columns(), &spelled);
    constants.retain(|_, meaning| matches!(meaning, Expr::Literal(..)));
    Ok(constants)
}

/// `plan` as one whose streams and watermarks stand elsewhere, too.
fn repeated(plan: LogicalPlan) -> datafusion::common::Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::TableScan(mut scan) => {
            let provider = source_as_provider(&scan.source)?;
            Ok(match provider.downcast_ref::<StreamScan>() {
                Some(stream) => {
                    scan.source = provider_as_source(Arc::new(stream.repeated()));
                    Transformed::yes(LogicalPlan::TableScan(scan))
                }
                None => Transformed::no(LogicalPlan::TableScan(scan)),
            })
        }
        LogicalPlan::Extension(extension) => {
            Ok(match extension.node.as_any().downcast_ref::<EventTimeWatermark>() {
                Some(watermark) => {
                    let node = Arc::new(watermark.repeated());
                    Transformed::yes(LogicalPlan::Extension(Extension { node }))
                }
                None => Transformed::no(LogicalPlan::Extension(extension)),
            })
        }
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// `join` below the aggregation, if it compares nothing but keys.
fn below_keys(
    aggregate: &Aggregate,
    join: &Join,
    condition: Vec<Expr>,
) -> datafusion::common::Result<Option<LogicalPlan>> {
    if aggregate.group_expr.is_empty() || aggregate.group_expr.iter().any(Expr::is_volatile) {
        return Ok(None);
    }
    let keys = meanings(aggregate.schema.columns(), &aggregate.group_expr);
    let (below, beside) = (aggregate.input.schema(), join.right.schema());
    let condition = spelled_out(condition, &keys)?;
    let known = |column: &&Column| below.has_column(column) || beside.has_column(column);
    if !condition.iter().all(|e| e.column_refs().iter().all(known)) {
        return Ok(None);
    }

    let moved = Aggregate::try_new_with_schema(
        Arc::new(joined(&aggregate.input, join, condition)?),
        aggregate.group_expr.clone(),
        aggregate.aggr_expr.clone(),
        Arc::clone(&aggregate.schema),
    )?;
    Ok(Some(LogicalPlan::Aggregate(moved)))
}

/// What the first columns of a node mean over its input.
pub(super) fn meanings(columns: Vec<Column>, exprs: &[Expr]) -> BTreeMap<Column, Expr> {
    columns
        .into_iter()
        .zip(exprs)
        .map(|(column, expr)| (column, expr.clone().unalias_nested().data))
        .collect()
}

/// The conditions with what the columns mean in their places.
pub(super) fn spelled_out(
    condition: Vec<Expr>,
    meanings: &BTreeMap<Column, Expr>,
) -> datafusion::common::Result<Vec<Expr>> {
    let spell = |expr: Expr| {
        let spelled = expr.transform_up(|e| match &e {
            Expr::Column(column) => Ok(match meanings.get(column) {
                Some(meaning) => Transformed::yes(meaning.clone()),
                None => Transformed::no(e),
            }),
            _ => Ok(Transformed::no(e)),
        });
        spelled.data()
    };
    condition.into_iter().map(spell).collect()
}
