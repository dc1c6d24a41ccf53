//! Types as functions: `int('1')` is a cast that names do not show.

use millstream_engine::Result;

use super::{Call, Function, custom};
use crate::{
    expression::{TypedExpr, cast::implicit_cast},
    types,
};

/// What SQL's `TIMESTAMP '...'` is read as, for its value depends on the session; no name that
/// people can write.
pub(crate) const TIMESTAMP_LITERAL: &str = "timestamp literal";

pub(super) const FUNCTIONS: &[Function] = &[
    custom(&[TIMESTAMP_LITERAL], 1, 1, timestamp_literal),
    custom(
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
    ),
];

fn timestamp_literal(call: Call) -> Result<TypedExpr> {
    let to = types::parse_data_type("timestamp")?;
    let conf = call.resolver.conf;
    let text = call.one()?;
    let sql = format!("CAST({} AS TIMESTAMP)", text.sql);
    let value = implicit_cast(text, &to, conf)?;
    Ok(TypedExpr::new(value.expr, to, false, sql))
}

fn cast(call: Call) -> Result<TypedExpr> {
    let to = types::parse_data_type(call.name)?;
    let conf = call.resolver.conf;
    implicit_cast(call.one()?, &to, conf)
}
