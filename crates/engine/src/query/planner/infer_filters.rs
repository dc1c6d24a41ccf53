//! Spark's `InferFiltersFromConstraints`: what the filters and equalities of a plan tell of
//! other columns becomes a filter of its own, and goes further down than they do.
//!
//! Which rows reach a watermark, a join or an aggregation shows in event times and in state.
//!
//! Spark differs: it plans each batch anew, and where a stream has no new rows it has forgotten the
//! filters written right above it before it infers anything. Rows of a joined stream that those
//! filters would have kept from its watermark reach it in such a batch; no row of the join does.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    common::{
        Column, DFSchema, ExprSchema, JoinType, NullEquality, Result,
        tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion},
    },
    functions_nested::expr_fn::cardinality,
    logical_expr::{
        BinaryExpr, Expr, Filter, Join, LogicalPlan, Operator, Projection, Unnest, lit,
        utils::{conjunction, split_conjunction},
    },
};

use super::{is_streaming, null_intolerant::is_null_intolerant, stream_join::is_over_stream};
use crate::plan::{Deduplicate, EventTimeWatermark, SessionWindow, TimeWindow};

/// Adds the filters that follow from others to the filters and joins over streams.
pub(super) fn infer(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up(|node| match node {
        LogicalPlan::Join(join) if is_over_stream(&join) => infer_for_join(join).map(Transformed::yes),
        LogicalPlan::Filter(filter) if is_streaming(&filter.input) => {
            let input = LogicalPlan::Filter(filter);
            let conjuncts = match &input {
                LogicalPlan::Filter(filter) => split_conjunction(&filter.predicate),
                _ => vec![],
            };
            let known = constraints(&input);
            let LogicalPlan::Filter(filter) = &input else { return Ok(Transformed::no(input)) };
            let had = constraints(&filter.input);
            let new = known.iter().filter(|c| !had.contains(c) && !conjuncts.contains(c)).cloned();
            match conjunction(new) {
                None => Ok(Transformed::no(input)),
                Some(new) => {
                    let predicate = new.and(filter.predicate.clone());
                    let filter = Filter::try_new(predicate, Arc::clone(&filter.input))?;
                    Ok(Transformed::yes(LogicalPlan::Filter(filter)))
                }
            }
        }
        LogicalPlan::Unnest(unnest) if is_streaming(&unnest.input) => infer_for_generator(unnest),
        node => Ok(Transformed::no(node)),
    })
    .data()
}

/// `InferFiltersFromGenerate`: a column that is exploded has elements.
fn infer_for_generator(unnest: Unnest) -> Result<Transformed<LogicalPlan>> {
    let [list] = unnest.exec_columns.as_slice() else {
        return Ok(Transformed::no(LogicalPlan::Unnest(unnest)));
    };
    if is_made(list, &unnest.input) {
        return Ok(Transformed::no(LogicalPlan::Unnest(unnest)));
    }
    let column = Expr::Column(list.clone());
    let elements = cardinality(column.clone()).gt(lit(0_u64)).and(column.is_not_null());
    let input = Arc::new(LogicalPlan::Filter(Filter::try_new(elements, Arc::clone(&unnest.input))?));
    Ok(Transformed::yes(LogicalPlan::Unnest(Unnest { input, ..unnest })))
}

/// Whether a list of `plan` that is to be exploded is an expression to Spark, which makes it where it
/// explodes it; a semi join may have gone in between.
fn is_made(list: &Column, plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(projection) => {
            let place = projection.schema.maybe_index_of_column(list);
            let made = place.and_then(|place| projection.expr.get(place));
            !matches!(made.map(|e| e.clone().unalias_nested().data), Some(Expr::Column(_)))
        }
        LogicalPlan::Join(_) | LogicalPlan::Filter(_) => {
            let inputs = plan.inputs();
            inputs.into_iter().any(|input| input.schema().has_column(list) && is_made(list, input))
        }
        _ => false,
    }
}

fn infer_for_join(mut join: Join) -> Result<LogicalPlan> {
    let (on_left, on_right) = match join.join_type {
        JoinType::Inner | JoinType::LeftSemi => (true, true),
        JoinType::Left | JoinType::LeftAnti => (false, true),
        JoinType::Right => (true, false),
        _ => return Ok(LogicalPlan::Join(join)),
    };
    let mut known = constraints(&join.left);
    known.extend(constraints(&join.right));
    known.extend(condition(&join));
    known.extend(by_equalities(&known));
    let side = |input: &Arc<LogicalPlan>| -> Result<Arc<LogicalPlan>> {
        let had = constraints(input);
        let filters = complete(known.clone(), input.schema());
        match conjunction(filters.into_iter().filter(|f| !had.contains(f))) {
            None => Ok(Arc::clone(input)),
            Some(filter) => Ok(Arc::new(LogicalPlan::Filter(Filter::try_new(filter, Arc::clone(input))?))),
        }
    };
    let (left, right) = (side(&join.left)?, side(&join.right)?);
    if on_left {
        join.left = left;
    }
    if on_right {
        join.right = right;
    }
    Ok(LogicalPlan::Join(join))
}

/// A join's condition, part by part.
fn condition(join: &Join) -> Vec<Expr> {
    let op = match join.null_equality {
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
        NullEquality::NullEqualsNothing => Operator::Eq,
    };
    let mut parts: Vec<Expr> = join.on.iter().map(|(l, r)| binary(l.clone(), op, r.clone())).collect();
    parts.extend(join.filter.iter().flat_map(split_conjunction).cloned());
    parts
}

/// What holds for each row of a plan's output.
fn constraints(plan: &LogicalPlan) -> Vec<Expr> {
    let mut valid = valid(plan);
    valid.extend(by_equalities(&valid));
    complete(valid, plan.schema())
}

/// Those of `known`, and of the columns that are not null where they hold, that speak of `schema`.
fn complete(mut known: Vec<Expr>, schema: &DFSchema) -> Vec<Expr> {
    let mut not_null = BTreeSet::new();
    known.iter().for_each(|constraint| null_intolerant(constraint, &mut not_null));
    let may_be_null =
        |column: &&Column| schema.field_from_column(column).is_ok_and(|field| field.is_nullable());
    known
        .extend(not_null.iter().filter(may_be_null).map(|column| Expr::Column(column.clone()).is_not_null()));
    let mut found: Vec<Expr> = Vec::new();
    for constraint in known {
        let columns = constraint.column_refs();
        let own = !columns.is_empty() && columns.into_iter().all(|column| schema.has_column(column));
        if own && !constraint.is_volatile() && !found.contains(&constraint) {
            found.push(constraint);
        }
    }
    found
}

/// What follows when one side of an equality of columns stands for the other.
fn by_equalities(known: &[Expr]) -> Vec<Expr> {
    let predicates: Vec<&Expr> =
        known.iter().filter(|c| !matches!(c, Expr::IsNotNull(_)) && !c.is_volatile()).collect();
    let mut inferred: Vec<Expr> = Vec::new();
    for equality in &predicates {
        let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = equality else { continue };
        let ways: Vec<(&Column, &Expr)> = match (left.as_ref(), right.as_ref()) {
            (Expr::Column(l), Expr::Column(r)) if l != r => vec![(l, right), (r, left)],
            (Expr::Column(column), cast) | (cast, Expr::Column(column)) if is_cast_column(cast) => {
                vec![(column, cast)]
            }
            _ => continue,
        };
        for (from, to) in ways {
            for other in &predicates {
                if other == equality || !other.column_refs().contains(from) {
                    continue;
                }
                let Ok(new) = replace((*other).clone(), from, to) else { continue };
                if !says_nothing(&new) && !known.contains(&new) && !inferred.contains(&new) {
                    inferred.push(new);
                }
            }
        }
    }
    inferred
}

fn is_cast_column(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(cast) => matches!(cast.expr.as_ref(), Expr::Column(_)),
        Expr::ScalarFunction(call) => {
            call.name() == "cast" && matches!(call.args.as_slice(), [Expr::Column(_)])
        }
        _ => false,
    }
}

/// Whether both sides of an equality are one.
fn says_nothing(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq | Operator::IsNotDistinctFrom, right }) => {
            left == right
        }
        _ => false,
    }
}

/// What a node and those below say, under its own names.
fn valid(plan: &LogicalPlan) -> Vec<Expr> {
    match plan {
        LogicalPlan::Filter(filter) => {
            let mut known: Vec<Expr> = split_conjunction(&filter.predicate).into_iter().cloned().collect();
            known.extend(constraints(&filter.input));
            known
        }
        LogicalPlan::Sort(sort) => constraints(&sort.input),
        LogicalPlan::Limit(limit) => constraints(&limit.input),
        LogicalPlan::Unnest(unnest) => {
            let mut known = constraints(&unnest.input);
            known.retain(|c| !c.column_refs().iter().any(|column| unnest.exec_columns.contains(*column)));
            known
        }
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::Inner => {
                let mut known = condition(join);
                known.extend(constraints(&join.left));
                known.extend(constraints(&join.right));
                known
            }
            JoinType::LeftSemi => {
                let mut known = condition(join);
                known.extend(constraints(&join.left));
                known
            }
            JoinType::Left | JoinType::LeftAnti => constraints(&join.left),
            JoinType::Right => constraints(&join.right),
            _ => vec![],
        },
        LogicalPlan::Extension(extension) => {
            let any = extension.node.as_any();
            let passes = any.is::<EventTimeWatermark>()
                || any.downcast_ref::<TimeWindow>().is_some_and(|window| window.spec().is_tumbling())
                || any.is::<SessionWindow>()
                || any.is::<Deduplicate>();
            match (extension.node.inputs().as_slice(), any.downcast_ref::<TimeWindow>()) {
                ([input], _) if passes => constraints(input),
                // Windows that overlap are made by Spark's `Expand`, of which it knows nothing but what
                // the edges are compared with.
                (_, Some(window)) if !window.spec().is_multiple() => {
                    let mut compared = BTreeSet::new();
                    null_intolerant(window.time(), &mut compared);
                    compared.into_iter().map(|column| Expr::Column(column).is_not_null()).collect()
                }
                _ => vec![],
            }
        }
        LogicalPlan::Projection(projection) => of_projection(projection),
        LogicalPlan::Aggregate(aggregate) => {
            // By the names the keys get.
            let keys = aggregate.group_expr.iter().map(|key| key.clone().unalias_nested().data);
            let names: Vec<_> = keys.zip(aggregate.schema.columns()).collect();
            under_other_names(constraints(&aggregate.input), &names)
        }
        LogicalPlan::Union(union) => {
            // What holds for every input.
            let mut inputs = union.inputs.iter().map(|input| {
                let own = input.schema().columns().into_iter().map(Expr::Column);
                let names = own.zip(union.schema.columns());
                under_other_names(constraints(input), &names.collect::<Vec<_>>())
            });
            let mut known = inputs.next().unwrap_or_default();
            for other in inputs {
                known.retain(|constraint| other.contains(constraint));
            }
            known
        }
        _ => vec![],
    }
}

/// By the names a projection gives; a constant column is one.
fn of_projection(projection: &Projection) -> Vec<Expr> {
    let mut names = Vec::new();
    let mut constants = Vec::new();
    for (expr, name) in projection.expr.iter().zip(projection.schema.columns()) {
        match expr.clone().unalias_nested().data {
            value @ Expr::Literal(_, _) => {
                constants.push(binary(Expr::Column(name), Operator::IsNotDistinctFrom, value));
            }
            value => names.push((value, name)),
        }
    }
    let mut known = under_other_names(constraints(&projection.input), &names);
    known.extend(constants);
    known
}

/// Constraints on values that all have a name: Spark's `getAllValidConstraints` puts the name of an
/// expression in its place wherever it stands.
fn under_other_names(mut constraints: Vec<Expr>, names: &[(Expr, Column)]) -> Vec<Expr> {
    let stands_for = |value: &Expr| !value.is_volatile() && !matches!(value, Expr::Literal(..));
    for (value, name) in names.iter().filter(|(value, _)| stands_for(value)) {
        let named = |constraint: &Expr| {
            let put = |e: Expr| match e == *value {
                true => Ok(Transformed::new(Expr::Column(name.clone()), true, TreeNodeRecursion::Jump)),
                false => Ok(Transformed::no(e)),
            };
            constraint.clone().transform_down(put).ok().filter(|put| put.transformed).map(|put| put.data)
        };
        let named: Vec<Expr> = constraints.iter().filter_map(named).collect();
        constraints.extend(named);
    }
    let known: BTreeSet<&Column> = names.iter().map(|(_, name)| name).collect();
    constraints.retain(|constraint| constraint.column_refs().iter().all(|column| known.contains(column)));
    constraints
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn replace(expr: Expr, from: &Column, to: &Expr) -> Result<Expr> {
    expr.transform_up(|e| match e {
        Expr::Column(c) if c == *from => Ok(Transformed::yes(to.clone())),
        e => Ok(Transformed::no(e)),
    })
    .data()
}

/// Columns that are not null where `expr` is true (or, inside, not null).
pub(super) fn null_intolerant(expr: &Expr, found: &mut BTreeSet<Column>) {
    match expr {
        Expr::Column(column) => {
            found.insert(column.clone());
        }
        Expr::Alias(alias) => null_intolerant(&alias.expr, found),
        Expr::IsNotNull(inner) | Expr::Not(inner) | Expr::Negative(inner) => null_intolerant(inner, found),
        Expr::Cast(cast) => null_intolerant(&cast.expr, found),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
            Operator::And | Operator::Or | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => {}
            _ => {
                null_intolerant(left, found);
                null_intolerant(right, found);
            }
        },
        Expr::ScalarFunction(call) if is_null_intolerant(call.name()) => {
            call.args.iter().for_each(|arg| null_intolerant(arg, found));
        }
        _ => {}
    }
}
