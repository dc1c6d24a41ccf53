//! A join of two streams: rows of each side wait for partners of the other.

mod bound;
mod condition;

use std::{fmt, sync::Arc};

use datafusion::{
    common::{Column, DFSchemaRef, JoinType, Result, internal_datafusion_err},
    logical_expr::{
        Expr, Extension, Join, LogicalPlan, UserDefinedLogicalNodeCore, build_join_schema, utils::conjunction,
    },
};

pub use bound::ValueBound;
pub use condition::{JoinCondition, JoinKey};

use super::{multiple_event_times, watermark_delay};
use crate::SparkError;

/// Joins each batch's rows with each other and with the rows kept from earlier batches.
///
/// # Invariants
/// The output schema is that of the DataFusion `Join` it replaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamJoin {
    left: Arc<LogicalPlan>,
    right: Arc<LogicalPlan>,
    join_type: JoinType,
    keys: Vec<(Expr, Expr)>,
    null_meets_null: Vec<bool>,
    left_filter: Option<Expr>,
    right_filter: Option<Expr>,
    filter: Option<Expr>,
    left_time: Option<Column>,
    right_time: Option<Column>,
    key_time: Option<usize>,
    operator_id: usize,
    schema: DFSchemaRef,
}

impl PartialOrd for StreamJoin {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.left, &self.right, &self.keys, self.operator_id).partial_cmp(&(
            &other.left,
            &other.right,
            &other.keys,
            other.operator_id,
        ))
    }
}

impl StreamJoin {
    /// Turns a DataFusion join of two streams into a stateful one.
    ///
    /// # Errors
    /// `_LEGACY_ERROR_TEMP_1181` without an equality of both sides (`Spark differs:` it
    /// says so when the first batch is planned), `MULTIPLE_EVENT_TIME_COLUMNS` where a side
    /// has several, and join types Spark has not for streams.
    pub fn from_join(join: &Join, operator_id: usize) -> Result<LogicalPlan> {
        use JoinType::{Full, Inner, Left, LeftSemi, Right};
        if !matches!(join.join_type, Inner | Left | Right | Full | LeftSemi) {
            return Err(SparkError::unsupported(format!("a {} join of two streams", join.join_type)).into());
        }
        let condition = JoinCondition::of(join);
        if condition.keys.is_empty() {
            return Err(SparkError::new("_LEGACY_ERROR_TEMP_1181").into());
        }
        let node = Self {
            left_time: event_time(join.left.schema())?,
            right_time: event_time(join.right.schema())?,
            key_time: condition.event_time_key(join.left.schema(), join.right.schema()),
            left: Arc::clone(&join.left),
            right: Arc::clone(&join.right),
            join_type: join.join_type,
            // Spark finds equal keys by grouping, which takes nulls for equal; all but a full
            // join filter the nulls of one side out before.
            null_meets_null: condition
                .keys
                .iter()
                .map(|key| key.null_safe || join.join_type == Full)
                .collect(),
            keys: condition.keys.into_iter().map(|k| (k.left, k.right)).collect(),
            left_filter: conjunction(condition.left),
            right_filter: conjunction(condition.right),
            filter: conjunction(condition.both),
            operator_id,
            schema: Arc::clone(&join.schema),
        };
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    /// The left input.
    pub fn left(&self) -> &Arc<LogicalPlan> {
        &self.left
    }

    /// The right input.
    pub fn right(&self) -> &Arc<LogicalPlan> {
        &self.right
    }

    /// Inner, left, right, full or left semi.
    pub fn join_type(&self) -> JoinType {
        self.join_type
    }

    /// What is equal: (over the left side, over the right side).
    pub fn keys(&self) -> &[(Expr, Expr)] {
        &self.keys
    }

    /// By key: whether null equals null.
    pub fn null_meets_null(&self) -> &[bool] {
        &self.null_meets_null
    }

    /// Without it a left row has no partner whatever comes.
    pub fn left_filter(&self) -> Option<&Expr> {
        self.left_filter.as_ref()
    }

    /// Without it a right row has no partner whatever comes.
    pub fn right_filter(&self) -> Option<&Expr> {
        self.right_filter.as_ref()
    }

    /// What else makes two rows partners, over the columns of both.
    pub fn filter(&self) -> Option<&Expr> {
        self.filter.as_ref()
    }

    /// The whole condition but the keys.
    pub fn conditions(&self) -> impl Iterator<Item = &Expr> {
        self.left_filter.iter().chain(&self.right_filter).chain(&self.filter)
    }

    /// The event time of the left side: by it its rows are late.
    pub fn left_time(&self) -> Option<&Column> {
        self.left_time.as_ref()
    }

    /// The event time of the right side.
    pub fn right_time(&self) -> Option<&Column> {
        self.right_time.as_ref()
    }

    /// The key that is an event time: both sides age by it.
    pub fn key_time(&self) -> Option<usize> {
        self.key_time
    }

    /// The same node as stateful operator number `operator_id`.
    #[must_use]
    pub fn with_operator_id(&self, operator_id: usize) -> Self {
        Self { operator_id, ..self.clone() }
    }

    /// Number of the stateful operator in its query: `state/<operator_id>`.
    pub fn operator_id(&self) -> usize {
        self.operator_id
    }
}

/// The only event-time column.
fn event_time(schema: &DFSchemaRef) -> Result<Option<Column>> {
    let mut marked = schema.iter().filter(|(_, field)| watermark_delay(field).is_some());
    let first = marked.next();
    if marked.next().is_some() {
        let several = schema.fields().iter().map(AsRef::as_ref).filter(|f| watermark_delay(f).is_some());
        return Err(multiple_event_times(several).into());
    }
    Ok(first.map(|(qualifier, field)| Column::new(qualifier.cloned(), field.name())))
}

impl UserDefinedLogicalNodeCore for StreamJoin {
    fn name(&self) -> &str {
        "StreamJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.left, &self.right]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    /// Left keys, right keys, the filters that are there.
    fn expressions(&self) -> Vec<Expr> {
        let keys = self.keys.iter().map(|(l, _)| l).chain(self.keys.iter().map(|(_, r)| r));
        keys.chain(self.conditions()).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self.keys.iter().map(|(l, r)| format!("{l} = {r}")).collect();
        write!(f, "StreamJoin {}: {} [{}]", self.operator_id, self.join_type, keys.join(", "))?;
        for condition in self.conditions() {
            write!(f, " and {condition}")?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let mut node = self.clone();
        if exprs.len() != self.expressions().len() {
            return Err(internal_datafusion_err!("join of streams given {} expressions", exprs.len()));
        }
        let mut exprs = exprs.into_iter();
        let mut fill = |slot: &mut Expr| {
            if let Some(expr) = exprs.next() {
                *slot = expr;
            }
        };
        node.keys.iter_mut().for_each(|(l, _)| fill(l));
        node.keys.iter_mut().for_each(|(_, r)| fill(r));
        let filters = node.left_filter.iter_mut().chain(&mut node.right_filter).chain(&mut node.filter);
        filters.for_each(fill);
        let mut inputs = inputs.into_iter().map(Arc::new);
        if let (Some(left), Some(right)) = (inputs.next(), inputs.next()) {
            node.schema = Arc::new(build_join_schema(left.schema(), right.schema(), &node.join_type)?);
            (node.left, node.right) = (left, right);
        }
        Ok(node)
    }
}
