//! `grouping` and `grouping_id`: which keys a total leaves out.
//!
//! Only the aggregation knows; here they are marks, which it replaces.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    common::Result as DataFusionResult,
    logical_expr::{
        ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        expr::ScalarFunction,
    },
};
use millstream_engine::{Result, SparkError};

use super::{Call, Function, MANY, custom, exprs};
use crate::expression::TypedExpr;

pub(super) const FUNCTIONS: &[Function] =
    &[custom(&["grouping"], 1, 1, grouping), custom(&["grouping_id"], 0, MANY, grouping)];

fn grouping(call: Call) -> Result<TypedExpr> {
    let sql = call.sql_as(call.name);
    let data_type = if call.name == "grouping" { DataType::Int8 } else { DataType::Int64 };
    let mark =
        Mark { data_type: data_type.clone(), signature: Signature::user_defined(Volatility::Volatile) };
    let mark = Arc::new(ScalarUDF::new_from_impl(mark));
    let expr = Expr::ScalarFunction(ScalarFunction::new_udf(mark, exprs(&call.args)));
    Ok(TypedExpr::new(expr, data_type, false, sql))
}

/// The arguments of a mark, and whether it is `grouping` (of one key).
pub(crate) fn marked(expr: &Expr) -> Option<(&[Expr], bool)> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let mark = call.func.inner().downcast_ref::<Mark>()?;
    Some((&call.args, mark.data_type == DataType::Int8))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Mark {
    data_type: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Mark {
    fn name(&self) -> &str {
        "grouping"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> DataFusionResult<DataType> {
        Ok(self.data_type.clone())
    }

    fn coerce_types(&self, types: &[DataType]) -> DataFusionResult<Vec<DataType>> {
        Ok(types.to_vec())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        Err(SparkError::new("UNSUPPORTED_GROUPING_EXPRESSION").into())
    }
}
