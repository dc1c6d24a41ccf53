//! Window functions: `function OVER (PARTITION BY .. ORDER BY .. frame)`.

use millstream_engine::{Result, SparkError};
use spark_connect_proto::expression as e;

use super::{TypedExpr, resolver::Resolver};

/// Refused for now, by name.
pub(super) fn resolve(resolver: &Resolver, over: &e::Window) -> Result<TypedExpr> {
    let _ = (resolver, over);
    Err(SparkError::unsupported("a window function (OVER)"))
}
