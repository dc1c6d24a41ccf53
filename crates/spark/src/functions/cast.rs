//! Types as functions: `int('1')` is a cast that names do not show.

use millstream_engine::Result;

use super::{Call, Function, custom};
use crate::{
    expression::{TypedExpr, cast::implicit_cast},
    types,
};

pub(super) const FUNCTIONS: &[Function] = &[custom(
    &[
        "bigint",
        "binary",
        "boolean",
        "date",
        "decimal",
        "double",
        "float",
        "int",
        "smallint",
        "string",
        "timestamp",
        "tinyint",
    ],
    1,
    1,
    cast,
)];

fn cast(call: Call) -> Result<TypedExpr> {
    let to = types::parse_data_type(call.name)?;
    let conf = call.resolver.conf;
    implicit_cast(call.one()?, &to, conf)
}
