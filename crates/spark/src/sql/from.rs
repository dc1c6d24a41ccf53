//! `FROM`: tables, joins, subqueries, table functions and lateral views.

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Join, JoinConstraint, JoinOperator,
    LateralView, TableAlias, TableFactor, TableSample, TableSampleKind, TableSampleQuantity, TableSampleUnit,
    TableWithJoins,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, literal::LiteralType},
    join::JoinType,
    read,
    relation::RelType,
};

use super::{
    expression::object_name,
    lexical,
    message::{self, extension, relation},
    query::{Converter, to_df},
    statement::parse_expression,
};
use crate::types::quote_identifier;

impl Converter<'_> {
    /// All of a `FROM` clause: its parts are crossed. `None` where there is none.
    pub(super) fn from(&mut self, from: &[TableWithJoins]) -> Result<Option<proto::Relation>> {
        let mut result: Option<proto::Relation> = None;
        for part in from {
            let right = self.joined(part)?;
            result = Some(match result {
                None => right,
                Some(left) => join(left, right, JoinType::Inner, None, Vec::new()),
            });
        }
        Ok(result)
    }

    fn joined(&mut self, part: &TableWithJoins) -> Result<proto::Relation> {
        let mut result = self.factor(&part.relation)?;
        for Join { relation, join_operator, .. } in &part.joins {
            let right = self.factor(relation)?;
            result = self.join(result, right, join_operator)?;
        }
        Ok(result)
    }

    fn join(
        &mut self,
        left: proto::Relation,
        right: proto::Relation,
        operator: &JoinOperator,
    ) -> Result<proto::Relation> {
        let (join_type, constraint) = match operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => (JoinType::Inner, c),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => (JoinType::LeftOuter, c),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => (JoinType::RightOuter, c),
            JoinOperator::FullOuter(c) => (JoinType::FullOuter, c),
            JoinOperator::CrossJoin(c) => (JoinType::Cross, c),
            JoinOperator::Semi(c) | JoinOperator::LeftSemi(c) => (JoinType::LeftSemi, c),
            JoinOperator::Anti(c) | JoinOperator::LeftAnti(c) => (JoinType::LeftAnti, c),
            other => return Err(SparkError::unsupported(format!("the SQL join {other:?}"))),
        };
        Ok(match constraint {
            JoinConstraint::None => join(left, right, join_type, None, Vec::new()),
            JoinConstraint::On(condition) => {
                let condition = self.expr(condition)?;
                join(left, right, join_type, Some(condition), Vec::new())
            }
            JoinConstraint::Using(names) => {
                let names = names
                    .iter()
                    .map(|name| Ok(object_name(name)?.pop().unwrap_or_default()))
                    .collect::<Result<_>>()?;
                join(left, right, join_type, None, names)
            }
            JoinConstraint::Natural => {
                let natural = proto::Join {
                    left: Some(Box::new(left)),
                    right: Some(Box::new(right)),
                    join_type: join_type.into(),
                    ..Default::default()
                };
                extension(message::NaturalJoin::TYPE_URL, &message::NaturalJoin { join: Some(natural) })
            }
        })
    }

    fn factor(&mut self, factor: &TableFactor) -> Result<proto::Relation> {
        match factor {
            TableFactor::Table { name, alias, args: None, version: None, sample, .. } => {
                let name = object_name(name)?;
                let table = self.table(name);
                self.sampled(table, alias.as_ref(), sample.as_ref(), factor)
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                let table = self.table_function(&object_name(name)?, &args.args)?;
                Ok(aliased(table, alias.as_ref()))
            }
            TableFactor::Function { lateral: false, name, args, alias, .. } => {
                let table = self.table_function(&object_name(name)?, args)?;
                Ok(aliased(table, alias.as_ref()))
            }
            TableFactor::Derived { lateral: false, subquery, alias, sample } => {
                let query = self.query(subquery)?;
                self.sampled(query, alias.as_ref(), sample.as_ref(), factor)
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let joined = self.joined(table_with_joins)?;
                Ok(aliased(joined, alias.as_ref()))
            }
            other => Err(SparkError::unsupported(format!("the SQL table {other}"))),
        }
    }

    /// `input` with the watermark that stands in the place of its sample.
    fn watermarked(
        &mut self,
        input: proto::Relation,
        sample: Option<&TableSampleKind>,
        factor: &TableFactor,
    ) -> Result<proto::Relation> {
        let Some(sample) = sample else { return Ok(input) };
        let unsupported = || SparkError::unsupported(format!("the SQL table {factor}"));
        let (TableSampleKind::BeforeTableAlias(sample) | TableSampleKind::AfterTableAlias(sample)) = sample;
        let Some(Expr::Function(call)) = sample.quantity.as_ref().map(|quantity| &quantity.value) else {
            return Err(unsupported());
        };
        let FunctionArguments::List(list) = &call.args else { return Err(unsupported()) };
        let (
            true,
            [
                FunctionArg::Unnamed(FunctionArgExpr::Expr(time)),
                FunctionArg::Unnamed(FunctionArgExpr::Expr(delay)),
            ],
        ) = (call.name.to_string() == lexical::WATERMARK, list.args.as_slice())
        else {
            return Err(unsupported());
        };
        let time = match self.expr(time)?.expr_type {
            Some(ExprType::Literal(proto::expression::Literal {
                literal_type: Some(LiteralType::String(text)),
                ..
            })) => parse_expression(&text)?,
            _ => return Err(unsupported()),
        };
        let delay_threshold = self.delay(delay)?;
        let (input, event_time) = match time.expr_type {
            Some(ExprType::UnresolvedAttribute(attribute)) => (input, attribute.unparsed_identifier),
            Some(ExprType::Alias(alias)) => {
                let name = alias.name.first().map(|name| quote_identifier(name)).unwrap_or_default();
                // The named expression comes first, before all columns.
                let star = message::expression(ExprType::UnresolvedStar(Default::default()));
                let time = message::expression(ExprType::Alias(alias));
                let project = proto::Project { input: Some(Box::new(input)), expressions: vec![time, star] };
                (relation(RelType::Project(Box::new(project))), name)
            }
            _ => {
                let text = list.args.first().map(ToString::to_string).unwrap_or_default();
                return Err(SparkError::new("REQUIRES_EXPLICIT_NAME_IN_WATERMARK_CLAUSE")
                    .with("sqlExpr", text.trim_matches('\'').to_string()));
            }
        };
        Ok(relation(RelType::WithWatermark(Box::new(proto::WithWatermark {
            input: Some(Box::new(input)),
            event_time,
            delay_threshold,
        }))))
    }

    /// An interval as the text that `withWatermark` takes.
    fn delay(&mut self, interval: &Expr) -> Result<String> {
        let value = match self.expr(interval)?.expr_type {
            Some(ExprType::Literal(literal)) => literal.literal_type,
            _ => None,
        };
        Ok(match value {
            Some(LiteralType::DayTimeInterval(micros)) => format!("{micros} microseconds"),
            Some(LiteralType::YearMonthInterval(months)) => format!("{months} months"),
            Some(LiteralType::CalendarInterval(i)) => {
                format!("{} months {} days {} microseconds", i.months, i.days, i.microseconds)
            }
            _ => return Err(SparkError::unsupported(format!("the watermark delay {interval}"))),
        })
    }

    /// `input TABLESAMPLE (..)` under its alias; a watermark stands in the place of a sample.
    fn sampled(
        &mut self,
        input: proto::Relation,
        alias: Option<&TableAlias>,
        sample: Option<&TableSampleKind>,
        factor: &TableFactor,
    ) -> Result<proto::Relation> {
        let Some(TableSampleKind::BeforeTableAlias(inner) | TableSampleKind::AfterTableAlias(inner)) = sample
        else {
            return Ok(aliased(input, alias));
        };
        let quantity = inner.quantity.as_ref().map(|quantity| &quantity.value);
        if matches!(quantity, Some(Expr::Function(call)) if call.name.to_string() == lexical::WATERMARK) {
            return self.watermarked(aliased(input, alias), sample, factor);
        }
        let input = self.sample(input, inner)?;
        Ok(aliased(input, alias))
    }

    fn sample(&mut self, input: proto::Relation, sample: &TableSample) -> Result<proto::Relation> {
        let unsupported = || SparkError::unsupported(format!("the SQL clause {sample}"));
        let number = |text: &str| text.parse::<f64>().map_err(|_| unsupported());
        let fraction = match (&sample.quantity, &sample.bucket) {
            (Some(TableSampleQuantity { value, unit: Some(TableSampleUnit::Rows), .. }), None) => {
                let limit = self.count("limit", value)?;
                let input = Some(Box::new(input));
                return Ok(relation(RelType::Limit(Box::new(proto::Limit { input, limit }))));
            }
            (Some(TableSampleQuantity { value, unit: Some(TableSampleUnit::Percent), .. }), None) => {
                number(&value.to_string())? / 100.0
            }
            (None, Some(bucket)) if bucket.on.is_none() => {
                number(&bucket.bucket.to_string())? / number(&bucket.total.to_string())?
            }
            _ => return Err(unsupported()),
        };
        if !(0.0..=1.0).contains(&fraction) {
            return Err(
                SparkError::new("INVALID_TABLESAMPLE_FRACTION").with("fraction", format!("({fraction:?})"))
            );
        }
        let seed = match &sample.seed {
            None => None,
            Some(seed) => Some(seed.value.to_string().parse::<i64>().map_err(|_| unsupported())?),
        };
        Ok(relation(RelType::Sample(Box::new(proto::Sample {
            input: Some(Box::new(input)),
            lower_bound: 0.0,
            upper_bound: fraction,
            with_replacement: Some(false),
            seed,
            deterministic_order: false,
        }))))
    }

    /// A table, view or common table expression by name; one read as a stream has
    /// [`lexical::STREAM`] before its name.
    pub(super) fn table(&self, mut name: Vec<String>) -> proto::Relation {
        let is_streaming = name.len() > 1 && name.first().is_some_and(|first| first == lexical::STREAM);
        if is_streaming {
            name.remove(0);
        }
        if let [one] = name.as_slice()
            && !is_streaming
            && let Some((found, definition)) =
                self.ctes.iter().rev().find(|(cte, _)| cte.eq_ignore_ascii_case(one))
        {
            return subquery_alias(definition.clone(), found);
        }
        let unparsed_identifier =
            name.iter().map(|part| quote_identifier(part)).collect::<Vec<_>>().join(".");
        relation(RelType::Read(proto::Read {
            is_streaming,
            read_type: Some(read::ReadType::NamedTable(read::NamedTable {
                unparsed_identifier,
                options: Default::default(),
            })),
        }))
    }

    fn table_function(&mut self, name: &[String], arguments: &[FunctionArg]) -> Result<proto::Relation> {
        match name {
            [one] if one.eq_ignore_ascii_case("range") => self.range(arguments),
            _ => Err(SparkError::unsupported(format!("the table function `{}`", name.join(".")))),
        }
    }

    /// `range(end)`, `range(start, end)`, `range(start, end, step[, partitions])`.
    fn range(&mut self, arguments: &[FunctionArg]) -> Result<proto::Relation> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else {
                return Err(SparkError::unsupported("named arguments of range"));
            };
            let value = self.expr(expr)?;
            values.push(match value.expr_type {
                Some(ExprType::Literal(proto::expression::Literal { literal_type: Some(value), .. })) => {
                    match value {
                        LiteralType::Integer(value) => i64::from(value),
                        LiteralType::Long(value) => value,
                        _ => return Err(SparkError::unsupported(format!("the argument {expr} of range"))),
                    }
                }
                _ => return Err(SparkError::unsupported(format!("the argument {expr} of range"))),
            });
        }
        let (start, end, step) = match values.as_slice() {
            [end] => (0, *end, 1),
            [start, end] => (*start, *end, 1),
            [start, end, step] | [start, end, step, _] => (*start, *end, *step),
            _ => return Err(SparkError::unsupported("range with this number of arguments")),
        };
        Ok(relation(RelType::Range(proto::Range { start: Some(start), end, step, num_partitions: None })))
    }

    /// `input LATERAL VIEW [OUTER] generator(..) table AS columns`.
    pub(super) fn lateral_view(
        &mut self,
        input: proto::Relation,
        view: &LateralView,
    ) -> Result<proto::Relation> {
        let mut generator = self.expr(&view.lateral_view)?;
        if view.outer
            && let Some(ExprType::UnresolvedFunction(call)) = &mut generator.expr_type
            && !call.function_name.to_ascii_lowercase().ends_with("_outer")
        {
            call.function_name.push_str("_outer");
        }
        let mut name = object_name(&view.lateral_view_name)?;
        let columns = view.lateral_col_alias.iter().map(|column: &Ident| column.value.clone()).collect();
        let message = message::LateralView {
            input: Some(Box::new(input)),
            generator: Some(generator),
            table: name.pop().unwrap_or_default(),
            columns,
        };
        Ok(extension(message::LateralView::TYPE_URL, &message))
    }
}

fn join(
    left: proto::Relation,
    right: proto::Relation,
    join_type: JoinType,
    join_condition: Option<proto::Expression>,
    using_columns: Vec<String>,
) -> proto::Relation {
    relation(RelType::Join(Box::new(proto::Join {
        left: Some(Box::new(left)),
        right: Some(Box::new(right)),
        join_condition,
        join_type: join_type.into(),
        using_columns,
        join_data_type: None,
    })))
}

fn aliased(input: proto::Relation, alias: Option<&TableAlias>) -> proto::Relation {
    let Some(alias) = alias else { return input };
    let columns: Vec<String> = alias.columns.iter().map(|column| column.name.value.clone()).collect();
    let input = if columns.is_empty() { input } else { to_df(input, columns) };
    subquery_alias(input, &alias.name.value)
}

fn subquery_alias(input: proto::Relation, alias: &str) -> proto::Relation {
    relation(RelType::SubqueryAlias(Box::new(proto::SubqueryAlias {
        input: Some(Box::new(input)),
        alias: alias.to_string(),
        qualifier: Vec::new(),
    })))
}
