//! An expression that knows its Spark type and name.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::ScalarValue,
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
    /// The column name Spark gives it when it stands in a select list: `sum(value)`.
    pub name: String,
    /// Its text inside the name of a larger expression. Differs from `name` where Spark's
    /// does: `CAST(x AS DOUBLE)` selected alone is named `x`, an alias is `x AS y` inside.
    pub sql: String,
    /// Whether it is an attribute or an alias (Spark's `NamedExpression`): a cast around
    /// it keeps its name.
    pub named: bool,
}

impl TypedExpr {
    /// An unnamed expression of type `data_type` with the given text as name.
    pub fn new(expr: Expr, data_type: DataType, nullable: bool, name: impl Into<String>) -> Self {
        Self::with_field(expr, Arc::new(Field::new("", data_type, nullable)), name)
    }

    /// An unnamed expression whose result is described by `field`.
    pub fn with_field(expr: Expr, field: FieldRef, name: impl Into<String>) -> Self {
        let name = name.into();
        Self { expr, field, sql: name.clone(), name, named: false }
    }

    /// An attribute: `name` is the user's column name, `expr` the internal column.
    pub fn attribute(expr: Expr, field: FieldRef, name: impl Into<String>) -> Self {
        Self { named: true, ..Self::with_field(expr, field, name) }
    }

    /// The result's type.
    pub fn data_type(&self) -> &DataType {
        self.field.data_type()
    }

    /// Whether the result may be null.
    pub fn nullable(&self) -> bool {
        self.field.is_nullable()
    }

    /// The value, if this is a literal.
    pub fn literal(&self) -> Option<&ScalarValue> {
        match &self.expr {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        }
    }

    /// The text of a string literal.
    pub fn literal_str(&self) -> Option<&str> {
        match self.literal()? {
            ScalarValue::Utf8(Some(text)) => Some(text),
            _ => None,
        }
    }

    /// The same expression with another result description, as an implicit cast leaves it:
    /// name and text stay.
    #[must_use]
    pub(crate) fn replaced(&self, expr: Expr, data_type: DataType, nullable: bool) -> Self {
        Self { expr, field: Arc::new(Field::new("", data_type, nullable)), ..self.clone() }
    }
}
