//! Lambda functions and their variables.

use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{TypedExpr, resolver::Resolver};

/// The variables of one lambda, and the lambdas around it.
pub(crate) struct Variables<'a> {
    bound: Vec<(String, TypedExpr)>,
    outer: Option<&'a Variables<'a>>,
}

impl Variables<'_> {
    fn find(&self, name: &str) -> Option<&TypedExpr> {
        let own = self.bound.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, e)| e);
        own.or_else(|| self.outer?.find(name))
    }
}

/// The variable `parts` names, if it is one; further parts are struct fields.
pub(super) fn lookup(resolver: &Resolver, parts: &[String]) -> Result<Option<TypedExpr>> {
    let (Some(variables), Some((first, fields))) = (resolver.variables, parts.split_first()) else { return Ok(None) };
    let Some(found) = variables.find(first) else { return Ok(None) };
    let mut out = found.clone();
    for name in fields {
        out = super::extract::extract(out, super::literal::string(name), resolver.conf)?;
    }
    Ok(Some(out))
}

/// An explicit lambda variable.
pub(super) fn variable(resolver: &Resolver, parts: &[String]) -> Result<TypedExpr> {
    lookup(resolver, parts)?.ok_or_else(|| {
        SparkError::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION").with("objectName", format!("`{}`", parts.join("`.`")))
    })
}

/// A call of a higher-order function.
pub(super) fn call(resolver: &Resolver, name: &str, arguments: &[proto::Expression]) -> Result<TypedExpr> {
    let _ = (resolver, arguments);
    Err(SparkError::unsupported(format!("the higher-order function `{name}`")))
}
