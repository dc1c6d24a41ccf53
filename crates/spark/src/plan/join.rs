//! `Join`: inner, outer, semi, anti and cross; by condition or by common columns.

use datafusion::{
    arrow::datatypes::DataType,
    common::{JoinType, ScalarValue},
    logical_expr::{Expr, LogicalPlanBuilder},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, join::JoinType as Wanted};

use super::{
    aggregate::contains_aggregate,
    attribute::{self, Attribute},
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{
    expression::TypedExpr,
    types::{quote_identifier, sql_name},
};

impl Translator<'_> {
    pub(super) fn join(&self, join: &proto::Join) -> Result<Frame> {
        let left = self.input(join.left.as_deref())?.trimmed()?;
        let right = self.input(join.right.as_deref())?.trimmed()?;
        let join_type = join_type(join);
        if !join.using_columns.is_empty() {
            return self.join_using(&left, &right, join_type, &join.using_columns);
        }
        let condition = match &join.join_condition {
            None => None,
            Some(condition) => {
                let scope = RelationScope::join(self, &left, &right);
                Some(boolean(scope.resolve_one(condition)?)?)
            }
        };
        self.joined(&left, &right, join_type, condition)
    }

    /// A join by the columns both sides have, crossed where there are none.
    pub(super) fn natural_join(&self, join: &proto::Join) -> Result<Frame> {
        let left = self.input(join.left.as_deref())?.trimmed()?;
        let right = self.input(join.right.as_deref())?.trimmed()?;
        let shared =
            left.columns.iter().filter(|l| right.columns.iter().any(|r| self.same(l.name(), r.name())));
        let names: Vec<String> = shared.map(|column| column.name().to_string()).collect();
        if names.is_empty() {
            return self.joined(&left, &right, join_type(join), None);
        }
        self.join_using(&left, &right, join_type(join), &names)
    }

    /// The join of two frames; the columns are the left ones, then the right ones unless
    /// only left rows are wanted.
    pub(super) fn joined(
        &self,
        left: &Frame,
        right: &Frame,
        join_type: JoinType,
        condition: Option<Expr>,
    ) -> Result<Frame> {
        // DataFusion takes a join without a condition for a cross join only when it is inner.
        let condition = match (condition, join_type) {
            (None, JoinType::Inner) => None,
            (None, _) => Some(Expr::Literal(ScalarValue::Boolean(Some(true)), None)),
            (some, _) => some,
        };
        let builder = LogicalPlanBuilder::from(left.plan.as_ref().clone());
        let right_plan = right.plan.as_ref().clone();
        let plan = match condition {
            None => builder.cross_join(right_plan)?.build()?,
            Some(condition) => builder.join_on(right_plan, join_type, [condition])?.build()?,
        };
        let nullable = |a: &Attribute, may_miss: bool| a.with_nullable(may_miss || a.field.is_nullable());
        let (left_may_miss, right_may_miss) = (
            matches!(join_type, JoinType::Right | JoinType::Full),
            matches!(join_type, JoinType::Left | JoinType::Full),
        );
        let mut columns: Vec<Attribute> = left.columns.iter().map(|a| nullable(a, left_may_miss)).collect();
        if !matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti) {
            columns.extend(right.columns.iter().map(|a| nullable(a, right_may_miss)));
        }
        Ok(Frame::new(plan, columns, left.is_streaming || right.is_streaming))
    }

    /// A join by equality of the columns `names`, each of which is shown once.
    fn join_using(
        &self,
        left: &Frame,
        right: &Frame,
        join_type: JoinType,
        names: &[String],
    ) -> Result<Frame> {
        let mut pairs: Vec<(Attribute, Attribute)> = Vec::with_capacity(names.len());
        for name in names {
            pairs.push((self.using_column(left, name, "left")?, self.using_column(right, name, "right")?));
        }
        let mut condition: Option<Expr> = None;
        for (l, r) in &pairs {
            let equal = self.call(left, "==", vec![l.typed(), r.typed()])?;
            condition = Some(match condition {
                None => equal.expr,
                Some(before) => before.and(equal.expr),
            });
        }
        let joined = self.joined(left, right, join_type, condition)?;
        let shown = |id: &str| joined.columns.iter().find(|a| a.id == id).map(Attribute::typed);
        let mut items: Vec<TypedExpr> = Vec::with_capacity(joined.columns.len());
        for (l, r) in &pairs {
            let item = match join_type {
                JoinType::Right => shown(&r.id),
                JoinType::Full => {
                    let sides = [shown(&l.id), shown(&r.id)].into_iter().flatten().collect();
                    let either = self.call(&joined, "coalesce", sides)?;
                    Some(TypedExpr { name: l.name().to_string(), ..either })
                }
                _ => shown(&l.id),
            };
            items.extend(item);
        }
        let in_pair = |a: &Attribute| pairs.iter().any(|(l, r)| l.id == a.id || r.id == a.id);
        items.extend(joined.columns.iter().filter(|a| !in_pair(a)).map(Attribute::typed));
        // The sides' own columns stay reachable by qualifier and by DataFrame, as in Spark.
        let semi = matches!(join_type, JoinType::LeftSemi | JoinType::LeftAnti);
        let sides = if semi { Vec::new() } else { joined.columns.to_vec() };
        self.project_with(&joined, &items, sides)
    }

    fn using_column(&self, side: &Frame, name: &str, which: &str) -> Result<Attribute> {
        let missing = || {
            let mut names: Vec<String> = side.columns.iter().map(|a| quote_identifier(a.name())).collect();
            names.sort();
            SparkError::new("UNRESOLVED_USING_COLUMN_FOR_JOIN")
                .with("colName", quote_identifier(name))
                .with("side", which)
                .with("suggestion", names.join(", "))
        };
        let found = attribute::find(&side.columns, &[name.to_string()], self.conf.case_sensitive)?;
        found.map(|(column, _)| column.clone()).ok_or_else(missing)
    }
}

fn join_type(join: &proto::Join) -> JoinType {
    match join.join_type() {
        Wanted::Unspecified | Wanted::Inner | Wanted::Cross => JoinType::Inner,
        Wanted::FullOuter => JoinType::Full,
        Wanted::LeftOuter => JoinType::Left,
        Wanted::RightOuter => JoinType::Right,
        Wanted::LeftAnti => JoinType::LeftAnti,
        Wanted::LeftSemi => JoinType::LeftSemi,
    }
}

/// A join condition, which must be boolean and free of aggregates.
fn boolean(condition: TypedExpr) -> Result<Expr> {
    if contains_aggregate(&condition.expr) {
        return Err(SparkError::unsupported(format!(
            "the aggregate function in the join condition {}",
            condition.sql
        )));
    }
    match condition.data_type() {
        DataType::Boolean => Ok(condition.expr),
        DataType::Null => Ok(Expr::Literal(ScalarValue::Boolean(None), None)),
        other => Err(SparkError::new("JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE")
            .with("joinCondition", format!("\"{}\"", condition.sql))
            .with("conditionType", format!("\"{}\"", sql_name(other)))),
    }
}
