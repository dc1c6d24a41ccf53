//! Spark's `EliminateOuterJoin` to the letter: a condition refuses padded rows if its value for a
//! row of nulls is null or false. DataFusion's rule knows only some forms of such conditions.

use std::{collections::BTreeSet, fmt};

use datafusion::{
    common::{
        ExprSchema, JoinType, Result, ScalarValue,
        tree_node::{Transformed, TransformedResult, TreeNode},
    },
    execution::SessionState,
    logical_expr::{Expr, Filter, Join, LogicalPlan, utils::split_conjunction},
    optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule},
};

use super::{constant_filters::constant, infer_filters, stream_join::is_over_stream};

/// Narrows outer joins over streams below filters.
pub(super) struct Refused {
    session: SessionState,
}

impl Refused {
    pub(super) fn new(session: SessionState) -> Self {
        Self { session }
    }

    /// What `join` right below `filter` is narrowed to.
    pub(super) fn kind(&self, filter: &Filter, join: &Join) -> Result<JoinType> {
        use JoinType::{Full, Inner, Left, Right};
        if !is_over_stream(join) {
            return Ok(join.join_type);
        }
        Ok(match join.join_type {
            Left if self.refuses(filter, join, true)? => Inner,
            Right if self.refuses(filter, join, false)? => Inner,
            Full => match (self.refuses(filter, join, false)?, self.refuses(filter, join, true)?) {
                (true, true) => Inner,
                (true, false) => Left,
                (false, true) => Right,
                (false, false) => Full,
            },
            kind => kind,
        })
    }

    /// Whether a conjunct of `filter` is met by no row whose columns of one side are null.
    fn refuses(&self, filter: &Filter, join: &Join, right: bool) -> Result<bool> {
        let side = if right { join.right.schema() } else { join.left.schema() };
        for conjunct in split_conjunction(&filter.predicate) {
            // Whatever is null where one of these is; the condition may read the other side, too.
            let mut wanted = BTreeSet::new();
            infer_filters::null_intolerant(conjunct, &mut wanted);
            if wanted.iter().any(|column| side.has_column(column)) {
                return Ok(true);
            }
            let columns = conjunct.column_refs();
            if conjunct.is_volatile() || !columns.iter().all(|column| side.has_column(column)) {
                continue;
            }
            let nulls = conjunct.clone().transform_up(|e| match &e {
                Expr::Column(column) => {
                    let null = ScalarValue::try_from(side.data_type(column)?)?;
                    Ok(Transformed::yes(Expr::Literal(null, None)))
                }
                _ => Ok(Transformed::no(e)),
            });
            if let Expr::Literal(value, _) = constant(&nulls.data()?, &self.session)?
                && (value.is_null() || value == ScalarValue::Boolean(Some(false)))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refused")
    }
}

impl OptimizerRule for Refused {
    fn name(&self) -> &str {
        "refused_padded_rows"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::TopDown)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let LogicalPlan::Join(join) = filter.input.as_ref() else { return Ok(Transformed::no(plan)) };
        let kind = self.kind(filter, join)?;
        if kind == join.join_type {
            return Ok(Transformed::no(plan));
        }
        let narrow = Join::try_new(
            join.left.clone(),
            join.right.clone(),
            join.on.clone(),
            join.filter.clone(),
            kind,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?;
        let narrow = Filter::try_new(filter.predicate.clone(), LogicalPlan::Join(narrow).into())?;
        Ok(Transformed::yes(LogicalPlan::Filter(narrow)))
    }
}
