//! The walk over an expression message.

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, expr::Sort},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, expression as e, expression::ExprType};

use super::{
    Scope, TypedExpr, attribute, cast, cast::explicit_cast, comparison, extract, lambda, lambda::Variables,
    literal, resolve_condition, update_fields, window,
};
use crate::{
    SessionConf,
    functions::{self, Call, Mode},
    sql::message::FILTER_CLAUSE,
    types,
};

/// Resolves expressions on one scope.
#[derive(Clone, Copy)]
pub(crate) struct Resolver<'a> {
    pub(crate) scope: &'a dyn Scope,
    pub(crate) conf: &'a SessionConf,
    /// Lambda variables in sight, innermost last.
    pub(crate) variables: Option<&'a Variables<'a>>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(scope: &'a dyn Scope, conf: &'a SessionConf) -> Self {
        Self { scope, conf, variables: None }
    }

    /// Each of `expressions`; stars stand for their columns.
    pub(crate) fn resolve_list(&self, expressions: &[proto::Expression]) -> Result<Vec<TypedExpr>> {
        let mut out = Vec::with_capacity(expressions.len());
        for expression in expressions {
            out.extend(self.resolve_all(expression)?);
        }
        Ok(out)
    }

    pub(crate) fn resolve_all(&self, expression: &proto::Expression) -> Result<Vec<TypedExpr>> {
        match expression.expr_type.as_ref() {
            Some(ExprType::UnresolvedStar(star)) => {
                let target = match star.unparsed_target.as_deref() {
                    None | Some("") => Vec::new(),
                    Some(text) => attribute::parse_name(text.strip_suffix(".*").unwrap_or(text))?,
                };
                self.scope.columns(&target, star.plan_id)
            }
            Some(ExprType::UnresolvedRegex(regex)) => attribute::by_regex(self, regex),
            // An expression string may hold a star or a quoted regular expression.
            Some(ExprType::ExpressionString(text)) => {
                self.resolve_all(&self.scope.parse_expression(&text.expression)?)
            }
            _ => Ok(vec![self.resolve(expression)?]),
        }
    }

    pub(crate) fn resolve(&self, expression: &proto::Expression) -> Result<TypedExpr> {
        let Some(kind) = expression.expr_type.as_ref() else {
            return Err(SparkError::internal("an expression message without a kind"));
        };
        match kind {
            ExprType::Literal(value) => literal::resolve(value, self.conf),
            ExprType::UnresolvedAttribute(a) => attribute::resolve(self, a),
            ExprType::UnresolvedFunction(f) => self.function(&f.function_name, &f.arguments, f.is_distinct),
            ExprType::CallFunction(f) => self.function(&f.function_name, &f.arguments, false),
            ExprType::ExpressionString(text) => self.resolve(&self.scope.parse_expression(&text.expression)?),
            ExprType::Alias(alias) => self.alias(alias),
            ExprType::Cast(cast) => self.cast(cast),
            ExprType::UnresolvedExtractValue(x) => {
                let child = self.child(x.child.as_deref())?;
                extract::extract(child, self.child(x.extraction.as_deref())?, self.conf)
            }
            ExprType::UpdateFields(update) => update_fields::resolve(self, update),
            ExprType::UnresolvedNamedLambdaVariable(variable) => lambda::variable(self, &variable.name_parts),
            ExprType::Window(over) => window::resolve(self, over),
            ExprType::CommonInlineUserDefinedFunction(f) => {
                self.scope.python_udf(f, self.resolve_list(&f.arguments)?)
            }
            ExprType::SubqueryExpression(subquery) => {
                let values = self.resolve_list(&subquery.in_subquery_values)?;
                self.scope.subquery(subquery, values)
            }
            ExprType::UnresolvedStar(_) | ExprType::UnresolvedRegex(_) => {
                let mut all = self.resolve_all(expression)?;
                match (all.pop(), all.is_empty()) {
                    (Some(one), true) => Ok(one),
                    _ => Err(SparkError::new("INVALID_USAGE_OF_STAR_OR_REGEX")
                        .with("elem", "'*'")
                        .with("prettyName", "expression")),
                }
            }
            ExprType::SortOrder(order) => self.child(order.child.as_deref()),
            ExprType::NamedArgumentExpression(argument) => {
                Err(SparkError::unsupported(format!("the named argument `{}`", argument.key)))
            }
            ExprType::LambdaFunction(_) => {
                Err(SparkError::new("INVALID_LAMBDA_FUNCTION_CALL.PARAMETER_DOES_NOT_ACCEPT_LAMBDA_FUNCTION"))
            }
            ExprType::MergeAction(_) => Err(SparkError::unsupported("MERGE INTO")),
            ExprType::TypedAggregateExpression(_) => Err(SparkError::unsupported("a Scala aggregator")),
            ExprType::DirectShufflePartitionId(_) => {
                Err(SparkError::unsupported("a direct shuffle partition id"))
            }
            ExprType::Extension(any) => {
                Err(SparkError::unsupported(format!("the expression extension {}", any.type_url)))
            }
        }
    }

    /// A required child.
    pub(crate) fn child(&self, child: Option<&proto::Expression>) -> Result<TypedExpr> {
        match child {
            Some(child) => self.resolve(child),
            None => Err(SparkError::internal("an expression message without its operand")),
        }
    }

    /// A sort key. Floating point keys are normalised, so that `-0.0` and `0.0` tie and
    /// NaN comes last.
    pub(crate) fn sort_order(&self, order: &e::SortOrder) -> Result<Sort> {
        let child = self.child(order.child.as_deref())?;
        let ascending = order.direction() != e::sort_order::SortDirection::Descending;
        let nulls_first = match order.null_ordering() {
            e::sort_order::NullOrdering::SortNullsFirst => true,
            e::sort_order::NullOrdering::SortNullsLast => false,
            e::sort_order::NullOrdering::SortNullsUnspecified => ascending,
        };
        Ok(Sort::new(comparison::normalized(&child, self.conf), ascending, nulls_first))
    }

    fn function(&self, name: &str, arguments: &[proto::Expression], distinct: bool) -> Result<TypedExpr> {
        let lower = attribute::function_name(name)?;
        if lower == "count" && !distinct {
            // `count(*)` counts rows.
            if let [proto::Expression { expr_type: Some(ExprType::UnresolvedStar(star)), .. }] = arguments
                && star.unparsed_target.is_none()
            {
                let one = TypedExpr::new(
                    Expr::Literal(ScalarValue::Int32(Some(1)), None),
                    datafusion::arrow::datatypes::DataType::Int32,
                    false,
                    "1",
                );
                return functions::call(Call { name: &lower, args: vec![one], distinct, resolver: *self });
            }
        }
        if let (FILTER_CLAUSE, [call, condition]) = (lower.as_str(), arguments) {
            return self.filter_clause(call, condition);
        }
        if arguments.iter().any(|a| matches!(a.expr_type, Some(ExprType::LambdaFunction(_)))) {
            return lambda::call(self, &lower, arguments);
        }
        let args = self.resolve_list(arguments)?;
        functions::call(Call { name: &lower, args, distinct, resolver: *self })
    }

    /// `aggregate FILTER (WHERE condition)`.
    fn filter_clause(&self, call: &proto::Expression, condition: &proto::Expression) -> Result<TypedExpr> {
        let function = self.resolve(call)?;
        let condition = resolve_condition(condition, self.scope, self.conf)?;
        let Expr::AggregateFunction(mut aggregate) = function.expr else {
            return Err(SparkError::unsupported(format!(
                "FILTER of {}, which is no aggregate",
                function.sql
            )));
        };
        aggregate.params.filter = Some(Box::new(condition.expr));
        let sql = format!("{} FILTER (WHERE {})", function.sql, condition.sql);
        Ok(TypedExpr::with_field(Expr::AggregateFunction(aggregate), function.field, sql))
    }

    fn alias(&self, alias: &e::Alias) -> Result<TypedExpr> {
        let child = self.child(alias.expr.as_deref())?;
        let [name] = alias.name.as_slice() else {
            return Err(SparkError::new("MULTI_ALIAS_WITHOUT_GENERATOR")
                .with("expr", format!("\"{}\"", child.sql))
                .with("names", alias.name.join(", ")));
        };
        let mut field = child.field.as_ref().clone();
        if let Some(text) = alias.metadata.as_deref() {
            let object = serde_json::from_str(text)
                .map_err(|error| SparkError::internal(format!("alias metadata: {error}")))?;
            field.set_metadata(types::metadata_of_json(&object));
        }
        Ok(TypedExpr {
            expr: child.expr,
            field: field.into(),
            sql: format!("{} AS {}", child.sql, attribute::quote_if_needed(name)),
            name: name.clone(),
            named: true,
        })
    }

    fn cast(&self, cast: &e::Cast) -> Result<TypedExpr> {
        let child = self.child(cast.expr.as_deref())?;
        let to = match &cast.cast_to_type {
            Some(e::cast::CastToType::Type(to)) => types::from_proto(to)?,
            Some(e::cast::CastToType::TypeStr(text)) => self.scope.parse_type(text)?,
            None => return Err(SparkError::internal("a cast message without a type")),
        };
        let mode = match cast.eval_mode() {
            e::cast::EvalMode::Unspecified => cast::session_mode(self.conf),
            e::cast::EvalMode::Legacy => Mode::Legacy,
            e::cast::EvalMode::Ansi => Mode::Ansi,
            e::cast::EvalMode::Try => Mode::Try,
        };
        explicit_cast(child, &to, mode, self.conf)
    }
}
