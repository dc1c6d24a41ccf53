//! Expressions: `sqlparser`'s trees into Connect's.

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, CeilFloorKind, DuplicateTreatment, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, LambdaFunction, NullTreatment,
    ObjectName, OneOrManyWithParens, OrderByExpr, OrderByOptions, Query, Subscript, TrimWhereField,
    UnaryOperator, Value, WindowType,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto, SubqueryExpression,
    expression::{
        ExprType, SortOrder, UnresolvedExtractValue, UnresolvedFunction, UnresolvedNamedLambdaVariable,
        UnresolvedStar, literal::LiteralType, sort_order,
    },
    subquery_expression::SubqueryType,
};

use super::{
    lexical,
    literal::{self, string},
    message::{FILTER_CLAUSE, alias, attribute, call, cast, expression, relation},
    query::Converter,
};

impl Converter<'_> {
    /// The message for `expr`.
    pub(super) fn expr(&mut self, expr: &Expr) -> Result<proto::Expression> {
        Ok(match expr {
            Expr::Identifier(name) => self.column(std::slice::from_ref(name)),
            Expr::CompoundIdentifier(parts) => self.column(parts),
            Expr::Nested(inner) => self.expr(inner)?,
            Expr::Value(value) => value_literal(&value.value)?,
            Expr::UnaryOp { op, expr } => self.unary(*op, expr)?,
            Expr::BinaryOp { left, op, right } => {
                let arguments = vec![self.expr(left)?, self.expr(right)?];
                binary(op, arguments)?
            }
            Expr::IsNull(e) => call("isnull", vec![self.expr(e)?]),
            Expr::IsNotNull(e) => call("isnotnull", vec![self.expr(e)?]),
            Expr::IsTrue(e) => call("<=>", vec![self.expr(e)?, truth(true)]),
            Expr::IsNotTrue(e) => not(call("<=>", vec![self.expr(e)?, truth(true)])),
            Expr::IsFalse(e) => call("<=>", vec![self.expr(e)?, truth(false)]),
            Expr::IsNotFalse(e) => not(call("<=>", vec![self.expr(e)?, truth(false)])),
            Expr::IsUnknown(e) => call("isnull", vec![self.expr(e)?]),
            Expr::IsNotUnknown(e) => call("isnotnull", vec![self.expr(e)?]),
            Expr::IsDistinctFrom(a, b) => not(call("<=>", vec![self.expr(a)?, self.expr(b)?])),
            Expr::IsNotDistinctFrom(a, b) => call("<=>", vec![self.expr(a)?, self.expr(b)?]),
            Expr::InList { expr, list, negated } => {
                let mut arguments = vec![self.expr(expr)?];
                for item in list {
                    arguments.push(self.expr(item)?);
                }
                negated_if(*negated, call("in", arguments))
            }
            Expr::Between { expr, negated, low, high } => {
                let arguments = vec![self.expr(expr)?, self.expr(low)?, self.expr(high)?];
                negated_if(*negated, call("between", arguments))
            }
            Expr::Like { negated, any: false, expr, pattern, escape_char } => {
                let escape = escape_char.as_ref().map(|escape| &escape.value);
                negated_if(*negated, self.like("like", expr, pattern, escape)?)
            }
            Expr::ILike { negated, any: false, expr, pattern, escape_char } => {
                let escape = escape_char.as_ref().map(|escape| &escape.value);
                negated_if(*negated, self.like("ilike", expr, pattern, escape)?)
            }
            Expr::RLike { negated, expr, pattern, .. } => {
                negated_if(*negated, self.like("rlike", expr, pattern, None)?)
            }
            Expr::Cast { kind, expr, data_type, array: false, format: None } => {
                let is_try = matches!(kind, CastKind::TryCast | CastKind::SafeCast);
                cast(self.expr(expr)?, &data_type.to_string(), is_try)
            }
            Expr::Case { operand, conditions, else_result, .. } => {
                let operand = operand.as_deref().map(|operand| self.expr(operand)).transpose()?;
                let mut arguments = Vec::with_capacity(conditions.len() * 2 + 1);
                for branch in conditions {
                    let condition = self.expr(&branch.condition)?;
                    arguments.push(match &operand {
                        None => condition,
                        Some(operand) => call("==", vec![operand.clone(), condition]),
                    });
                    arguments.push(self.expr(&branch.result)?);
                }
                if let Some(result) = else_result {
                    arguments.push(self.expr(result)?);
                }
                call("when", arguments)
            }
            Expr::Extract { field, expr, .. } => {
                call("extract", vec![string(&field.to_string()), self.expr(expr)?])
            }
            Expr::Ceil { expr, field } => self.rounded("ceil", expr, field)?,
            Expr::Floor { expr, field } => self.rounded("floor", expr, field)?,
            Expr::Position { expr, r#in } => call("locate", vec![self.expr(expr)?, self.expr(r#in)?]),
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut arguments = vec![self.expr(expr)?];
                for part in [substring_from, substring_for].into_iter().flatten() {
                    arguments.push(self.expr(part)?);
                }
                call("substring", arguments)
            }
            Expr::Trim { trim_where, trim_what, expr, trim_characters: None } => {
                let name = match trim_where {
                    None | Some(TrimWhereField::Both) => "trim",
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                };
                let mut arguments = Vec::new();
                if let Some(what) = trim_what {
                    arguments.push(self.expr(what)?);
                }
                arguments.push(self.expr(expr)?);
                call(name, arguments)
            }
            Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
                let mut arguments =
                    vec![self.expr(expr)?, self.expr(overlay_what)?, self.expr(overlay_from)?];
                if let Some(length) = overlay_for {
                    arguments.push(self.expr(length)?);
                }
                call("overlay", arguments)
            }
            Expr::CompoundFieldAccess { root, access_chain } => self.access(root, access_chain)?,
            Expr::Function(function) => self.function(function)?,
            Expr::Lambda(lambda) => self.lambda(lambda)?,
            Expr::Tuple(items) => {
                let items = items.iter().map(|item| self.expr(item)).collect::<Result<_>>()?;
                call("struct", items)
            }
            Expr::Named { expr, name } => alias(self.expr(expr)?, vec![name.value.clone()]),
            Expr::Subquery(query) => self.subquery(query, SubqueryType::Scalar, Vec::new())?,
            Expr::Exists { subquery, negated } => {
                negated_if(*negated, self.subquery(subquery, SubqueryType::Exists, Vec::new())?)
            }
            Expr::InSubquery { expr, subquery, negated } => {
                let values = match expr.as_ref() {
                    Expr::Tuple(items) => items.iter().map(|item| self.expr(item)).collect::<Result<_>>()?,
                    one => vec![self.expr(one)?],
                };
                negated_if(*negated, self.subquery(subquery, SubqueryType::In, values)?)
            }
            other => return Err(SparkError::unsupported(format!("the SQL expression {other}"))),
        })
    }

    fn column(&self, parts: &[Ident]) -> proto::Expression {
        let names: Vec<String> = parts.iter().map(|part| part.value.clone()).collect();
        let is_lambda = names.first().is_some_and(|first| {
            self.lambda_variables.iter().any(|variable| variable.eq_ignore_ascii_case(first))
        });
        if is_lambda {
            let variable = UnresolvedNamedLambdaVariable { name_parts: names };
            return expression(ExprType::UnresolvedNamedLambdaVariable(variable));
        }
        attribute(&names)
    }

    fn unary(&mut self, op: UnaryOperator, operand: &Expr) -> Result<proto::Expression> {
        if op == UnaryOperator::Minus
            && let Expr::Value(value) = operand
            && let Value::Number(digits, false) = &value.value
        {
            return literal::number(&format!("-{digits}"));
        }
        let operand = self.expr(operand)?;
        Ok(match op {
            UnaryOperator::Minus => match literal::negated(&operand) {
                Some(negative) => negative,
                None => call("negative", vec![operand]),
            },
            UnaryOperator::Plus => call("positive", vec![operand]),
            UnaryOperator::Not | UnaryOperator::BangNot => not(operand),
            UnaryOperator::BitwiseNot => call("~", vec![operand]),
            other => return Err(SparkError::unsupported(format!("the SQL operator {other}"))),
        })
    }

    fn like(
        &mut self,
        name: &str,
        expr: &Expr,
        pattern: &Expr,
        escape: Option<&Value>,
    ) -> Result<proto::Expression> {
        let mut arguments = vec![self.expr(expr)?, self.expr(pattern)?];
        if let Some(escape) = escape {
            arguments.push(value_literal(escape)?);
        }
        Ok(call(name, arguments))
    }

    fn rounded(&mut self, name: &str, expr: &Expr, field: &CeilFloorKind) -> Result<proto::Expression> {
        let mut arguments = vec![self.expr(expr)?];
        match field {
            CeilFloorKind::Scale(scale) => arguments.push(value_literal(&scale.value)?),
            CeilFloorKind::DateTimeField(_) if !field_is_given(field) => {}
            CeilFloorKind::DateTimeField(field) => {
                return Err(SparkError::unsupported(format!("{name}(.. TO {field})")));
            }
        }
        Ok(call(name, arguments))
    }

    fn access(&mut self, root: &Expr, chain: &[AccessExpr]) -> Result<proto::Expression> {
        let mut result = self.expr(root)?;
        for access in chain {
            let extraction = match access {
                AccessExpr::Dot(Expr::Identifier(name)) => string(&name.value),
                AccessExpr::Subscript(Subscript::Index { index }) => self.expr(index)?,
                AccessExpr::Dot(other) => {
                    return Err(SparkError::unsupported(format!("the SQL path element {other}")));
                }
                AccessExpr::Subscript(other) => {
                    return Err(SparkError::unsupported(format!("the SQL subscript [{other}]")));
                }
            };
            result = expression(ExprType::UnresolvedExtractValue(Box::new(UnresolvedExtractValue {
                child: Some(Box::new(result)),
                extraction: Some(Box::new(extraction)),
            })));
        }
        Ok(result)
    }

    fn function(&mut self, function: &Function) -> Result<proto::Expression> {
        let name = object_name(&function.name)?;
        let unsupported =
            |what: &str| SparkError::unsupported(format!("{what} of the function `{}`", name.join(".")));
        if !function.within_group.is_empty() {
            return Err(unsupported("the WITHIN GROUP clause"));
        }
        let empty = FunctionArgumentList { duplicate_treatment: None, args: Vec::new(), clauses: Vec::new() };
        let list = match &function.args {
            FunctionArguments::List(list) => list,
            FunctionArguments::None => &empty,
            FunctionArguments::Subquery(_) => return Err(unsupported("the table argument")),
        };
        if !list.clauses.is_empty() {
            return Err(unsupported("a clause inside of the arguments"));
        }
        if let Some(literal) = self.rewritten(&name, list)? {
            return Ok(literal);
        }
        let mut arguments = Vec::with_capacity(list.args.len());
        let unit = unit(&name, &list.args);
        for (i, argument) in list.args.iter().enumerate() {
            arguments.push(match &unit {
                Some(unit) if i == 0 => string(unit),
                _ => self.argument(argument)?,
            });
        }
        let name = match &unit {
            Some(_) if name.iter().any(|part| part.to_ascii_lowercase().ends_with("diff")) => {
                vec!["timestampdiff".to_string()]
            }
            Some(_) => vec!["timestampadd".to_string()],
            None => name,
        };
        match &function.null_treatment {
            None | Some(NullTreatment::RespectNulls) => {}
            Some(NullTreatment::IgnoreNulls) => arguments.push(truth(true)),
        }
        // Spark's parser counts rows by a literal.
        let is_count = matches!(name.as_slice(), [one] if one.eq_ignore_ascii_case("count"));
        if is_count && matches!(list.args.as_slice(), [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) {
            arguments = vec![super::message::literal(LiteralType::Integer(1))];
        }
        let mut result = expression(ExprType::UnresolvedFunction(UnresolvedFunction {
            function_name: name.join("."),
            arguments,
            is_distinct: list.duplicate_treatment == Some(DuplicateTreatment::Distinct),
            ..Default::default()
        }));
        if let Some(condition) = &function.filter {
            result = call(FILTER_CLAUSE, vec![result, self.expr(condition)?]);
        }
        match &function.over {
            None => Ok(result),
            Some(WindowType::WindowSpec(spec)) => self.over(result, spec),
            Some(WindowType::NamedWindow(name)) => {
                let spec = self.named_window(name)?;
                self.over(result, &spec)
            }
        }
    }

    /// Calls that [`lexical`] wrote: Spark's own literals and parameter markers.
    fn rewritten(
        &mut self,
        name: &[String],
        list: &FunctionArgumentList,
    ) -> Result<Option<proto::Expression>> {
        let [name] = name else { return Ok(None) };
        let texts: Vec<&str> = list
            .args
            .iter()
            .filter_map(|argument| match argument {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) => match &value.value {
                    Value::SingleQuotedString(text) | Value::Number(text, _) => Some(text.as_str()),
                    _ => None,
                },
                _ => None,
            })
            .collect();
        Ok(Some(match (name.as_str(), texts.as_slice()) {
            (lexical::NUMBER, [suffix, digits]) => literal::suffixed(suffix, digits)?,
            (lexical::INTERVAL, [text]) => literal::interval(text)?,
            (lexical::INTERVAL, [text, from, to]) => literal::interval_range(text, from, to)?,
            (lexical::TYPED, [type_name, text]) => literal::typed(type_name, text)?,
            (lexical::PARAMETER, [marker]) => self.parameter(marker)?,
            _ => return Ok(None),
        }))
    }

    fn argument(&mut self, argument: &FunctionArg) -> Result<proto::Expression> {
        let (name, value) = match argument {
            FunctionArg::Unnamed(value) => (None, value),
            FunctionArg::Named { name, arg, .. } => (Some(name.value.clone()), arg),
            FunctionArg::ExprNamed { name, .. } => {
                return Err(SparkError::unsupported(format!("the argument name {name}")));
            }
        };
        let value = match value {
            FunctionArgExpr::Expr(expr) => self.expr(expr)?,
            FunctionArgExpr::Wildcard => star(None),
            FunctionArgExpr::QualifiedWildcard(name) => star(Some(&object_name(name)?)),
            FunctionArgExpr::WildcardWithOptions(_) => {
                return Err(SparkError::unsupported("* with options as an argument"));
            }
        };
        Ok(match name {
            None => value,
            Some(key) => {
                expression(ExprType::NamedArgumentExpression(Box::new(proto::NamedArgumentExpression {
                    key,
                    value: Some(Box::new(value)),
                })))
            }
        })
    }

    fn lambda(&mut self, lambda: &LambdaFunction) -> Result<proto::Expression> {
        let names: Vec<String> = match &lambda.params {
            OneOrManyWithParens::One(one) => vec![one.name.value.clone()],
            OneOrManyWithParens::Many(many) => many.iter().map(|p| p.name.value.clone()).collect(),
        };
        let before = self.lambda_variables.len();
        self.lambda_variables.extend(names.iter().cloned());
        let body = self.expr(&lambda.body);
        self.lambda_variables.truncate(before);
        let arguments =
            names.into_iter().map(|name| UnresolvedNamedLambdaVariable { name_parts: vec![name] }).collect();
        Ok(expression(ExprType::LambdaFunction(Box::new(proto::expression::LambdaFunction {
            function: Some(Box::new(body?)),
            arguments,
        }))))
    }

    /// One element of an `ORDER BY`.
    pub(super) fn sort_order(&mut self, order: &OrderByExpr) -> Result<SortOrder> {
        Ok(sort_order(self.expr(&order.expr)?, &order.options))
    }

    fn subquery(
        &mut self,
        query: &Query,
        subquery_type: SubqueryType,
        in_subquery_values: Vec<proto::Expression>,
    ) -> Result<proto::Expression> {
        let Some(rel_type) = self.query(query)?.rel_type else {
            return Err(SparkError::internal("a subquery without a type"));
        };
        // Below what clients use, so that it means no other relation of the plan.
        let plan_id = -1 - i64::try_from(self.subqueries.len()).unwrap_or(i64::MAX - 1) - self.subquery_base;
        let mut bound = relation(rel_type);
        bound.common = Some(proto::RelationCommon { plan_id: Some(plan_id), ..Default::default() });
        self.subqueries.push(bound);
        Ok(expression(ExprType::SubqueryExpression(SubqueryExpression {
            plan_id,
            subquery_type: subquery_type.into(),
            table_arg_options: None,
            in_subquery_values,
        })))
    }
}

/// The unit that is the first of three arguments of `timestampadd(HOUR, 3, t)` and its kin.
fn unit(name: &[String], arguments: &[FunctionArg]) -> Option<String> {
    const NAMES: [&str; 7] =
        ["timestampadd", "timestampdiff", "dateadd", "date_add", "datediff", "date_diff", "timediff"];
    const UNITS: [&str; 11] = [
        "YEAR",
        "QUARTER",
        "MONTH",
        "WEEK",
        "DAY",
        "DAYOFYEAR",
        "HOUR",
        "MINUTE",
        "SECOND",
        "MILLISECOND",
        "MICROSECOND",
    ];
    let [name] = name else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(first))), _, _] = arguments else {
        return None;
    };
    let unit = first.value.to_ascii_uppercase();
    let known = NAMES.iter().any(|known| known.eq_ignore_ascii_case(name)) && UNITS.contains(&unit.as_str());
    known.then_some(unit)
}

fn field_is_given(field: &CeilFloorKind) -> bool {
    let CeilFloorKind::DateTimeField(field) = field else { return true };
    !matches!(field, datafusion::sql::sqlparser::ast::DateTimeField::NoDateTime)
}

fn binary(op: &BinaryOperator, arguments: Vec<proto::Expression>) -> Result<proto::Expression> {
    let name = match op {
        BinaryOperator::Plus => "+",
        BinaryOperator::Minus => "-",
        BinaryOperator::Multiply => "*",
        BinaryOperator::Divide => "/",
        BinaryOperator::Modulo => "%",
        BinaryOperator::MyIntegerDivide => "div",
        BinaryOperator::StringConcat => "concat",
        BinaryOperator::Gt => ">",
        BinaryOperator::Lt => "<",
        BinaryOperator::GtEq => ">=",
        BinaryOperator::LtEq => "<=",
        BinaryOperator::Eq => "==",
        BinaryOperator::NotEq => return Ok(not(call("==", arguments))),
        BinaryOperator::Spaceship => "<=>",
        BinaryOperator::And => "and",
        BinaryOperator::Or => "or",
        BinaryOperator::BitwiseAnd => "&",
        BinaryOperator::BitwiseOr => "|",
        BinaryOperator::BitwiseXor => "^",
        BinaryOperator::PGBitwiseShiftLeft => "shiftleft",
        BinaryOperator::PGBitwiseShiftRight => "shiftright",
        other => return Err(SparkError::unsupported(format!("the SQL operator {other}"))),
    };
    Ok(call(name, arguments))
}

/// `child ASC NULLS FIRST`, which are the defaults.
pub(super) fn sort_order(child: proto::Expression, options: &OrderByOptions) -> SortOrder {
    let ascending = options.asc.unwrap_or(true);
    let direction = match ascending {
        true => sort_order::SortDirection::Ascending,
        false => sort_order::SortDirection::Descending,
    };
    let nulls = match options.nulls_first.unwrap_or(ascending) {
        true => sort_order::NullOrdering::SortNullsFirst,
        false => sort_order::NullOrdering::SortNullsLast,
    };
    SortOrder { child: Some(Box::new(child)), direction: direction.into(), null_ordering: nulls.into() }
}

/// `*` or `t.*`.
pub(super) fn star(target: Option<&[String]>) -> proto::Expression {
    let unparsed_target = target.map(|parts| {
        let quoted: Vec<String> = parts.iter().map(|part| crate::types::quote_identifier(part)).collect();
        format!("{}.*", quoted.join("."))
    });
    expression(ExprType::UnresolvedStar(UnresolvedStar { unparsed_target, plan_id: None }))
}

/// The parts of a name.
pub(super) fn object_name(name: &ObjectName) -> Result<Vec<String>> {
    name.0
        .iter()
        .map(|part| {
            part.as_ident()
                .map(|ident| ident.value.clone())
                .ok_or_else(|| SparkError::unsupported(format!("the name {name}")))
        })
        .collect()
}

fn value_literal(value: &Value) -> Result<proto::Expression> {
    match value {
        Value::Number(digits, _) => literal::number(digits),
        Value::SingleQuotedString(text) => Ok(string(text)),
        Value::Boolean(value) => Ok(truth(*value)),
        Value::Null => Ok(literal::null()),
        other => Err(SparkError::unsupported(format!("the SQL literal {other}"))),
    }
}

fn truth(value: bool) -> proto::Expression {
    super::message::literal(LiteralType::Boolean(value))
}

fn not(child: proto::Expression) -> proto::Expression {
    call("not", vec![child])
}

fn negated_if(negated: bool, child: proto::Expression) -> proto::Expression {
    if negated { not(child) } else { child }
}
