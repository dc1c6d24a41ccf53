//! `withField` and `dropFields`.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::expression as e;

use super::{TypedExpr, resolver::Resolver};

/// Refused for now, by name.
pub(super) fn resolve(resolver: &Resolver, update: &e::UpdateFields) -> Result<TypedExpr> {
    let _ = resolver;
    let verb = if update.value_expression.is_some() { "withField" } else { "dropFields" };
    Err(SparkError::unsupported(format!("{verb} of `{}`", update.field_name)))
}
