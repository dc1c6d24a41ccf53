//! Queries: `SELECT`, set operations, `VALUES`, CTEs, `ORDER BY`, `LIMIT`.

use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, Expr, LimitClause, OrderBy, OrderByKind, OrderByOptions, Query, Select, SelectFlavor,
    SelectItem, SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Values,
    WildcardAdditionalOptions, WindowSpec, With,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, SortOrder, literal::LiteralType},
    relation::RelType,
    set_operation::SetOpType,
};

use super::{
    expression::{object_name, sort_order, star},
    message::{self, GroupedSelect, ValuesRow, alias, extension, relation},
};

/// Turns one statement's trees into messages.
pub(super) struct Converter<'p> {
    parameters: &'p proto::Sql,
    /// Common table expressions in scope, innermost last.
    pub(super) ctes: Vec<(String, proto::Relation)>,
    /// Subqueries of expressions, bound around the whole statement.
    pub(super) subqueries: Vec<proto::Relation>,
    /// Set apart the subqueries of statements inside of one plan.
    pub(super) subquery_base: i64,
    /// Names of lambda parameters in scope.
    pub(super) lambda_variables: Vec<String>,
    /// Windows that a `WINDOW` clause names, innermost last.
    pub(super) windows: Vec<(String, WindowSpec)>,
}

impl<'p> Converter<'p> {
    /// A converter whose parameter markers mean the arguments of `parameters`.
    pub(super) fn new(parameters: &'p proto::Sql) -> Self {
        // Statements of one plan differ by text; their subqueries must not share plan ids.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in parameters.query.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let subquery_base = i64::try_from(hash >> 24).unwrap_or_default() << 16;
        Self {
            parameters,
            ctes: Vec::new(),
            subqueries: Vec::new(),
            subquery_base,
            lambda_variables: Vec::new(),
            windows: Vec::new(),
        }
    }

    /// A whole query with its subqueries bound.
    pub(super) fn statement(&mut self, query: &Query) -> Result<proto::Relation> {
        let root = self.query(query)?;
        Ok(if self.subqueries.is_empty() {
            root
        } else {
            relation(RelType::WithRelations(Box::new(proto::WithRelations {
                root: Some(Box::new(root)),
                references: std::mem::take(&mut self.subqueries),
            })))
        })
    }

    /// The argument a parameter marker means.
    pub(super) fn parameter(&self, marker: &str) -> Result<proto::Expression> {
        #[expect(deprecated, reason = "clients before 4.0 send literals")]
        let found = match marker.parse::<usize>() {
            Ok(index) => self.parameters.pos_arguments.get(index).cloned().or_else(|| {
                self.parameters.pos_args.get(index).map(|l| message::expression(ExprType::Literal(l.clone())))
            }),
            Err(_) => self.parameters.named_arguments.get(marker).cloned().or_else(|| {
                self.parameters.args.get(marker).map(|l| message::expression(ExprType::Literal(l.clone())))
            }),
        };
        found.ok_or_else(|| {
            let name = if marker.starts_with(|c: char| c.is_ascii_digit()) {
                format!("_{marker}")
            } else {
                marker.to_string()
            };
            SparkError::new("UNBOUND_SQL_PARAMETER").with("name", name)
        })
    }

    /// One query.
    pub(super) fn query(&mut self, query: &Query) -> Result<proto::Relation> {
        let outer_ctes = self.ctes.len();
        if let Some(with) = &query.with {
            self.with(with)?;
        }
        let result = self.query_body(query);
        self.ctes.truncate(outer_ctes);
        result
    }

    fn with(&mut self, with: &With) -> Result<()> {
        if with.recursive {
            return Err(SparkError::unsupported("WITH RECURSIVE"));
        }
        for Cte { alias, query, .. } in &with.cte_tables {
            let mut definition = self.query(query)?;
            if !alias.columns.is_empty() {
                definition = to_df(definition, alias.columns.iter().map(|c| c.name.value.clone()).collect());
            }
            self.ctes.push((alias.name.value.clone(), definition));
        }
        Ok(())
    }

    fn query_body(&mut self, query: &Query) -> Result<proto::Relation> {
        for (is_there, what) in [
            (query.fetch.is_some(), "FETCH"),
            (!query.locks.is_empty(), "a locking clause"),
            (!query.pipe_operators.is_empty(), "the pipe syntax"),
            (query.for_clause.is_some(), "FOR"),
            (query.settings.is_some(), "SETTINGS"),
        ] {
            if is_there {
                return Err(SparkError::unsupported(what));
            }
        }
        let mut result = self.set_expr(&query.body)?;
        if let Some(order_by) = &query.order_by {
            result = self.order_by(result, order_by)?;
        }
        match &query.limit_clause {
            None => {}
            Some(LimitClause::LimitOffset { limit, offset, limit_by }) if limit_by.is_empty() => {
                if let Some(offset) = offset {
                    let offset = self.count("offset", &offset.value)?;
                    result = relation(RelType::Offset(Box::new(proto::Offset {
                        input: Some(Box::new(result)),
                        offset,
                    })));
                }
                if let Some(limit) = limit
                    && !matches!(limit, Expr::Identifier(all) if all.value.eq_ignore_ascii_case("all"))
                {
                    let limit = self.count("limit", limit)?;
                    result = relation(RelType::Limit(Box::new(proto::Limit {
                        input: Some(Box::new(result)),
                        limit,
                    })));
                }
            }
            Some(other) => return Err(SparkError::unsupported(format!("{other}"))),
        }
        Ok(result)
    }

    /// A whole number, as `LIMIT` takes it.
    pub(super) fn count(&mut self, name: &str, expr: &Expr) -> Result<i32> {
        let value = self.expr(expr)?;
        match value.expr_type {
            Some(ExprType::Literal(proto::expression::Literal { literal_type: Some(value), .. })) => {
                match value {
                    LiteralType::Integer(value) => Ok(value),
                    LiteralType::Long(value) => Ok(i32::try_from(value).unwrap_or(i32::MAX)),
                    _ => Err(SparkError::new("INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE")
                        .with("name", name)
                        .with("expr", format!("\"{expr}\""))
                        .with("dataType", "\"STRING\"")),
                }
            }
            _ => Err(SparkError::unsupported(format!("the {name} expression {expr}"))),
        }
    }

    fn order_by(&mut self, input: proto::Relation, order_by: &OrderBy) -> Result<proto::Relation> {
        let order = match &order_by.kind {
            OrderByKind::Expressions(expressions) => {
                expressions.iter().map(|e| self.sort_order(e)).collect::<Result<_>>()?
            }
            OrderByKind::All(options) => vec![sort_order(star(None), options)],
        };
        Ok(sorted(input, order, true))
    }

    fn set_expr(&mut self, set_expr: &SetExpr) -> Result<proto::Relation> {
        match set_expr {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::Values(values) => self.values(values),
            SetExpr::Table(table) => {
                let name = table.table_name.clone().into_iter().collect();
                Ok(self.table(name))
            }
            SetExpr::SetOperation { left, op, set_quantifier, right } => {
                let set_op_type = match op {
                    SetOperator::Union => SetOpType::Union,
                    SetOperator::Intersect => SetOpType::Intersect,
                    SetOperator::Except | SetOperator::Minus => SetOpType::Except,
                };
                let (is_all, by_name) = match set_quantifier {
                    SetQuantifier::All => (true, false),
                    SetQuantifier::Distinct | SetQuantifier::None => (false, false),
                    SetQuantifier::AllByName => (true, true),
                    SetQuantifier::ByName | SetQuantifier::DistinctByName => (false, true),
                };
                Ok(relation(RelType::SetOp(Box::new(proto::SetOperation {
                    left_input: Some(Box::new(self.set_expr(left)?)),
                    right_input: Some(Box::new(self.set_expr(right)?)),
                    set_op_type: set_op_type.into(),
                    is_all: Some(is_all),
                    by_name: Some(by_name),
                    allow_missing_columns: Some(false),
                }))))
            }
            other => Err(SparkError::unsupported(format!("the SQL query {other}"))),
        }
    }

    /// `VALUES (..), (..)` as columns `col1`, `col2`, ...
    pub(super) fn values(&mut self, values: &Values) -> Result<proto::Relation> {
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let cells = row.content.iter().map(|cell| self.expr(cell)).collect::<Result<Vec<_>>>()?;
            rows.push(ValuesRow { cells });
        }
        let width = rows.first().map_or(0, |row| row.cells.len());
        if let Some(row) = rows.iter().find(|row| row.cells.len() != width) {
            return Err(SparkError::new("INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH")
                .with("expectedNumCols", width.to_string())
                .with("actualNumCols", row.cells.len().to_string())
                .with("rowIndex", "1"));
        }
        Ok(extension(message::Values::TYPE_URL, &message::Values { rows }))
    }

    fn select(&mut self, select: &Select) -> Result<proto::Relation> {
        let outer_windows = self.name_windows(&select.named_window)?;
        let result = self.select_body(select);
        self.windows.truncate(outer_windows);
        self.arranged(result?, select)
    }

    /// `input` in the partitions and order that `DISTRIBUTE BY`, `SORT BY` or `CLUSTER BY` ask for.
    fn arranged(&mut self, mut input: proto::Relation, select: &Select) -> Result<proto::Relation> {
        let by = if select.cluster_by.is_empty() { &select.distribute_by } else { &select.cluster_by };
        if !by.is_empty() {
            let partition_exprs = by.iter().map(|e| self.expr(e)).collect::<Result<_>>()?;
            input = relation(RelType::RepartitionByExpression(Box::new(proto::RepartitionByExpression {
                input: Some(Box::new(input)),
                partition_exprs,
                num_partitions: None,
            })));
        }
        let order: Vec<SortOrder> = if select.cluster_by.is_empty() {
            select.sort_by.iter().map(|e| self.sort_order(e)).collect::<Result<_>>()?
        } else {
            let ascending = OrderByOptions { asc: None, nulls_first: None };
            let keys = select.cluster_by.iter();
            keys.map(|e| Ok(sort_order(self.expr(e)?, &ascending))).collect::<Result<_>>()?
        };
        Ok(if order.is_empty() { input } else { sorted(input, order, false) })
    }

    fn select_body(&mut self, select: &Select) -> Result<proto::Relation> {
        for (is_there, what) in [
            (select.top.is_some(), "TOP"),
            (select.into.is_some(), "SELECT INTO"),
            (select.prewhere.is_some(), "PREWHERE"),
            (!select.connect_by.is_empty(), "CONNECT BY"),
            (select.exclude.is_some(), "EXCLUDE"),
        ] {
            if is_there {
                return Err(SparkError::unsupported(what));
            }
        }
        let mut input = self.from(&select.from)?;
        for view in &select.lateral_views {
            let Some(rows) = input else { return Err(SparkError::unsupported("LATERAL VIEW without FROM")) };
            input = Some(self.lateral_view(rows, view)?);
        }
        if let Some(condition) = &select.selection {
            let condition = self.expr(condition)?;
            input = Some(filter(input, condition));
        }
        let mut items = Vec::with_capacity(select.projection.len());
        let mut except = Vec::new();
        for item in &select.projection {
            match item {
                SelectItem::Wildcard(WildcardAdditionalOptions { opt_except: Some(names), .. })
                    if select.projection.len() == 1 =>
                {
                    except.push(names.first_element.value.clone());
                    except.extend(names.additional_elements.iter().map(|name| name.value.clone()));
                    items.push(star(None));
                }
                item => items.push(self.select_item(item)?),
            }
        }
        if select.flavor == SelectFlavor::FromFirstNoSelect {
            items.push(star(None));
        }
        // Window functions are computed in the select list, then looked at and dropped.
        if let Some(condition) = &select.qualify {
            items.push(alias(self.expr(condition)?, vec![QUALIFY.to_string()]));
        }
        let grouping = self.group_by(select)?;
        let mut result = match grouping {
            None => relation(RelType::Project(Box::new(proto::Project {
                input: input.map(Box::new),
                expressions: items,
            }))),
            Some(grouping) => extension(
                GroupedSelect::TYPE_URL,
                &GroupedSelect { input: input.map(Box::new), items, ..grouping },
            ),
        };
        if let Some(having) = &select.having {
            let condition = self.expr(having)?;
            result = filter(Some(result), condition);
        }
        if select.qualify.is_some() {
            result = filter(Some(result), message::attribute(&[QUALIFY.to_string()]));
            except.push(QUALIFY.to_string());
        }
        if !except.is_empty() {
            result = relation(RelType::Drop(Box::new(proto::Drop {
                input: Some(Box::new(result)),
                columns: Vec::new(),
                column_names: except,
            })));
        }
        match &select.distinct {
            None | Some(Distinct::All) => Ok(result),
            // A union of one: unlike `dropDuplicates`, which over a stream keeps first rows, this
            // is an aggregation.
            Some(Distinct::Distinct) => Ok(relation(RelType::SetOp(Box::new(proto::SetOperation {
                left_input: Some(Box::new(result)),
                set_op_type: SetOpType::Union.into(),
                is_all: Some(false),
                ..Default::default()
            })))),
            Some(Distinct::On(_)) => Err(SparkError::unsupported("DISTINCT ON")),
        }
    }

    /// One item of a select list.
    pub(super) fn select_item(&mut self, item: &SelectItem) -> Result<proto::Expression> {
        match item {
            SelectItem::UnnamedExpr(expr) => self.expr(expr),
            SelectItem::ExprWithAlias { expr, alias: name } => {
                Ok(alias(self.expr(expr)?, vec![name.value.clone()]))
            }
            SelectItem::ExprWithAliases { expr, aliases } => {
                Ok(alias(self.expr(expr)?, aliases.iter().map(|a| a.value.clone()).collect()))
            }
            SelectItem::Wildcard(options) => {
                no_options(options)?;
                Ok(star(None))
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                no_options(options)?;
                Ok(star(Some(&object_name(name)?)))
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
                Err(SparkError::unsupported(format!("the select item {expr}.*")))
            }
        }
    }
}

fn no_options(options: &WildcardAdditionalOptions) -> Result<()> {
    let plain = options.opt_ilike.is_none()
        && options.opt_exclude.is_none()
        && options.opt_except.is_none()
        && options.opt_replace.is_none()
        && options.opt_rename.is_none();
    if plain { Ok(()) } else { Err(SparkError::unsupported("* EXCEPT")) }
}

/// The hidden column of a `QUALIFY` condition.
const QUALIFY: &str = "__spark_qualify";

fn sorted(input: proto::Relation, order: Vec<SortOrder>, is_global: bool) -> proto::Relation {
    let input = Some(Box::new(input));
    relation(RelType::Sort(Box::new(proto::Sort { input, order, is_global: Some(is_global) })))
}

fn filter(input: Option<proto::Relation>, condition: proto::Expression) -> proto::Relation {
    let input = input.unwrap_or_else(|| {
        relation(RelType::Project(Box::new(proto::Project { input: None, expressions: Vec::new() })))
    });
    relation(RelType::Filter(Box::new(proto::Filter {
        input: Some(Box::new(input)),
        condition: Some(condition),
    })))
}

/// `input` with its columns renamed.
pub(super) fn to_df(input: proto::Relation, column_names: Vec<String>) -> proto::Relation {
    relation(RelType::ToDf(Box::new(proto::ToDf { input: Some(Box::new(input)), column_names })))
}
