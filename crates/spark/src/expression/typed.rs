//! An expression that knows its Spark type and name.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    logical_expr::Expr,
};

/// A resolved expression.
///
/// # Invariants
/// `expr` evaluates to `field`'s type exactly; translation inserts every cast itself, so
/// that DataFusion's own coercion finds nothing to do.
#[derive(Debug, Clone)]
pub struct TypedExpr {
    /// The DataFusion expression over internal column ids.
    pub expr: Expr,
    /// Type, nullability and metadata of the result; the field's name means nothing.
    pub field: FieldRef,
    /// The column name Spark would give it, for example `sum(value)`.
    pub name: String,
}

impl TypedExpr {
    /// An expression of type `data_type`.
    pub fn new(expr: Expr, data_type: DataType, nullable: bool, name: impl Into<String>) -> Self {
        let field = Arc::new(Field::new("", data_type, nullable));
        Self { expr, field, name: name.into() }
    }

    /// The result's type.
    pub fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    /// Whether the result may be null.
    pub fn nullable(&self) -> bool {
        self.field.is_nullable()
    }
}
