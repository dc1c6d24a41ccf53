//! Lambdas and the calls that take them: `transform(xs, x -> x + 1)`.
//!
//! A lambda's body is an expression over its variables and the columns it uses from
//! outside; [`super::higher_order`] evaluates it.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::Column,
    logical_expr::Expr,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::{
    TypedExpr,
    cast::implicit_cast,
    coercion, comparison,
    higher_order::{Kind, higher_order},
    resolver::Resolver,
};
use crate::{functions::unexpected_input, types};

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

    fn depth(&self) -> usize {
        1 + self.outer.map_or(0, Variables::depth)
    }
}

/// The variable `parts` names, if it is one; further parts are struct fields.
pub(super) fn lookup(resolver: &Resolver, parts: &[String]) -> Result<Option<TypedExpr>> {
    let (Some(variables), Some((first, fields))) = (resolver.variables, parts.split_first()) else {
        return Ok(None);
    };
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
        SparkError::new("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION")
            .with("objectName", format!("`{}`", parts.join("`.`")))
    })
}

/// A resolved lambda: its body over columns named like its variables.
struct Lambda {
    body: TypedExpr,
    variables: Vec<FieldRef>,
    sql: String,
}

/// Resolves a lambda whose variables have the given types; it may name fewer.
fn lambda(resolver: &Resolver, expression: &proto::Expression, given: &[(DataType, bool)]) -> Result<Lambda> {
    let Some(ExprType::LambdaFunction(function)) = &expression.expr_type else {
        return Err(SparkError::unsupported("a higher-order function without a lambda"));
    };
    if function.arguments.len() > given.len() || function.arguments.is_empty() {
        return Err(SparkError::new("INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH")
            .with("expectedNumArgs", function.arguments.len().to_string())
            .with("actualNumArgs", given.len().to_string()));
    }
    let depth = resolver.variables.map_or(0, Variables::depth);
    let mut bound = Vec::new();
    let mut fields = Vec::new();
    for (i, (argument, (t, nullable))) in function.arguments.iter().zip(given).enumerate() {
        let name = argument.name_parts.join(".");
        // Unique among the lambdas around it.
        let field = Arc::new(Field::new(format!("lambda.{depth}.{i}"), t.clone(), *nullable));
        let column = Expr::Column(Column::new_unqualified(field.name().clone()));
        let mut variable = TypedExpr::attribute(column, Arc::clone(&field), name.clone());
        variable.sql = "namedlambdavariable()".to_string();
        bound.push((name, variable));
        fields.push(field);
    }
    let marks = vec!["namedlambdavariable()"; fields.len()].join(", ");
    let variables = Variables { bound, outer: resolver.variables };
    let inner = Resolver { variables: Some(&variables), ..*resolver };
    let body = inner.child(function.function.as_deref())?;
    let sql = format!("lambdafunction({}, {marks})", body.sql);
    Ok(Lambda { body, variables: fields, sql })
}

/// A call of a higher-order function: a family of its own, a row a function.
pub(super) fn call(resolver: &Resolver, name: &str, arguments: &[proto::Expression]) -> Result<TypedExpr> {
    match (name, arguments) {
        ("transform" | "filter" | "exists" | "forall", [list, function]) => {
            over_array(resolver, name, list, function)
        }
        ("aggregate" | "reduce", [list, rest @ ..]) => {
            let (list, item) = array(resolver, name, list)?;
            aggregate(resolver, name, list, item, rest)
        }
        ("array_sort", [list, function]) => array_sort(resolver, list, function),
        ("zip_with", [left, right, function]) => zip_with(resolver, left, right, function),
        ("transform_keys" | "transform_values" | "map_filter", [map, function]) => {
            over_map(resolver, name, map, function)
        }
        ("map_zip_with", [left, right, function]) => map_zip_with(resolver, left, right, function),
        _ => Err(SparkError::unsupported(format!("these arguments of `{name}`"))),
    }
}

/// The type of an element or value, and whether it may be null.
type Item = (DataType, bool);

/// An argument that has to be an array, and its element.
fn array(resolver: &Resolver, name: &str, argument: &proto::Expression) -> Result<(TypedExpr, Item)> {
    let list = resolver.resolve(argument)?;
    match list.data_type() {
        DataType::List(element) => {
            let item = (element.data_type().clone(), element.is_nullable());
            Ok((list, item))
        }
        _ => Err(unexpected_input(&format!("{name}({})", list.sql), 0, "\"ARRAY\"", &list)),
    }
}

/// An argument that has to be a map, its key and its value.
fn map(resolver: &Resolver, name: &str, argument: &proto::Expression) -> Result<(TypedExpr, Item, Item)> {
    let map = resolver.resolve(argument)?;
    let DataType::Map(entries, _) = map.data_type() else {
        return Err(unexpected_input(&format!("{name}({})", map.sql), 0, "\"MAP\"", &map));
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return Err(SparkError::internal("a map's entries"));
    };
    let [key, value] = fields.as_ref() else { return Err(SparkError::internal("a map's entries")) };
    let item = |field: &FieldRef| (field.data_type().clone(), field.is_nullable());
    let (key, value) = (item(key), item(value));
    Ok((map, key, value))
}

fn over_array(
    resolver: &Resolver,
    name: &str,
    list: &proto::Expression,
    function: &proto::Expression,
) -> Result<TypedExpr> {
    let (list, item) = array(resolver, name, list)?;
    let index = (DataType::Int32, false);
    let single = matches!(name, "exists" | "forall");
    let given = if single { vec![item] } else { vec![item, index] };
    let lambda = lambda(resolver, function, &given)?;
    let sql = format!("{name}({}, {})", list.sql, lambda.sql);
    let (kind, body, t, nullable) = match name {
        "transform" => {
            let t = types::list_of(lambda.body.data_type().clone(), lambda.body.nullable());
            (Kind::Transform, lambda.body, t, list.nullable())
        }
        "filter" => {
            let body = comparison::boolean(lambda.body, &sql, "second", resolver.conf)?;
            (Kind::Filter, body, list.data_type().clone(), list.nullable())
        }
        name => {
            let body = comparison::boolean(lambda.body, &sql, "second", resolver.conf)?;
            let nullable = list.nullable() || body.nullable();
            (if name == "exists" { Kind::Exists } else { Kind::ForAll }, body, DataType::Boolean, nullable)
        }
    };
    let expr = higher_order(kind, vec![list.expr], vec![(body.expr, lambda.variables)], t.clone(), nullable)?;
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `array_sort(array, comparator)`: negative, zero or positive as the first of two is less, equal
/// or greater.
fn array_sort(
    resolver: &Resolver,
    list: &proto::Expression,
    function: &proto::Expression,
) -> Result<TypedExpr> {
    let (list, item) = array(resolver, "array_sort", list)?;
    let lambda = lambda(resolver, function, &[item.clone(), item])?;
    let sql = format!("array_sort({}, {})", list.sql, lambda.sql);
    if *lambda.body.data_type() != DataType::Int32 {
        return Err(unexpected_input(&sql, 1, "\"INT\"", &lambda.body));
    }
    let (t, nullable) = (list.data_type().clone(), list.nullable());
    let bodies = vec![(lambda.body.expr, lambda.variables)];
    let expr = higher_order(Kind::ArraySort, vec![list.expr], bodies, t.clone(), nullable)?;
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `zip_with(left, right, (x, y) -> ..)`: the shorter array is filled up with nulls.
fn zip_with(
    resolver: &Resolver,
    left: &proto::Expression,
    right: &proto::Expression,
    function: &proto::Expression,
) -> Result<TypedExpr> {
    let (left, x) = array(resolver, "zip_with", left)?;
    let (right, y) = array(resolver, "zip_with", right)?;
    let lambda = lambda(resolver, function, &[(x.0, true), (y.0, true)])?;
    let sql = format!("zip_with({}, {}, {})", left.sql, right.sql, lambda.sql);
    let t = types::list_of(lambda.body.data_type().clone(), lambda.body.nullable());
    let nullable = left.nullable() || right.nullable();
    let bodies = vec![(lambda.body.expr, lambda.variables)];
    let expr = higher_order(Kind::ZipWith, vec![left.expr, right.expr], bodies, t.clone(), nullable)?;
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn over_map(
    resolver: &Resolver,
    name: &str,
    map_argument: &proto::Expression,
    function: &proto::Expression,
) -> Result<TypedExpr> {
    let (map, key, value) = map(resolver, name, map_argument)?;
    let lambda = lambda(resolver, function, &[key.clone(), value.clone()])?;
    let sql = format!("{name}({}, {})", map.sql, lambda.sql);
    let mut body = lambda.body;
    let body_type = body.data_type().clone();
    let (kind, t) = match name {
        "transform_keys" => (Kind::TransformKeys, types::map_of(body_type, value.0, value.1)),
        "transform_values" => (Kind::TransformValues, types::map_of(key.0, body_type, body.nullable())),
        _ => {
            body = comparison::boolean(body, &sql, "second", resolver.conf)?;
            (Kind::MapFilter, map.data_type().clone())
        }
    };
    let nullable = map.nullable();
    let expr = higher_order(kind, vec![map.expr], vec![(body.expr, lambda.variables)], t.clone(), nullable)?;
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `map_zip_with(left, right, (k, v1, v2) -> ..)` over the keys of both; a missing value is null.
fn map_zip_with(
    resolver: &Resolver,
    left: &proto::Expression,
    right: &proto::Expression,
    function: &proto::Expression,
) -> Result<TypedExpr> {
    let name = "map_zip_with";
    let (mut left, key, x) = map(resolver, name, left)?;
    let (mut right, other_key, y) = map(resolver, name, right)?;
    let Some(key) = coercion::wider_without_strings(&key.0, &other_key.0, resolver.conf.ansi) else {
        return Err(SparkError::new("DATATYPE_MISMATCH.MAP_ZIP_WITH_DIFF_TYPES")
            .with("sqlExpr", format!("\"{name}({}, {})\"", left.sql, right.sql))
            .with("functionName", format!("`{name}`"))
            .with("leftType", format!("\"{}\"", types::sql_name(&key.0)))
            .with("rightType", format!("\"{}\"", types::sql_name(&other_key.0))));
    };
    left = implicit_cast(left, &types::map_of(key.clone(), x.0.clone(), x.1), resolver.conf)?;
    right = implicit_cast(right, &types::map_of(key.clone(), y.0.clone(), y.1), resolver.conf)?;
    let lambda = lambda(resolver, function, &[(key.clone(), false), (x.0, true), (y.0, true)])?;
    let sql = format!("{name}({}, {}, {})", left.sql, right.sql, lambda.sql);
    let t = types::map_of(key, lambda.body.data_type().clone(), lambda.body.nullable());
    let nullable = left.nullable() || right.nullable();
    let bodies = vec![(lambda.body.expr, lambda.variables)];
    let expr = higher_order(Kind::MapZipWith, vec![left.expr, right.expr], bodies, t.clone(), nullable)?;
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

/// `aggregate(array, start, merge, [finish])`.
fn aggregate(
    resolver: &Resolver,
    name: &str,
    list: TypedExpr,
    item: (DataType, bool),
    rest: &[proto::Expression],
) -> Result<TypedExpr> {
    let (start, merge, finish) = match rest {
        [start, merge] => (start, merge, None),
        [start, merge, finish] => (start, merge, Some(finish)),
        _ => return Err(SparkError::unsupported(format!("these arguments of `{name}`"))),
    };
    let start = resolver.resolve(start)?;
    let state = (start.data_type().clone(), true);
    let merge = lambda(resolver, merge, &[state.clone(), item])?;
    if !coercion::same_type(merge.body.data_type(), start.data_type()) {
        let sql = format!("{name}({}, {}, {})", list.sql, start.sql, merge.sql);
        return Err(unexpected_input(
            &sql,
            2,
            &format!("\"{}\"", types::sql_name(start.data_type())),
            &merge.body,
        ));
    }
    let merged = implicit_cast(merge.body, start.data_type(), resolver.conf)?;
    let mut bodies = vec![(merged.expr, merge.variables)];
    let (t, finish_sql) = match finish {
        Some(finish) => {
            let finish = lambda(resolver, finish, &[state])?;
            let t = finish.body.data_type().clone();
            bodies.push((finish.body.expr, finish.variables));
            (t, finish.sql)
        }
        None => (
            start.data_type().clone(),
            "lambdafunction(namedlambdavariable(), namedlambdavariable())".to_string(),
        ),
    };
    let sql = format!("{name}({}, {}, {}, {finish_sql})", list.sql, start.sql, merge.sql);
    let expr = higher_order(Kind::Aggregate, vec![list.expr, start.expr], bodies, t.clone(), true)?;
    Ok(TypedExpr::new(expr, t, true, sql))
}
