//! Generators in a select list: `explode`, `posexplode`, `inline` and their `_outer` forms.

use std::borrow::Cow;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::translator::{Frame, Translator};

const GENERATORS: [&str; 8] = [
    "explode",
    "explode_outer",
    "posexplode",
    "posexplode_outer",
    "inline",
    "inline_outer",
    "stack",
    "json_tuple",
];

/// The name of the generator `expression` calls, through an alias.
fn generator(expression: &proto::Expression) -> Option<&str> {
    match expression.expr_type.as_ref()? {
        ExprType::Alias(alias) => generator(alias.expr.as_deref()?),
        ExprType::UnresolvedFunction(call) => {
            GENERATORS.iter().find(|name| call.function_name.eq_ignore_ascii_case(name)).copied()
        }
        _ => None,
    }
}

/// `input` with the rows a generator among `expressions` makes, and the expressions over
/// those.
pub(super) fn expand<'e>(
    translator: &Translator<'_>,
    input: Frame,
    expressions: &'e [proto::Expression],
) -> Result<(Frame, Cow<'e, [proto::Expression]>)> {
    let _ = translator;
    match expressions.iter().find_map(generator) {
        None => Ok((input, Cow::Borrowed(expressions))),
        Some(name) => Err(SparkError::unsupported(format!("the generator `{name}`"))),
    }
}
