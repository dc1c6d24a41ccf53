//! Subqueries in expressions: scalar, `IN` and `EXISTS`, also correlated with the query
//! right around them.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::Spans,
    logical_expr::{
        Expr, Subquery,
        expr::{Exists, InSubquery},
    },
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{SubqueryExpression, subquery_expression::SubqueryType};

use super::{
    attribute::{self, Attribute},
    translator::{Frame, Translator},
};
use crate::{expression::TypedExpr, types::sql_name};

impl Translator<'_> {
    /// The expression a subquery is; `columns` are those of the query around it.
    pub(super) fn subquery(
        &self,
        columns: &[Attribute],
        subquery: &SubqueryExpression,
        values: Vec<TypedExpr>,
    ) -> Result<TypedExpr> {
        let bound = self
            .bound
            .borrow()
            .iter()
            .rev()
            .find(|r| r.common.as_ref().and_then(|c| c.plan_id) == Some(subquery.plan_id))
            .cloned();
        let bound = bound.ok_or_else(|| SparkError::internal("a subquery that no relation is bound to"))?;
        self.outer.borrow_mut().push(columns.to_vec());
        let frame = self.frame(&bound).and_then(|frame| frame.trimmed());
        self.outer.borrow_mut().pop();
        let frame = frame?;
        match subquery.subquery_type() {
            SubqueryType::Scalar => {
                let [column] = frame.columns.as_slice() else {
                    return Err(SparkError::new(
                        "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN",
                    )
                    .with("number", frame.columns.len().to_string()));
                };
                let data_type = column.field.data_type().clone();
                Ok(TypedExpr::new(Expr::ScalarSubquery(plan_of(&frame)), data_type, true, "scalarsubquery()"))
            }
            SubqueryType::Exists => {
                let exists = Expr::Exists(Exists { subquery: plan_of(&frame), negated: false });
                Ok(TypedExpr::new(exists, DataType::Boolean, false, "exists()"))
            }
            SubqueryType::In => self.in_subquery(&frame, values),
            SubqueryType::TableArg | SubqueryType::Unknown => {
                Err(SparkError::unsupported("a table argument"))
            }
        }
    }

    fn in_subquery(&self, frame: &Frame, values: Vec<TypedExpr>) -> Result<TypedExpr> {
        let ([value], [column]) = (values.as_slice(), frame.columns.as_slice()) else {
            if values.len() == frame.columns.len() {
                return Err(SparkError::unsupported("IN with several columns and a subquery"));
            }
            let names =
                |names: Vec<&str>| names.iter().map(|n| format!("\"{n}\"")).collect::<Vec<_>>().join(", ");
            return Err(SparkError::new("DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH")
                .with("sqlExpr", "\"(IN (listquery()))\"")
                .with("leftLength", values.len().to_string())
                .with("leftColumns", names(values.iter().map(|v| v.sql.as_str()).collect()))
                .with("rightLength", frame.columns.len().to_string())
                .with("rightColumns", names(frame.columns.iter().map(Attribute::name).collect())));
        };
        let common = self.common_type(frame, value, &column.typed()).map_err(|cause| {
            SparkError::new("DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH")
                .with("sqlExpr", format!("\"({} IN (listquery()))\"", value.sql))
                .with("mismatchedColumns", format!("{}:{}", value.sql, column.name()))
                .with("leftType", format!("\"{}\"", sql_name(value.data_type())))
                .with("rightType", format!("\"{}\"", sql_name(column.field.data_type())))
                .caused_by(cause)
        })?;
        let right = self.cast(frame, &column.typed(), &common)?;
        let left = self.cast(frame, value, &common)?;
        let frame = self.project_to(frame, &[right])?;
        let nullable = left.nullable() || frame.columns.iter().any(|c| c.field.is_nullable());
        let expr = InSubquery::new(Box::new(left.expr), plan_of(&frame), false);
        let name = format!("({} IN (listquery()))", value.sql);
        Ok(TypedExpr::new(Expr::InSubquery(expr), DataType::Boolean, nullable, name))
    }

    /// A column of the query around the one at hand.
    pub(super) fn outer_column(&self, parts: &[String]) -> Result<Option<(TypedExpr, usize)>> {
        let outer = self.outer.borrow();
        let Some(columns) = outer.last() else { return Ok(None) };
        let Some((column, used)) = attribute::find(columns, parts, self.conf.case_sensitive)? else {
            return Ok(None);
        };
        let field = Field::new(&column.id, column.field.data_type().clone(), column.field.is_nullable());
        let expr = Expr::OuterReferenceColumn(Arc::new(field), column.column());
        Ok(Some((TypedExpr { expr, ..column.typed() }, used)))
    }
}

fn plan_of(frame: &Frame) -> Subquery {
    let subquery = Arc::clone(&frame.plan);
    let outer_ref_columns = subquery.all_out_ref_exprs();
    Subquery { subquery, outer_ref_columns, spans: Spans::new() }
}
