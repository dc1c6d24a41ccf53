//! `SetOperation`: union, intersect and except, by position or by name.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{Column, NullEquality, ScalarValue},
    functions_window::row_number::row_number_udwf,
    logical_expr::{
        Expr, JoinType, LogicalPlan, LogicalPlanBuilder, Projection, Union, WindowFunctionDefinition,
        expr::WindowFunction,
    },
};
use millstream_engine::{Result, SparkError, plan::is_session_window};
use spark_connect_proto::{self as proto, set_operation::SetOpType};

use super::{
    attribute::{self, Attribute},
    deduplicate::sessions_merged,
    translator::{Frame, Translator},
    window_function,
};
use crate::{
    expression::TypedExpr,
    types::{quote_identifier, sql_name},
};

/// Sets of streams that Spark refuses when they are started.
fn refuse_streams(kind: SetOpType, left: &Frame, right: &Frame) -> Result<()> {
    let refused = match kind {
        SetOpType::Except if right.is_streaming => {
            "Except on a streaming DataFrame/Dataset on the right is not supported"
        }
        SetOpType::Intersect if left.is_streaming || right.is_streaming => {
            "Intersect of streaming DataFrames/Datasets is not supported"
        }
        _ => return Ok(()),
    };
    Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with("msg", refused))
}

impl Translator<'_> {
    pub(super) fn set_op(&self, op: &proto::SetOperation) -> Result<Frame> {
        let left = self.input(op.left_input.as_deref())?.trimmed()?;
        if op.right_input.is_none() && op.set_op_type() == SetOpType::Union && !op.is_all() {
            // `SELECT DISTINCT` of SQL text.
            if left.is_streaming && left.columns.iter().any(|c| is_session_window(&c.field)) {
                return Err(SparkError::unsupported("SELECT DISTINCT of session windows over a stream"));
            }
            let columns = Arc::clone(&left.columns);
            let left = sessions_merged(left, &columns);
            return Ok(Frame { partitioning: None, ..left.with_plan(distinct(&left)) });
        }
        let right = self.input(op.right_input.as_deref())?.trimmed()?;
        let operator = match op.set_op_type() {
            SetOpType::Union => "UNION",
            SetOpType::Intersect if op.is_all() => "INTERSECT ALL",
            SetOpType::Intersect => "INTERSECT",
            SetOpType::Except if op.is_all() => "EXCEPT ALL",
            SetOpType::Except => "EXCEPT",
            SetOpType::Unspecified => return Err(SparkError::internal("a set operation without a type")),
        };
        refuse_streams(op.set_op_type(), &left, &right)?;
        let (left_items, right_items) = if op.by_name() {
            self.by_name(&left, &right, op.allow_missing_columns())?
        } else {
            (typed(&left), typed(&right))
        };
        if left_items.len() != right_items.len() {
            return Err(SparkError::new("NUM_COLUMNS_MISMATCH")
                .with("operator", operator)
                .with("firstNumColumns", left_items.len().to_string())
                .with("invalidOrdinalNum", "second")
                .with("invalidNumColumns", right_items.len().to_string()));
        }
        let (left_items, right_items) = self.widened(operator, &left, left_items, &right, right_items)?;
        match op.set_op_type() {
            SetOpType::Union => {
                let frame = self.union(&left, &left_items, &right, &right_items)?;
                if op.is_all.unwrap_or(true) {
                    return Ok(frame);
                }
                Ok(frame.with_plan(distinct(&frame)))
            }
            SetOpType::Except if op.is_all() => {
                self.counted_join(&left, &left_items, &right, &right_items, JoinType::LeftAnti)
            }
            _ if op.is_all() => {
                self.counted_join(&left, &left_items, &right, &right_items, JoinType::LeftSemi)
            }
            SetOpType::Except => {
                self.distinct_join(&left, &left_items, &right, &right_items, JoinType::LeftAnti)
            }
            _ => self.distinct_join(&left, &left_items, &right, &right_items, JoinType::LeftSemi),
        }
    }

    /// The columns of both sides in the left's order, then what only the right has.
    fn by_name(
        &self,
        left: &Frame,
        right: &Frame,
        allow_missing: bool,
    ) -> Result<(Vec<TypedExpr>, Vec<TypedExpr>)> {
        for side in [left, right] {
            for (i, column) in side.columns.iter().enumerate() {
                if side.columns.iter().take(i).any(|other| self.same(other.name(), column.name())) {
                    return Err(SparkError::new("COLUMN_ALREADY_EXISTS")
                        .with("columnName", quote_identifier(&column.name().to_lowercase())));
                }
            }
        }
        let find = |side: &Frame, name: &str| {
            side.columns.iter().find(|a| self.same(a.name(), name)).map(Attribute::typed)
        };
        let mut left_items = typed(left);
        let mut right_items = Vec::with_capacity(left_items.len());
        for item in &left_items {
            match find(right, &item.name) {
                Some(found) => right_items.push(found),
                None if allow_missing => right_items.push(null(&item.name)),
                None => return Err(attribute::not_among(&right.columns, &item.name)),
            }
        }
        for column in right.columns.iter().filter(|a| find(left, a.name()).is_none()) {
            if allow_missing {
                left_items.push(null(column.name()));
                right_items.push(column.typed());
            } else if right.columns.len() != left.columns.len() {
                return Err(SparkError::new("NUM_COLUMNS_MISMATCH")
                    .with("operator", "UNION")
                    .with("firstNumColumns", left.columns.len().to_string())
                    .with("invalidOrdinalNum", "second")
                    .with("invalidNumColumns", right.columns.len().to_string()));
            }
        }
        Ok((left_items, right_items))
    }

    fn widened(
        &self,
        operator: &str,
        left: &Frame,
        left_items: Vec<TypedExpr>,
        right: &Frame,
        right_items: Vec<TypedExpr>,
    ) -> Result<(Vec<TypedExpr>, Vec<TypedExpr>)> {
        let mut widened = (Vec::with_capacity(left_items.len()), Vec::with_capacity(right_items.len()));
        for (i, (l, r)) in left_items.iter().zip(&right_items).enumerate() {
            let common = self.common_type(left, l, r).map_err(|cause| {
                SparkError::new("INCOMPATIBLE_COLUMN_TYPE")
                    .with("operator", operator)
                    .with("columnOrdinalNumber", ordinal(i))
                    .with("tableOrdinalNumber", "second")
                    .with("dataType1", format!("\"{}\"", sql_name(r.data_type())))
                    .with("dataType2", format!("\"{}\"", sql_name(l.data_type())))
                    .with("hint", "")
                    .caused_by(cause)
            })?;
            widened.0.push(self.cast(left, l, &common)?);
            widened.1.push(self.cast(right, r, &common)?);
        }
        Ok(widened)
    }

    /// All rows of both sides. A column that needs no cast stays the left's to the user.
    fn union(
        &self,
        left: &Frame,
        left_items: &[TypedExpr],
        right: &Frame,
        right_items: &[TypedExpr],
    ) -> Result<Frame> {
        let mut columns = Vec::with_capacity(left_items.len());
        let (mut left_exprs, mut right_exprs) = (Vec::new(), Vec::new());
        for (l, r) in left_items.iter().zip(right_items) {
            let field = Field::new(&l.name, l.data_type().clone(), l.nullable() || r.nullable())
                .with_metadata(l.field.metadata().clone());
            let mut column = self.attribute(Arc::new(field));
            if let Some(source) = left.columns.iter().find(|a| a.expr() == l.expr) {
                column.identity = source.identity.clone();
                column.qualifier = source.qualifier.clone();
            }
            left_exprs.push(l.expr.clone().alias(&column.id));
            right_exprs.push(r.expr.clone().alias(&column.id));
            columns.push(column);
        }
        let side = |exprs: Vec<Expr>, frame: &Frame| -> Result<Arc<LogicalPlan>> {
            let projection = Projection::try_new(exprs, Arc::clone(&frame.plan))?;
            Ok(Arc::new(LogicalPlan::Projection(projection)))
        };
        let inputs = vec![side(left_exprs, left)?, side(right_exprs, right)?];
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
        Ok(Frame::new(plan, columns, left.is_streaming || right.is_streaming))
    }

    /// Left rows, of which equal ones are numbered: those that have (or have not) an equal right
    /// row of the same number.
    fn counted_join(
        &self,
        left: &Frame,
        left_items: &[TypedExpr],
        right: &Frame,
        right_items: &[TypedExpr],
        join_type: JoinType,
    ) -> Result<Frame> {
        if left.is_streaming || right.is_streaming {
            return Err(SparkError::unsupported("INTERSECT ALL and EXCEPT ALL of streams"));
        }
        let numbered = |frame: &Frame, items: &[TypedExpr]| -> Result<(Frame, String)> {
            let frame = self.project_to(frame, items)?;
            let mut window =
                WindowFunction::new(WindowFunctionDefinition::WindowUDF(row_number_udwf()), Vec::new());
            window.params.partition_by = frame.columns.iter().map(Attribute::expr).collect();
            let number = self.new_id();
            let plan = window_function::computed(
                &frame,
                vec![(Expr::WindowFunction(Box::new(window)), number.clone())],
            )?;
            Ok((frame.with_plan(plan), number))
        };
        let (left, left_number) = numbered(left, left_items)?;
        let (right, right_number) = numbered(right, right_items)?;
        let keys = |frame: &Frame, number: String| {
            let columns = frame.columns.iter().map(Attribute::column);
            columns.chain([Column::new_unqualified(number)]).collect::<Vec<_>>()
        };
        let plan = LogicalPlanBuilder::from(left.plan.as_ref().clone())
            .join_detailed(
                right.plan.as_ref().clone(),
                join_type,
                (keys(&left, left_number), keys(&right, right_number)),
                None,
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        Frame::new(plan, left.columns.to_vec(), false).trimmed()
    }

    /// Distinct left rows that have (or have not) an equal right row; nulls are equal here.
    fn distinct_join(
        &self,
        left: &Frame,
        left_items: &[TypedExpr],
        right: &Frame,
        right_items: &[TypedExpr],
        join_type: JoinType,
    ) -> Result<Frame> {
        let left = self.project_to(left, left_items)?;
        let right = self.project_to(right, right_items)?;
        let keys = |frame: &Frame| frame.columns.iter().map(Attribute::column).collect::<Vec<_>>();
        let plan = LogicalPlanBuilder::from(left.plan.as_ref().clone())
            .distinct()?
            .join_detailed(
                right.plan.as_ref().clone(),
                join_type,
                (keys(&left), keys(&right)),
                None,
                NullEquality::NullEqualsNull,
            )?
            .build()?;
        Ok(Frame::new(plan, left.columns.to_vec(), left.is_streaming || right.is_streaming))
    }
}

fn typed(frame: &Frame) -> Vec<TypedExpr> {
    frame.columns.iter().map(Attribute::typed).collect()
}

/// A null called `name`.
pub(super) fn null(name: &str) -> TypedExpr {
    let literal = Expr::Literal(ScalarValue::Null, None);
    let mut item = TypedExpr::new(literal, DataType::Null, true, "NULL");
    item.name = name.to_string();
    item
}

/// `first`, `second`, ... as Spark's messages count.
fn ordinal(index: usize) -> String {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    WORDS.get(index).map_or_else(|| format!("{}th", index + 1), |word| (*word).to_string())
}

/// Each row of `frame` once.
fn distinct(frame: &Frame) -> LogicalPlan {
    LogicalPlan::Distinct(datafusion::logical_expr::Distinct::All(Arc::clone(&frame.plan)))
}
