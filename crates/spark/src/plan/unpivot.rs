//! `Unpivot`: columns become rows of a name and a value.

use datafusion::arrow::datatypes::{DataType, Field};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    expand::text,
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
            entries.push(vec![text(&value.name), self.cast(&input, value, &common)?.expr]);
        }
        let kept = ids.iter().map(|id| self.output(id)).collect();
        let name = Field::new(&unpivot.variable_column_name, DataType::Utf8, false);
        let value = Field::new(&unpivot.value_column_name, common, nullable);
        let (plan, columns) = self.expanded(&input.plan, kept, entries, vec![name, value])?;
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
