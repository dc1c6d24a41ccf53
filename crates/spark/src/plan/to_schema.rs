//! `ToSchema`: `df.to(schema)`, columns matched by name and cast.

use datafusion::arrow::datatypes::DataType;
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    translator::{Frame, Translator},
};
use crate::expression::TypedExpr;
use crate::types::{quote_identifier, sql_name, struct_from_proto};

impl Translator<'_> {
    pub(super) fn to_schema(&self, to: &proto::ToSchema) -> Result<Frame> {
        let input = self.input(to.input.as_deref())?;
        let schema = struct_from_proto(self.required(to.schema.as_ref(), "schema")?)?;
        let mut items = Vec::with_capacity(schema.len());
        for field in &schema {
            let matches: Vec<&Attribute> =
                input.columns.iter().filter(|a| self.same(a.name(), field.name())).collect();
            let column = match matches.as_slice() {
                [one] => *one,
                [] if field.is_nullable() => {
                    let mut item = super::set_op::null(field.name());
                    item = self.cast(&input, &item, field.data_type())?;
                    item.field = std::sync::Arc::new(
                        item.field.as_ref().clone().with_metadata(field.metadata().clone()),
                    );
                    items.push(TypedExpr { named: true, ..item });
                    continue;
                }
                [] => {
                    return Err(super::attribute::unresolved(
                        &input.columns,
                        std::slice::from_ref(field.name()),
                    ));
                }
                several => {
                    return Err(SparkError::new("AMBIGUOUS_COLUMN_OR_FIELD")
                        .with("name", quote_identifier(field.name()))
                        .with("n", several.len().to_string()));
                }
            };
            if column.field.is_nullable() && !field.is_nullable() {
                return Err(
                    SparkError::new("NULLABLE_COLUMN_OR_FIELD").with("name", quote_identifier(field.name()))
                );
            }
            if column.field.data_type() != field.data_type()
                && !castable(column.field.data_type(), field.data_type())
            {
                return Err(SparkError::new("INVALID_COLUMN_OR_FIELD_DATA_TYPE")
                    .with("name", quote_identifier(field.name()))
                    .with("type", format!("\"{}\"", sql_name(column.field.data_type())))
                    .with("expectedType", format!("\"{}\"", sql_name(field.data_type()))));
            }
            let mut item = self.cast(&input, &column.typed(), field.data_type())?;
            item.name.clone_from(field.name());
            let result = item.field.as_ref().clone().with_metadata(field.metadata().clone());
            item.field = std::sync::Arc::new(result);
            items.push(item);
        }
        self.project_to(&input, &items)
    }
}

/// What `to` casts: between numbers, and anything simple to a string (Spark's
/// `canANSIStoreAssign`).
fn castable(from: &DataType, to: &DataType) -> bool {
    let number = |d: &DataType| d.is_numeric();
    let simple = |d: &DataType| !d.is_nested();
    (number(from) && number(to))
        || (simple(from) && *to == DataType::Utf8)
        || matches!((from, to), (DataType::Null, _) | (DataType::Date32, DataType::Timestamp(..)))
        || matches!((from, to), (DataType::Timestamp(..), DataType::Timestamp(..) | DataType::Date32))
}
