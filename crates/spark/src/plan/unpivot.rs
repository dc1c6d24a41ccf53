//! `Unpivot`: columns become rows of a name and a value.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{Column, ScalarValue, UnnestOptions},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{expression::TypedExpr, types};

impl Translator<'_> {
    pub(super) fn unpivot(&self, unpivot: &proto::Unpivot) -> Result<Frame> {
        let input = self.input(unpivot.input.as_deref())?.trimmed()?;
        let scope = RelationScope::select(self, &input);
        let mut ids = Vec::new();
        for expression in &unpivot.ids {
            ids.extend(scope.resolve_all(expression)?);
        }
        let mut values = Vec::new();
        match &unpivot.values {
            Some(given) => {
                for expression in &given.values {
                    values.extend(scope.resolve_all(expression)?);
                }
            }
            None => values.extend(
                input
                    .columns
                    .iter()
                    .filter(|a| !ids.iter().any(|id| id.expr == a.expr()))
                    .map(Attribute::typed),
            ),
        }
        let Some(first) = values.first() else {
            return Err(SparkError::new("UNPIVOT_REQUIRES_VALUE_COLUMNS"));
        };
        let mut common = first.data_type().clone();
        for value in values.iter().skip(1) {
            let so_far = TypedExpr::new(first.expr.clone(), common, true, "");
            common = self
                .common_type(&input, &so_far, value)
                .map_err(|cause| mismatch(&values).caused_by(cause))?;
        }
        let nullable = values.iter().any(TypedExpr::nullable);
        let mut entries = Vec::with_capacity(values.len());
        for value in &values {
            let name = Expr::Literal(ScalarValue::Utf8(Some(value.name.clone())), None);
            let cell = self.cast(&input, value, &common)?.expr;
            let name_key = Expr::Literal(ScalarValue::Utf8(Some("name".to_string())), None);
            let value_key = Expr::Literal(ScalarValue::Utf8(Some("value".to_string())), None);
            let entry =
                datafusion::functions::core::expr_fn::named_struct(vec![name_key, name, value_key, cell]);
            entries.push(entry);
        }
        let list = datafusion::functions_nested::expr_fn::make_array(entries);
        let list_id = self.new_id();
        let id_columns = ids.iter().map(|id| self.output(id)).collect::<Vec<_>>();
        let mut exprs: Vec<Expr> = id_columns.iter().map(|(expr, _)| expr.clone()).collect();
        exprs.push(list.alias(&list_id));
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&input.plan))?);
        let options = UnnestOptions::new().with_preserve_nulls(false);
        let plan = LogicalPlanBuilder::from(plan)
            .unnest_columns_with_options(vec![Column::new_unqualified(&list_id)], options)?
            .build()?;
        let entry = Expr::Column(Column::new_unqualified(&list_id));
        let part = |name: &str| datafusion::functions::core::expr_fn::get_field(entry.clone(), name);
        let name = Field::new(&unpivot.variable_column_name, DataType::Utf8, false);
        let value = Field::new(&unpivot.value_column_name, common, nullable);
        let mut columns: Vec<Attribute> = id_columns.into_iter().map(|(_, column)| column).collect();
        let mut exprs: Vec<Expr> = columns.iter().map(Attribute::expr).collect();
        for (field, source) in [(name, "name"), (value, "value")] {
            let column = self.attribute(Arc::new(field));
            exprs.push(part(source).alias(&column.id));
            columns.push(column);
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        Ok(Frame::new(plan, columns, input.is_streaming))
    }
}

fn mismatch(values: &[TypedExpr]) -> SparkError {
    let types: Vec<String> = values
        .iter()
        .map(|v| format!("\"{}\" ({})", types::sql_name(v.data_type()), types::quote_identifier(&v.name)))
        .collect();
    SparkError::new("UNPIVOT_VALUE_DATA_TYPE_MISMATCH").with("types", types.join(", "))
}
