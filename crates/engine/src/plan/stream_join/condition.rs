//! A join's condition in the parts a join of streams works with.

use datafusion::{
    common::{Column, DFSchema, ExprSchema, NullEquality},
    logical_expr::{BinaryExpr, Expr, Join, Operator, utils::split_conjunction},
};

use crate::plan::watermark_delay;

/// Spark's `ExtractEquiJoinKeys` and `JoinConditionSplitPredicates`.
///
/// `keys AND left AND right AND both` is the whole condition.
#[derive(Debug, Clone, Default)]
pub struct JoinCondition {
    /// Equalities of something of the left side with something of the right one.
    pub keys: Vec<JoinKey>,
    /// What can be told from a left row alone.
    pub left: Vec<Expr>,
    /// What can be told from a right row alone.
    pub right: Vec<Expr>,
    /// The rest.
    pub both: Vec<Expr>,
}

/// `left = right`, or `left <=> right`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinKey {
    /// Over the left side.
    pub left: Expr,
    /// Over the right side.
    pub right: Expr,
    /// `<=>`.
    pub null_safe: bool,
}

impl JoinCondition {
    /// The parts of `join`'s condition, in the order written.
    pub fn of(join: &Join) -> Self {
        let (left, right) = (join.left.schema().as_ref(), join.right.schema().as_ref());
        let null_safe = join.null_equality == NullEquality::NullEqualsNull;
        let key = |(l, r): &(Expr, Expr)| JoinKey { left: l.clone(), right: r.clone(), null_safe };
        let mut parts = Self { keys: join.on.iter().map(key).collect(), ..Self::default() };
        for conjunct in join.filter.iter().flat_map(split_conjunction) {
            if let Some(key) = JoinKey::of(conjunct, left, right) {
                parts.keys.push(key);
                continue;
            }
            // A random condition is asked once for each pair.
            let fixed = !conjunct.is_volatile();
            let (on_left, on_right) =
                (fixed && reads_only(conjunct, left), fixed && reads_only(conjunct, right));
            if on_left {
                parts.left.push(conjunct.clone());
            }
            if on_right {
                parts.right.push(conjunct.clone());
            }
            if !on_left && !on_right {
                parts.both.push(conjunct.clone());
            }
        }
        parts
    }

    /// All but the keys.
    pub fn others(&self) -> impl Iterator<Item = &Expr> {
        self.left.iter().chain(&self.right).chain(&self.both)
    }

    /// The key that is an event time on one side, the left one first: both sides age by it.
    pub fn event_time_key(&self, left: &DFSchema, right: &DFSchema) -> Option<usize> {
        let marked = |expr: &Expr, schema: &DFSchema| {
            event_time_column(expr).is_some_and(|c| {
                schema.field_from_column(c).is_ok_and(|field| watermark_delay(field).is_some())
            })
        };
        let found = |on_left: bool| {
            self.keys.iter().position(|key| {
                !key.null_safe && if on_left { marked(&key.left, left) } else { marked(&key.right, right) }
            })
        };
        found(true).or_else(|| found(false))
    }
}

/// Only a column itself is an event time, not what is computed from it.
fn event_time_column(expr: &Expr) -> Option<&Column> {
    match expr {
        Expr::Column(column) => Some(column),
        Expr::Alias(alias) => event_time_column(&alias.expr),
        _ => None,
    }
}

impl JoinKey {
    fn of(conjunct: &Expr, left: &DFSchema, right: &DFSchema) -> Option<Self> {
        let Expr::BinaryExpr(BinaryExpr { left: a, op, right: b }) = conjunct else { return None };
        let null_safe = match op {
            Operator::Eq => false,
            Operator::IsNotDistinctFrom => true,
            _ => return None,
        };
        let one_sided =
            |e: &Expr, side| !e.is_volatile() && !e.column_refs().is_empty() && reads_only(e, side);
        if one_sided(a, left) && one_sided(b, right) {
            Some(Self { left: a.as_ref().clone(), right: b.as_ref().clone(), null_safe })
        } else if one_sided(b, left) && one_sided(a, right) {
            Some(Self { left: b.as_ref().clone(), right: a.as_ref().clone(), null_safe })
        } else {
            None
        }
    }
}

/// Whether `expr` reads no column that `schema` lacks.
fn reads_only(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs().into_iter().all(|column| schema.has_column(column))
}
