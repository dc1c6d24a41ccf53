//! `Aggregate`: grouping, and aggregates inside larger expressions.
//!
//! Spark's output is the grouping columns, then the aggregate expressions, each of which
//! may mix grouping expressions and aggregate calls: `sum(a) / count(b) + k`. It becomes a
//! plain aggregation (keys and calls) under a projection.

use std::sync::Arc;

use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{
    Result, SparkError,
    plan::{Nondeterministic, SESSION_WINDOW_KEY, UpdatingSessions},
};
use spark_connect_proto::{self as proto, aggregate::GroupType, expression::ExprType};

use super::{
    attribute::Attribute,
    below::Below,
    grouping_sets::{self, Shape},
    scope::RelationScope,
    sort,
    translator::{Frame, Translator},
    window_function,
};
use crate::{expression::TypedExpr, functions::grouping};

/// An aggregation being put together.
#[derive(Debug, Clone)]
pub(super) struct Aggregation {
    /// What is aggregated, `window()` column included.
    pub input: Frame,
    keys: Vec<Key>,
    shape: Shape,
    calls: Vec<(Expr, String)>,
    /// What is shown: an expression over keys and calls, and its column.
    outputs: Vec<(Expr, Attribute)>,
}

/// A grouping expression and the column it becomes.
#[derive(Debug, Clone)]
pub(super) struct Key {
    /// The expression over the input.
    pub item: TypedExpr,
    /// Its column in the aggregate's output.
    pub id: String,
}

impl Key {
    /// A key of its own column.
    pub fn new(translator: &Translator<'_>, item: TypedExpr) -> Self {
        let item = unaliased(item);
        let id = translator.new_id();
        translator.name_key(&id, &item.expr);
        Self { item, id }
    }
}

/// Whether `expr` uses a column of a function of a row's place.
fn is_drawn(input: &Frame, expr: &Expr) -> bool {
    let LogicalPlan::Extension(extension) = input.plan.as_ref() else { return false };
    let Some(node) = extension.node.as_any().downcast_ref::<Nondeterministic>() else { return false };
    expr.column_refs().iter().any(|column| node.draws(&column.name))
}

/// Whether `expr` calls an aggregate function (outside of a window function).
pub(super) fn contains_aggregate(expr: &Expr) -> bool {
    let mut found = false;
    let walked = expr.apply(|e| {
        Ok(match e {
            Expr::AggregateFunction(_) => {
                found = true;
                TreeNodeRecursion::Stop
            }
            Expr::WindowFunction(_) => TreeNodeRecursion::Jump,
            _ => TreeNodeRecursion::Continue,
        })
    });
    walked.is_ok() && found
}

impl Aggregation {
    /// An aggregation of `input` by `keys`, without outputs yet.
    pub fn new(input: Frame, keys: Vec<Key>) -> Self {
        Self { input, keys, shape: Shape::Plain, calls: Vec::new(), outputs: Vec::new() }
    }

    /// The output expression for `item`, over the columns of the aggregate node.
    ///
    /// # Errors
    /// `MISSING_AGGREGATION` / `MISSING_GROUP_BY` for a column that is neither grouped
    /// nor aggregated; `NESTED_AGGREGATE_FUNCTION`.
    pub fn output(&mut self, translator: &Translator<'_>, item: &TypedExpr) -> Result<TypedExpr> {
        let Self { input, keys, shape, calls, outputs } = self;
        let mut stray: Option<Column> = None;
        let (mut nested, mut unsteady) = (false, false);
        let rewritten = item.expr.clone().transform_down(|e| {
            if let Some(key) = keys.iter().find(|key| key.item.expr == e) {
                let column = Expr::Column(Column::new_unqualified(&key.id));
                return Ok(Transformed::new(column, true, TreeNodeRecursion::Jump));
            }
            // HAVING and ORDER BY may name what the select list shows.
            if let Expr::Column(column) = &e
                && let Some((shown, _)) = outputs.iter().find(|(_, a)| a.id == column.name)
            {
                return Ok(Transformed::new(shown.clone(), true, TreeNodeRecursion::Jump));
            }
            if let Some((arguments, single)) = grouping::marked(&e) {
                let meant = grouping_sets::grouping(shape, keys, arguments, single)?;
                return Ok(Transformed::new(meant, true, TreeNodeRecursion::Jump));
            }
            match &e {
                Expr::AggregateFunction(call) => {
                    unsteady |= call.params.args.iter().any(|arg| is_drawn(input, arg));
                    nested |= call.params.args.iter().any(contains_aggregate);
                    let id = match calls.iter().find(|(known, _)| *known == e) {
                        Some((_, id)) => id.clone(),
                        None => {
                            let id = translator.new_id();
                            calls.push((e.clone(), id.clone()));
                            id
                        }
                    };
                    Ok(Transformed::new(
                        Expr::Column(Column::new_unqualified(id)),
                        true,
                        TreeNodeRecursion::Jump,
                    ))
                }
                Expr::Column(column) => {
                    stray.get_or_insert_with(|| column.clone());
                    Ok(Transformed::no(e))
                }
                _ => Ok(Transformed::no(e)),
            }
        })?;
        if nested {
            return Err(SparkError::new("NESTED_AGGREGATE_FUNCTION"));
        }
        if unsteady {
            return Err(SparkError::new("AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION")
                .with("sqlExpr", format!("\"{}\"", item.sql)));
        }
        if let Some(column) = stray {
            return Err(self.not_aggregated(item, &column));
        }
        Ok(TypedExpr { expr: rewritten.data, ..item.clone() })
    }

    fn not_aggregated(&self, item: &TypedExpr, column: &Column) -> SparkError {
        if is_drawn(&self.input, &Expr::Column(column.clone())) {
            return SparkError::unsupported("a nondeterministic function beside aggregates");
        }
        if self.keys.is_empty() {
            return SparkError::new("MISSING_GROUP_BY");
        }
        let name = self
            .input
            .columns
            .iter()
            .find(|a| a.id == column.name)
            .map_or_else(|| item.sql.clone(), |a| a.name().to_string());
        SparkError::new("MISSING_AGGREGATION")
            .with("expression", format!("\"{name}\""))
            .with("expressionAnyValue", format!("\"any_value({name})\""))
    }

    /// The frame of `outputs`, which came from [`Aggregation::output`].
    pub fn build(mut self, translator: &Translator<'_>, outputs: Vec<TypedExpr>) -> Result<Frame> {
        for item in &outputs {
            let (_, mut column) = translator.output(item);
            if self.input.is_streaming {
                // As Spark shows the result of an aggregation over a stream.
                column = column.with_nullable(true);
            }
            // A grouping column that is shown as it is stays the same column to the user.
            if let Some(source) = self.grouped_column(&item.expr).filter(|a| a.name() == item.name)
                && !self.outputs.iter().any(|(_, c)| c.identity == source.identity)
            {
                column.identity = source.identity.clone();
                column.qualifier = source.qualifier.clone();
            }
            self.outputs.push((item.expr.clone(), column));
        }
        self.frame(translator, &[])
    }

    /// The visible outputs, and `hidden` ones in the plan only.
    fn frame(self, translator: &Translator<'_>, hidden: &[(Expr, String)]) -> Result<Frame> {
        let shown = self.outputs.iter().map(|(expr, column)| expr.clone().alias(&column.id));
        let exprs: Vec<Expr> = shown.chain(hidden.iter().map(|(expr, id)| expr.clone().alias(id))).collect();
        let grouped = Frame::new(self.plan()?, Vec::new(), self.input.is_streaming);
        // Window functions look at the groups.
        let (plan, exprs) = match window_function::pull(translator, &grouped, exprs.clone())? {
            Some((plan, exprs)) => (Arc::new(plan), exprs),
            None => (grouped.plan, exprs),
        };
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, plan)?);
        let columns = self.outputs.iter().map(|(_, column)| column.clone()).collect();
        let mut frame = Frame::new(plan, columns, self.input.is_streaming);
        frame.below = Some(Arc::new(Below::Aggregate(self)));
        Ok(frame)
    }

    /// The input column behind an output that is a plain grouping column.
    fn grouped_column(&self, expr: &Expr) -> Option<&Attribute> {
        let Expr::Column(column) = expr else { return None };
        let key = self.keys.iter().find(|key| key.id == column.name)?;
        let Expr::Column(source) = &key.item.expr else { return None };
        self.input.columns.iter().find(|a| a.id == source.name)
    }

    /// The aggregate calls that outputs refer to, with their ids.
    pub fn into_calls(self) -> Vec<(Expr, String)> {
        self.calls
    }

    /// Whether an output shows a key.
    fn mentions_key(&self, output: &Expr) -> bool {
        output.column_refs().iter().any(|column| self.keys.iter().any(|key| key.id == column.name))
    }

    fn plan(&self) -> Result<LogicalPlan> {
        let keys: Vec<Expr> = self.keys.iter().map(|key| key.item.expr.clone().alias(&key.id)).collect();
        let calls: Vec<Expr> = self.calls.iter().map(|(call, id)| call.clone().alias(id)).collect();
        if keys.is_empty() && calls.is_empty() {
            return Err(SparkError::internal("an aggregation without keys and calls"));
        }
        let session = |key: &&Key| key.item.field.metadata().contains_key(SESSION_WINDOW_KEY);
        if let Some(session) = self.keys.iter().find(session)
            && !self.input.is_streaming
        {
            return self.over_sessions(session, keys, calls);
        }
        if self.keys.is_empty() && !self.input.is_streaming {
            // A constant filter pushed below would not take the one row away: the limit
            // keeps filters above.
            let plan = LogicalPlan::Aggregate(Aggregate::try_new(Arc::clone(&self.input.plan), keys, calls)?);
            return Ok(LogicalPlanBuilder::from(plan).limit(0, Some(1))?.build()?);
        }
        match &self.shape {
            Shape::Sets(sets) if !self.keys.is_empty() => {
                grouping_sets::plan(&self.input.plan, &self.keys, sets, calls)
            }
            _ => {
                let aggregate = Aggregate::try_new(Arc::clone(&self.input.plan), keys, calls)?;
                Ok(LogicalPlan::Aggregate(aggregate))
            }
        }
    }
}

impl Aggregation {
    /// A batch aggregation by sessions: they are merged first.
    fn over_sessions(&self, session: &Key, keys: Vec<Expr>, calls: Vec<Expr>) -> Result<LogicalPlan> {
        if self.shape != Shape::Plain {
            return Err(SparkError::unsupported("rollup, cube and grouping sets of session windows"));
        }
        // The keys become columns first, so that sessions can be merged by them.
        let mut below: Vec<Expr> = self.input.plan.schema().columns().into_iter().map(Expr::Column).collect();
        below.extend(keys);
        let below = LogicalPlan::Projection(Projection::try_new(below, Arc::clone(&self.input.plan))?);
        let column = |key: &Key| Column::new_unqualified(&key.id);
        let others = self.keys.iter().filter(|key| key.id != session.id).map(column).collect();
        let merged = UpdatingSessions::plan(below, others, column(session));
        let keys = self.keys.iter().map(|key| Expr::Column(column(key))).collect();
        Ok(LogicalPlan::Aggregate(Aggregate::try_new(Arc::new(merged), keys, calls)?))
    }
}

impl Translator<'_> {
    pub(super) fn aggregate(&self, aggregate: &proto::Aggregate) -> Result<Frame> {
        let input = self.input(aggregate.input.as_deref())?;
        let scope = RelationScope::select(self, &input).drawing();
        let mut keys = Vec::new();
        for expression in &aggregate.grouping_expressions {
            keys.extend(self.keys(&scope, expression)?);
        }
        if scope.has_window_by_lambda() {
            // Keys and what is shown are resolved apart, and a lambda is like no other.
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1039"));
        }
        let shape = match aggregate.group_type() {
            GroupType::Rollup => Shape::rollup(keys.len()),
            GroupType::Cube => Shape::cube(keys.len())?,
            GroupType::GroupingSets => self.grouping_sets(&scope, &keys, &aggregate.grouping_sets)?,
            GroupType::Unspecified | GroupType::Groupby | GroupType::Pivot => Shape::Plain,
        };
        let items = match &aggregate.pivot {
            Some(pivot) => self.pivoted(&scope, &input, &keys, pivot, &aggregate.aggregate_expressions)?,
            None => {
                let mut items: Vec<TypedExpr> = keys.iter().map(|key| key.item.clone()).collect();
                for expression in &aggregate.aggregate_expressions {
                    items.extend(scope.resolve_all(expression)?);
                }
                items
            }
        };
        let input = scope.windowed(&input)?;
        self.aggregated(input, keys, shape, &items)
    }

    /// The sets that lists of grouping expressions are.
    fn grouping_sets(
        &self,
        scope: &RelationScope<'_, '_>,
        keys: &[Key],
        sets: &[proto::aggregate::GroupingSets],
    ) -> Result<Shape> {
        let position = |expression: &proto::Expression| -> Result<usize> {
            let item = scope.resolve_one(expression)?;
            keys.iter().position(|key| key.item.expr == item.expr).ok_or_else(|| {
                SparkError::unsupported(format!("the grouping set column {}, which is no key", item.sql))
            })
        };
        let set = |set: &proto::aggregate::GroupingSets| set.grouping_set.iter().map(position).collect();
        Ok(Shape::Sets(sets.iter().map(set).collect::<Result<_>>()?))
    }

    /// `input` grouped by `keys`, showing `items`.
    pub(super) fn aggregated(
        &self,
        input: Frame,
        keys: Vec<Key>,
        shape: Shape,
        items: &[TypedExpr],
    ) -> Result<Frame> {
        // Spark fails at the first row that has no session.
        let session = |key: &Key| key.item.field.metadata().contains_key(SESSION_WINDOW_KEY);
        if shape != Shape::Plain && input.is_streaming && keys.iter().any(session) {
            return Err(SparkError::unsupported("rollup, cube and grouping sets of session windows"));
        }
        for key in &keys {
            if contains_aggregate(&key.item.expr) {
                return Err(SparkError::new("GROUP_BY_AGGREGATE").with("sqlExpr", key.item.sql.clone()));
            }
        }
        let has_totals = shape != Shape::Plain;
        let mut aggregation = Aggregation { shape, ..Aggregation::new(input, keys) };
        let mut outputs =
            items.iter().map(|item| aggregation.output(self, item)).collect::<Result<Vec<_>>>()?;
        if has_totals {
            // Totals have no key.
            for output in outputs.iter_mut().filter(|output| aggregation.mentions_key(&output.expr)) {
                output.field = Arc::new(output.field.as_ref().clone().with_nullable(true));
            }
        }
        aggregation.build(self, outputs)
    }

    /// The keys one grouping expression stands for.
    pub(super) fn keys(
        &self,
        scope: &RelationScope<'_, '_>,
        expression: &proto::Expression,
    ) -> Result<Vec<Key>> {
        if let Some(ExprType::SortOrder(_)) = &expression.expr_type {
            return Err(SparkError::internal("a sort order as grouping expression"));
        }
        Ok(scope.resolve_all(expression)?.into_iter().map(|item| Key::new(self, item)).collect())
    }
}

impl Translator<'_> {
    /// Resolves expressions of a `HAVING` or `ORDER BY` that stands over an aggregation:
    /// aggregate calls and grouping expressions in them become hidden columns of it.
    ///
    /// Gives `frame` with those columns in its plan, and the expressions over them; `None`
    /// where no aggregation stands below.
    pub(super) fn over_aggregation(
        &self,
        frame: &Frame,
        expressions: &[proto::Expression],
    ) -> Result<Option<(Frame, Vec<TypedExpr>)>> {
        match frame.below.as_deref() {
            Some(Below::Aggregate(aggregation)) => {
                let mut aggregation = aggregation.clone();
                let scope = RelationScope::having(self, &aggregation.input, frame);
                let mut hidden = Vec::new();
                let mut items = Vec::new();
                for expression in expressions {
                    let item = match sort::ordinal(expression) {
                        Some(position) => sort::by_position(frame, position)?,
                        None => scope.resolve_one(expression)?,
                    };
                    let id = self.new_id();
                    hidden.push((aggregation.output(self, &item)?.expr, id.clone()));
                    items.push(TypedExpr { expr: Expr::Column(Column::new_unqualified(id)), ..item });
                }
                Ok(Some((aggregation.frame(self, &hidden)?, items)))
            }
            Some(Below::Through { input }) => {
                let Some((input, items)) = self.over_aggregation(input, expressions)? else {
                    return Ok(None);
                };
                let inputs = vec![input.plan.as_ref().clone()];
                let plan = frame.plan.with_new_exprs(frame.plan.expressions(), inputs)?;
                Ok(Some((Frame::through(&input, plan), items)))
            }
            Some(Below::Project { input, exprs, .. })
                if exprs.iter().all(|e| matches!(e, Expr::Column(_))) =>
            {
                let Some((input, items)) = self.over_aggregation(input, expressions)? else {
                    return Ok(None);
                };
                Ok(Some((Frame { columns: Arc::clone(&frame.columns), ..input }, items)))
            }
            _ => Ok(None),
        }
    }
}

/// An item whose expression has no alias node on top, which would hide equal expressions.
fn unaliased(item: TypedExpr) -> TypedExpr {
    match item.expr {
        Expr::Alias(alias) => TypedExpr { expr: *alias.expr, ..item },
        _ => item,
    }
}
