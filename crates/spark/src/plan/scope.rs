//! What expressions see of the relation they stand on.

use std::{
    cell::{OnceCell, RefCell},
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::Column,
    logical_expr::Expr,
};
use millstream_engine::{
    Result, SparkError,
    plan::{
        Nondeterministic, RowFunction, SESSION_WINDOW_KEY, SessionWindow, TimeWindow, WATERMARK_DELAY_KEY,
    },
    time::WindowSpec,
};
use spark_connect_proto::{self as proto, expression::ExprType};

use super::{
    attribute::{self, Attribute, quote_parts, struct_field},
    translator::{Frame, Translator},
};
use crate::{
    expression::{self, Scope, TypedExpr, calls_lambda},
    sql, types,
};

/// The columns of one or more frames, and the wishes expressions have about them.
pub(super) struct RelationScope<'s, 'a> {
    translator: &'s Translator<'a>,
    columns: Vec<Attribute>,
    /// Columns below the relation, looked for once a name needs them; using one puts it
    /// into `revealed`.
    hidden: OnceCell<Vec<Attribute>>,
    below: Option<Frame>,
    revealed: RefCell<Vec<Attribute>>,
    /// Whether hidden columns are found by qualifier and DataFrame only.
    qualified_only: bool,
    /// Whether `window()` may stand here.
    windows_allowed: bool,
    window: RefCell<Option<Window>>,
    /// Whether functions of a row's place may stand here, and those that do, with their columns.
    draws_allowed: bool,
    drawn: RefCell<Vec<(RowFunction, String)>>,
    is_streaming: bool,
    /// Aliases of earlier items of the same select list, which later ones may use.
    laterals: RefCell<Vec<TypedExpr>>,
    /// Resolved expressions that translation itself refers to, see [`bound_name`].
    bound: Vec<TypedExpr>,
}

/// What Spark's messages call `df["*"]`.
const NAMELESS_STAR: &str = "\"unresolveddataframestar()\"";

/// The unresolved expression that means the `index`-th bound expression of a scope: how
/// translation hands resolved columns to functions. No text a user writes can name it.
pub(super) fn bound_name(index: usize) -> proto::Expression {
    let attribute = proto::expression::UnresolvedAttribute {
        unparsed_identifier: format!("`\0{index}`"),
        ..Default::default()
    };
    proto::Expression { common: None, expr_type: Some(ExprType::UnresolvedAttribute(attribute)) }
}

#[derive(Clone)]
struct Window {
    time: Expr,
    kind: Kind,
    column: Attribute,
}

/// Which windows a row gets.
#[derive(Clone, PartialEq)]
enum Kind {
    /// All of a grid that hold it.
    Time(WindowSpec),
    /// One of its own, up to this instant.
    Session(Expr),
}

impl<'s, 'a> RelationScope<'s, 'a> {
    /// A scope over `frame` in which `window()` may stand.
    pub fn select(translator: &'s Translator<'a>, frame: &Frame) -> Self {
        Self { hidden: OnceCell::from(frame.sides()), ..Self::visible(translator, frame) }
    }

    /// As [`Self::select`], but nothing that is not visible is found.
    pub fn visible(translator: &'s Translator<'a>, frame: &Frame) -> Self {
        Self {
            translator,
            columns: frame.columns.to_vec(),
            hidden: OnceCell::new(),
            below: None,
            qualified_only: true,
            revealed: RefCell::default(),
            windows_allowed: true,
            window: RefCell::default(),
            draws_allowed: false,
            drawn: RefCell::default(),
            is_streaming: frame.is_streaming,
            laterals: RefCell::default(),
            bound: Vec::new(),
        }
    }

    /// A scope over `frame` that also finds columns below it.
    pub fn with_hidden(translator: &'s Translator<'a>, frame: &Frame) -> Self {
        Self {
            below: Some(frame.clone()),
            qualified_only: false,
            windows_allowed: false,
            draws_allowed: true,
            ..Self::visible(translator, frame)
        }
    }

    /// The same scope where functions of a row's place may stand too: its user takes the frame
    /// from [`RelationScope::windowed`] or [`RelationScope::revealed`].
    pub fn drawing(self) -> Self {
        Self { draws_allowed: true, ..self }
    }

    /// A scope over an aggregation's input that also finds what the aggregation shows.
    pub fn having(translator: &'s Translator<'a>, input: &Frame, shown: &Frame) -> Self {
        let known = |a: &&Attribute| !input.columns.iter().any(|i| i.id == a.id);
        Self {
            hidden: OnceCell::from(shown.columns.iter().filter(known).cloned().collect::<Vec<_>>()),
            qualified_only: false,
            windows_allowed: false,
            ..Self::visible(translator, input)
        }
    }

    /// A scope over `frame` where the names of [`bound_name`] mean `bound`, by position.
    pub fn binding(translator: &'s Translator<'a>, frame: &Frame, bound: Vec<TypedExpr>) -> Self {
        Self { bound, windows_allowed: false, ..Self::visible(translator, frame) }
    }

    /// A scope over the columns of a join's two sides.
    pub fn join(translator: &'s Translator<'a>, left: &Frame, right: &Frame) -> Self {
        let mut scope = Self::visible(translator, left);
        scope.columns.extend(right.columns.iter().cloned());
        scope.is_streaming |= right.is_streaming;
        scope.windows_allowed = false;
        scope
    }

    /// Resolves one expression here.
    pub fn resolve_one(&self, expression: &proto::Expression) -> Result<TypedExpr> {
        expression::resolve(expression, self, self.translator.conf)
    }

    /// Resolves a select-list item here.
    pub fn resolve_all(&self, expression: &proto::Expression) -> Result<Vec<TypedExpr>> {
        let mut items = expression::resolve_all(expression, self, self.translator.conf)?;
        // A literal's name counts as given, the text of a constant expression as made up.
        if let [item] = items.as_mut_slice()
            && self.is_literal(expression)
        {
            item.named = true;
        }
        Ok(items)
    }

    fn is_literal(&self, expression: &proto::Expression) -> bool {
        match &expression.expr_type {
            Some(ExprType::Literal(_)) => true,
            Some(ExprType::ExpressionString(text)) => {
                matches!(
                    sql::parse_expression(&text.expression),
                    Ok(proto::Expression { expr_type: Some(ExprType::Literal(_)), .. })
                )
            }
            _ => false,
        }
    }

    /// Lets later items of a select list use the alias of this one.
    pub fn note_aliases(&self, expression: &proto::Expression, items: &[TypedExpr]) {
        if let (Some(ExprType::Alias(_)), [item]) = (&expression.expr_type, items) {
            self.note_alias(item.clone());
        }
    }

    /// Lets later expressions use the name of `item` where no column has it.
    pub fn note_alias(&self, item: TypedExpr) {
        self.laterals.borrow_mut().push(item);
    }

    /// The earlier item whose alias is the first of `parts`.
    fn lateral(&self, parts: &[String]) -> Option<TypedExpr> {
        let name = parts.first()?;
        let laterals = self.laterals.borrow();
        let found = laterals
            .iter()
            .rev()
            .find(|item| attribute::same_name(&item.name, name, self.case_sensitive()))?;
        Some(TypedExpr { sql: name.clone(), named: true, ..found.clone() })
    }

    /// `frame` with the window column and the hidden ones that resolved expressions refer to.
    pub fn windowed(&self, frame: &Frame) -> Result<Frame> {
        let frame = frame.reveal(&self.revealed.borrow())?;
        match self.window.borrow().as_ref() {
            None => self.with_drawn(frame),
            Some(Window { time, kind, column }) => {
                let input = frame.plan.as_ref().clone();
                let plan = match kind {
                    Kind::Time(spec) => TimeWindow::plan(input, time.clone(), *spec, &column.id)?,
                    Kind::Session(end) => SessionWindow::plan(input, time.clone(), end.clone(), &column.id)?,
                };
                let mut columns = frame.columns.to_vec();
                columns.push(column.clone());
                self.with_drawn(frame.with_plan(plan).with_columns(columns))
            }
        }
    }

    /// Whether the window's time or gap is made by a lambda.
    pub fn has_window_by_lambda(&self) -> bool {
        self.window.borrow().as_ref().is_some_and(|window| {
            let gap = match &window.kind {
                Kind::Time(_) => None,
                Kind::Session(end) => Some(end),
            };
            std::iter::once(&window.time).chain(gap).any(calls_lambda)
        })
    }

    /// `frame` with the columns of functions of a row's place.
    fn with_drawn(&self, frame: Frame) -> Result<Frame> {
        let drawn = self.drawn.borrow();
        if drawn.is_empty() {
            return Ok(frame);
        }
        let plan = Nondeterministic::plan(frame.plan.as_ref().clone(), drawn.clone())?;
        Ok(Frame::through(&frame, plan))
    }

    /// `frame` with the hidden columns that resolved expressions refer to.
    pub fn revealed(&self, frame: &Frame) -> Result<Frame> {
        self.with_drawn(frame.reveal(&self.revealed.borrow())?)
    }

    fn by_plan_id(&self, parts: &[String], plan_id: i64) -> Result<(Attribute, usize)> {
        let mut nearest: Vec<(usize, Attribute, usize)> = Vec::new();
        for output in self.translator.plan_outputs(plan_id) {
            let Some((column, used)) = attribute::find(&output.columns, parts, self.case_sensitive())? else {
                continue;
            };
            let here = self.columns.iter().chain(self.hidden()).find(|a| a.identity == column.identity);
            let Some(here) = here else { continue };
            if !nearest.iter().any(|(_, a, _)| a.id == here.id) {
                nearest.push((output.depth, here.clone(), used));
            }
        }
        nearest.sort_by_key(|(depth, ..)| *depth);
        match nearest.as_slice() {
            [] => Err(SparkError::new("CANNOT_RESOLVE_DATAFRAME_COLUMN")
                .with("name", format!("\"{}\"", parts.join(".")))),
            [(first, ..), (second, ..), ..] if first == second => {
                Err(SparkError::new("AMBIGUOUS_COLUMN_REFERENCE").with("name", quote_parts(parts)))
            }
            [(_, column, used), ..] => Ok((column.clone(), *used)),
        }
    }

    /// `df["*"]`: all columns of the DataFrame, as far up as they still are what they were.
    fn star_of_plan(&self, plan_id: i64) -> Result<Vec<TypedExpr>> {
        let mut nearest: Vec<(usize, Vec<&Attribute>)> = Vec::new();
        for output in self.translator.plan_outputs(plan_id) {
            let here = |column: &Attribute| {
                self.columns.iter().chain(self.hidden()).find(|a| a.identity == column.identity)
            };
            let Some(found) = output.columns.iter().map(here).collect::<Option<Vec<_>>>() else { continue };
            let ids = |columns: &[&Attribute]| columns.iter().map(|a| a.id.clone()).collect::<Vec<_>>();
            if !nearest.iter().any(|(_, other)| ids(other) == ids(&found)) {
                nearest.push((output.depth, found));
            }
        }
        nearest.sort_by_key(|(depth, _)| *depth);
        match nearest.as_slice() {
            [] => Err(SparkError::new("CANNOT_RESOLVE_DATAFRAME_COLUMN").with("name", NAMELESS_STAR)),
            [(first, _), (second, _), ..] if first == second => {
                Err(SparkError::new("AMBIGUOUS_COLUMN_REFERENCE").with("name", NAMELESS_STAR))
            }
            [(_, found), ..] => {
                found.iter().for_each(|column| self.note_hidden(column));
                Ok(found.iter().map(|column| column.typed()).collect())
            }
        }
    }

    fn by_name(&self, parts: &[String]) -> Result<Option<(Attribute, usize)>> {
        let found = match attribute::find(&self.columns, parts, self.case_sensitive())? {
            Some(found) => Some(found),
            None => attribute::find(self.hidden(), parts, self.case_sensitive())?
                .filter(|(_, used)| *used > 1 || !self.qualified_only),
        };
        Ok(found.map(|(column, used)| (column.clone(), used)))
    }

    fn hidden(&self) -> &[Attribute] {
        self.hidden.get_or_init(|| self.below.as_ref().map(Frame::hidden).unwrap_or_default())
    }

    /// The struct fields of `column` that the parts after the first `used` name.
    fn fields(&self, column: TypedExpr, parts: &[String], used: usize) -> Result<TypedExpr> {
        let mut names = parts.iter().skip(used);
        names.try_fold(column, |base, name| struct_field(&base, name, self.case_sensitive()))
    }

    fn case_sensitive(&self) -> bool {
        self.translator.conf.case_sensitive
    }

    fn note_hidden(&self, column: &Attribute) {
        let hidden = self.hidden.get().is_some_and(|hidden| hidden.iter().any(|a| a.id == column.id));
        let mut revealed = self.revealed.borrow_mut();
        if hidden && !revealed.iter().any(|a| a.id == column.id) {
            revealed.push(column.clone());
        }
    }
}

impl Scope for RelationScope<'_, '_> {
    fn resolve(&self, parts: &[String], plan_id: Option<i64>, metadata: bool) -> Result<TypedExpr> {
        if metadata {
            return Err(SparkError::unsupported(format!("the metadata column {}", quote_parts(parts))));
        }
        if let [name] = parts
            && let Some(index) = name.strip_prefix('\0')
            && let Some(bound) = index.parse::<usize>().ok().and_then(|index| self.bound.get(index))
        {
            return Ok(bound.clone());
        }
        let (column, used) = match plan_id {
            Some(plan_id) => self.by_plan_id(parts, plan_id)?,
            None => match self.by_name(parts)? {
                Some(found) => found,
                None => {
                    if let Some(item) = self.lateral(parts) {
                        return self.fields(item, parts, 1);
                    }
                    return match self.translator.outer_column(parts)? {
                        Some((column, used)) => self.fields(column, parts, used),
                        None => Err(attribute::unresolved(&self.columns, parts)),
                    };
                }
            },
        };
        self.note_hidden(&column);
        let mut typed = column.typed();
        // A column shows the name it was asked for by.
        if let Some(written) = used.checked_sub(1).and_then(|last| parts.get(last)) {
            typed.name.clone_from(written);
            typed.sql.clone_from(written);
        }
        self.fields(typed, parts, used)
    }

    fn columns(&self, target: &[String], plan_id: Option<i64>) -> Result<Vec<TypedExpr>> {
        if let Some(plan_id) = plan_id {
            return self.star_of_plan(plan_id);
        }
        if target.is_empty() {
            return Ok(self.columns.iter().map(Attribute::typed).collect());
        }
        let same = |a: &str, b: &str| attribute::same_name(a, b, self.case_sensitive());
        let qualified: Vec<TypedExpr> = self
            .columns
            .iter()
            .filter(|a| {
                a.qualifier.len() >= target.len()
                    && a.qualifier.iter().rev().zip(target.iter().rev()).all(|(q, t)| same(q, t))
            })
            .map(Attribute::typed)
            .collect();
        if !qualified.is_empty() {
            return Ok(qualified);
        }
        // Spark lists what has a qualifier.
        let qualified = self.columns.iter().filter(|a| !a.qualifier.is_empty());
        let names: Vec<String> = qualified.map(|a| quote_parts(&[a.name().to_string()])).collect();
        let no_star = || {
            SparkError::new("CANNOT_RESOLVE_STAR_EXPAND")
                .with("targetString", quote_parts(target))
                .with("columns", names.join(", "))
        };
        let base = match self.resolve(target, None, false) {
            Ok(base) => base,
            Err(_) => return Err(no_star()),
        };
        let DataType::Struct(fields) = base.data_type().clone() else { return Err(no_star()) };
        fields.iter().map(|f| struct_field(&base, f.name(), true)).collect()
    }

    fn parse_expression(&self, text: &str) -> Result<proto::Expression> {
        sql::parse_expression(text)
    }

    fn parse_type(&self, text: &str) -> Result<DataType> {
        types::parse_data_type(text)
    }

    fn is_streaming(&self) -> bool {
        self.is_streaming
    }

    fn window(&self, time: TypedExpr, spec: WindowSpec) -> Result<TypedExpr> {
        // Spark builds the struct directly for tumbling windows and expands rows otherwise.
        self.windowed_by(time, Kind::Time(spec), "spark.timeWindow", !spec.is_tumbling())
    }

    fn session_window(&self, time: TypedExpr, end: TypedExpr) -> Result<TypedExpr> {
        self.windowed_by(time, Kind::Session(end.expr), SESSION_WINDOW_KEY, false)
    }

    fn nondeterministic(&self, function: RowFunction) -> Result<Expr> {
        if !self.draws_allowed {
            return Err(SparkError::unsupported(
                "a nondeterministic function outside of a select list, filter, sort or grouping expression",
            ));
        }
        let mut drawn = self.drawn.borrow_mut();
        let id = match drawn.iter().find(|(known, _)| *known == function) {
            Some((_, id)) => id.clone(),
            None => {
                let id = self.translator.new_id();
                drawn.push((function, id.clone()));
                id
            }
        };
        Ok(Expr::Column(Column::new_unqualified(id)))
    }

    fn fresh_seed(&self) -> i64 {
        self.translator.fresh_seed()
    }

    fn subquery(&self, subquery: &proto::SubqueryExpression, values: Vec<TypedExpr>) -> Result<TypedExpr> {
        self.translator.subquery(&self.columns, subquery, values)
    }
}

impl RelationScope<'_, '_> {
    /// The window column of `time`; a relation has one at most.
    fn windowed_by(&self, time: TypedExpr, kind: Kind, marker: &str, nullable: bool) -> Result<TypedExpr> {
        if !self.windows_allowed {
            return Err(SparkError::unsupported(
                "window() outside of a select list and grouping expressions",
            ));
        }
        if let Some(window) = self.window.borrow().as_ref() {
            return if window.time == time.expr && window.kind == kind {
                Ok(window.column.typed())
            } else {
                Err(SparkError::new("_LEGACY_ERROR_TEMP_1039"))
            };
        }
        let edge = |name: &str| Field::new(name, time.data_type().clone(), true);
        let mut metadata = std::collections::HashMap::from([(marker.to_string(), "true".to_string())]);
        if let Some(delay) = time.field.metadata().get(WATERMARK_DELAY_KEY) {
            metadata.insert(WATERMARK_DELAY_KEY.to_string(), delay.clone());
        }
        let data_type = types::struct_of([edge("start"), edge("end")]);
        let field = Field::new("window", data_type, nullable).with_metadata(metadata);
        let column = self.translator.attribute(Arc::new(field));
        let typed = column.typed();
        *self.window.borrow_mut() = Some(Window { time: time.expr, kind, column });
        Ok(typed)
    }
}
