//! `coalesce(condition, false)` says nothing of what the condition reads: Spark infers nothing from
//! it, while DataFusion makes it `condition IS NOT NULL AND condition`, which would.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::AsArray,
        compute::{is_not_null, kernels::zip::zip},
        datatypes::DataType,
    },
    common::{Result, ScalarValue, internal_datafusion_err},
    logical_expr::{
        Case, ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
        Volatility,
        expr::ScalarFunction,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};

use super::replace::replace;

/// Keeps such conditions of a plan as they are while filters are inferred and moved.
pub(super) fn hold(plan: LogicalPlan) -> Result<LogicalPlan> {
    replace(plan, conditional, |expr| match expr {
        Expr::Case(case) => or_false(case).map(|conditions| {
            let signature = Signature::variadic_any(Volatility::Immutable);
            let args = conditions.into_iter().cloned().chain([FALSE]).collect();
            ScalarUDF::from(OrFalse { signature }).call(args)
        }),
        _ => None,
    })
}

/// Makes them cases again.
pub(super) fn release(plan: LogicalPlan) -> Result<LogicalPlan> {
    replace(plan, conditional, |expr| match expr {
        Expr::ScalarFunction(call) if call.func.inner().is::<OrFalse>() => {
            let (last, conditions) = call.args.split_last()?;
            let branch = |e: &Expr| (Box::new(e.clone().is_not_null()), Box::new(e.clone()));
            let branches = conditions.iter().map(branch).collect();
            Some(Expr::Case(Case::new(None, branches, Some(Box::new(last.clone())))))
        }
        _ => None,
    })
}

const FALSE: Expr = Expr::Literal(ScalarValue::Boolean(Some(false)), None);

/// Where conditions are.
fn conditional(node: &LogicalPlan) -> bool {
    matches!(node, LogicalPlan::Filter(_) | LogicalPlan::Join(_))
}

/// The conditions of `coalesce(.., false)`, if it is one.
fn or_false(case: &Case) -> Option<Vec<&Expr>> {
    if case.expr.is_some() || case.else_expr.as_deref() != Some(&FALSE) {
        return None;
    }
    case.when_then_expr
        .iter()
        .map(|(when, then)| matches!(when.as_ref(), Expr::IsNotNull(e) if e == then).then_some(then.as_ref()))
        .collect()
}

/// The first of its arguments that is not null.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct OrFalse {
    signature: Signature,
}

impl ScalarUDFImpl for OrFalse {
    fn name(&self) -> &str {
        "or_false"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let known = |e: &Expr| matches!(e, Expr::Literal(..));
        let mut left: Vec<Expr> =
            args.iter().filter(|e| !matches!(e, Expr::Literal(v, _) if v.is_null())).cloned().collect();
        Ok(match left.first() {
            Some(first) if known(first) => ExprSimplifyResult::Simplified(left.swap_remove(0)),
            Some(_) if left.len() < args.len() => {
                let func = Arc::new(ScalarUDF::from(self.clone()));
                ExprSimplifyResult::Simplified(Expr::ScalarFunction(ScalarFunction::new_udf(func, left)))
            }
            _ => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut args = ColumnarValue::values_to_arrays(&args.args)?.into_iter().rev();
        let last = args.next().ok_or_else(|| internal_datafusion_err!("the first of nothing"))?;
        let first = args.try_fold(last, |rest, own| zip(&is_not_null(&own)?, &own, &rest))?;
        debug_assert!(first.as_boolean_opt().is_some());
        Ok(ColumnarValue::Array(first))
    }
}
