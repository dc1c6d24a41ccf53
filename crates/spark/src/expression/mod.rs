//! Expressions: Connect's unresolved trees into typed DataFusion expressions.

mod scope;
mod typed;

use spark_connect_proto as proto;
use millstream_engine::{Result, SparkError};

pub use scope::Scope;
pub use typed::TypedExpr;

use crate::SessionConf;

/// The typed expression `expression` means on `scope`.
///
/// # Errors
/// Spark's analysis errors; a star or regex that stands for several columns is one too,
/// see [`resolve_all`].
pub fn resolve(expression: &proto::Expression, scope: &dyn Scope, conf: &SessionConf) -> Result<TypedExpr> {
    let _ = (expression, scope, conf);
    Err(SparkError::unsupported("this expression"))
}

/// The typed expressions a select-list item stands for: one, or several for `*`, `t.*`
/// and quoted regular expressions.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_all(
    expression: &proto::Expression,
    scope: &dyn Scope,
    conf: &SessionConf,
) -> Result<Vec<TypedExpr>> {
    Ok(vec![resolve(expression, scope, conf)?])
}
