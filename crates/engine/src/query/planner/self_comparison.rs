//! Spark's `SimplifyBinaryComparison`: a value that is compared with itself.
//!
//! Wherever it stands in a condition: what is left of the condition may be constant, and which
//! rows a watermark and an operator with state see depends on that.

use std::collections::BTreeSet;

use datafusion::{
    common::{
        Column, Result,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, Extension, Filter, LogicalPlan, Operator, lit,
        utils::{conjunction, split_conjunction},
    },
};

use super::infer_filters;
use crate::plan::TimeWindow;

/// The condition of `filter` with the comparisons of a column or a field with itself answered, where
/// that is never null; once filters are `inferred`, also where the rest of the condition is not met
/// for a null, which the condition then says.
pub(super) fn answer(filter: &Filter, inferred: bool) -> Result<Transformed<Expr>> {
    let schema = filter.input.schema();
    let (mut given, mut missed) = (BTreeSet::new(), BTreeSet::new());
    if inferred {
        split_conjunction(&filter.predicate)
            .iter()
            .for_each(|c| infer_filters::null_intolerant(c, &mut given));
    }
    let answered = filter.predicate.clone().transform_up(|expr| {
        let Some((value, always)) = with_itself(&expr) else { return Ok(Transformed::no(expr)) };
        let may_be_null = match window_below(&filter.input).filter(|window| reads_window(value, window)) {
            Some(_) if is_computed(value, &filter.input) => return Ok(Transformed::no(expr)),
            // Asked for both edges already, as the time has to be between them.
            Some(window) if is_field(value) => window.spec().is_multiple(),
            Some(window) => !window.spec().is_tumbling(),
            None => value.nullable(schema)?,
        };
        if may_be_null {
            let columns = value.column_refs();
            if !columns.iter().all(|column| given.contains(*column)) {
                return Ok(Transformed::no(expr));
            }
            missed.extend(columns.into_iter().cloned());
        }
        Ok(Transformed::yes(lit(always)))
    })?;
    let not_null = missed.into_iter().map(|column| Expr::Column(column).is_not_null());
    answered.map_data(|condition| Ok(conjunction(not_null.chain([condition])).unwrap_or_else(|| lit(true))))
}

/// The column or the field that is compared with itself, and what comes of it if it is not null.
fn with_itself(expr: &Expr) -> Option<(&Expr, bool)> {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = expr else { return None };
    let always = match op {
        Operator::Eq | Operator::GtEq | Operator::LtEq => true,
        Operator::NotEq | Operator::Gt | Operator::Lt => false,
        _ => return None,
    };
    (left == right && is_column_or_field(left)).then_some((left, always))
}

/// Whether the start or the end of a window is looked at where it is made: of one that does not
/// overlap it is an expression to Spark, which may be null, and no column that it knows is not.
pub(super) fn is_computed(value: &Expr, input: &LogicalPlan) -> bool {
    let made = window_below(input).filter(|window| window.spec().is_tumbling());
    made.is_some_and(|window| is_field(value) && reads_window(value, window))
}

fn window_below(input: &LogicalPlan) -> Option<&TimeWindow> {
    let LogicalPlan::Extension(Extension { node }) = input else { return None };
    node.as_any().downcast_ref::<TimeWindow>()
}

fn reads_window(value: &Expr, window: &TimeWindow) -> bool {
    value.column_refs().contains(&Column::new_unqualified(window.output()))
}

fn is_field(value: &Expr) -> bool {
    !matches!(value, Expr::Column(_))
}

/// Whether `expr` is a column or a field of one.
pub(super) fn is_column_or_field(expr: &Expr) -> bool {
    match expr {
        Expr::Column(_) => true,
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            call.args.first().is_some_and(is_column_or_field)
        }
        _ => false,
    }
}
