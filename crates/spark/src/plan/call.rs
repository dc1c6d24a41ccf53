//! How relations use functions and casts themselves: on columns resolved already.

use datafusion::arrow::datatypes::DataType;
use millstream_engine::Result;
use spark_connect_proto::{
    self as proto,
    expression::{Cast, ExprType, UnresolvedFunction, cast::CastToType},
};

use super::{
    scope::{RelationScope, bound_name},
    translator::{Frame, Translator},
};
use crate::{expression::TypedExpr, types};

impl Translator<'_> {
    /// Spark's function `name` of `arguments`, with Spark's coercions.
    pub(super) fn call(&self, frame: &Frame, name: &str, arguments: Vec<TypedExpr>) -> Result<TypedExpr> {
        let call = function(name, (0..arguments.len()).map(bound_name).collect());
        RelationScope::binding(self, frame, arguments).resolve_one(&call)
    }

    /// `item` as `data_type`, itself where it has that type; the name stays.
    pub(super) fn cast(&self, frame: &Frame, item: &TypedExpr, data_type: &DataType) -> Result<TypedExpr> {
        if item.data_type() == data_type {
            return Ok(item.clone());
        }
        let cast = cast_to(bound_name(0), data_type)?;
        let cast = RelationScope::binding(self, frame, vec![item.clone()]).resolve_one(&cast)?;
        Ok(TypedExpr { name: item.name.clone(), ..cast })
    }

    /// The type both have in a set operation or `coalesce`; an error where there is none.
    pub(super) fn common_type(&self, frame: &Frame, a: &TypedExpr, b: &TypedExpr) -> Result<DataType> {
        if a.data_type() == b.data_type() {
            return Ok(a.data_type().clone());
        }
        Ok(self.call(frame, "coalesce", vec![a.clone(), b.clone()])?.data_type().clone())
    }
}

/// A function call message.
pub(super) fn function(name: &str, arguments: Vec<proto::Expression>) -> proto::Expression {
    let call = UnresolvedFunction { function_name: name.to_string(), arguments, ..Default::default() };
    proto::Expression { common: None, expr_type: Some(ExprType::UnresolvedFunction(call)) }
}

/// A cast message.
pub(super) fn cast_to(child: proto::Expression, data_type: &DataType) -> Result<proto::Expression> {
    let cast = Cast {
        expr: Some(Box::new(child)),
        cast_to_type: Some(CastToType::Type(types::to_proto(data_type)?)),
        ..Default::default()
    };
    Ok(proto::Expression { common: None, expr_type: Some(ExprType::Cast(Box::new(cast))) })
}
