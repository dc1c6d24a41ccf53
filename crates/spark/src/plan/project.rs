//! `Project`: select lists, with window functions, `window()` and global aggregates.

use std::sync::Arc;

use datafusion::logical_expr::{Expr, LogicalPlan, Projection};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, relation::RelType};

use super::{
    aggregate::{Aggregation, contains_aggregate},
    attribute::Attribute,
    below::Below,
    generate,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::expression::TypedExpr;

impl Translator<'_> {
    pub(super) fn project(&self, project: &proto::Project) -> Result<Frame> {
        let input = match project.input.as_deref() {
            // `SELECT 1` has no input: one row without columns.
            None | Some(proto::Relation { rel_type: None, .. }) => self.one_row(),
            Some(input) => self.frame(input)?,
        };
        let expressions = generate::parsed(&project.expressions);
        let (input, expressions) = generate::expand(self, input, &expressions)?;
        let scope = RelationScope::select(self, &input).drawing();
        let mut items = Vec::with_capacity(expressions.len());
        for expression in expressions.iter() {
            let resolved = scope.resolve_all(expression)?;
            scope.note_aliases(expression, &resolved);
            items.extend(resolved);
        }
        let input = scope.windowed(&input)?;
        self.select(&input, &items)
    }

    /// `input` projected to `items`, which may hold aggregates (a global aggregation) and
    /// window functions.
    pub(super) fn select(&self, input: &Frame, items: &[TypedExpr]) -> Result<Frame> {
        if items.iter().any(|item| contains_aggregate(&item.expr)) {
            let mut aggregation = Aggregation::new(input.clone(), Vec::new());
            let outputs =
                items.iter().map(|item| aggregation.output(self, item)).collect::<Result<Vec<_>>>()?;
            return aggregation.build(self, outputs);
        }
        let (input, items) = super::window_function::extract(self, input, items)?;
        self.project_to(&input, &items)
    }

    /// `input` projected to plain expressions.
    pub(super) fn project_to(&self, input: &Frame, items: &[TypedExpr]) -> Result<Frame> {
        self.project_with(input, items, Vec::new())
    }

    /// `input` projected to plain expressions, see [`Below::Project`] for `sides`.
    pub(super) fn project_with(
        &self,
        input: &Frame,
        items: &[TypedExpr],
        sides: Vec<Attribute>,
    ) -> Result<Frame> {
        let mut columns: Vec<Attribute> = Vec::with_capacity(items.len());
        let mut exprs: Vec<Expr> = Vec::with_capacity(items.len());
        for item in items {
            let (expr, column) = self.projected(input, item, &columns);
            exprs.push(expr);
            columns.push(column);
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs.clone(), Arc::clone(&input.plan))?);
        let below = Below::Project { input: input.clone(), exprs, sides };
        Ok(Frame { below: Some(Arc::new(below)), columns: Arc::new(columns), ..input.with_plan(plan) })
    }

    /// A column keeps its id (the first time) and, without a new name, its identity.
    fn projected(&self, input: &Frame, item: &TypedExpr, before: &[Attribute]) -> (Expr, Attribute) {
        let source = match &item.expr {
            Expr::Column(column) => input.columns.iter().find(|a| a.id == column.name),
            _ => None,
        };
        match source {
            Some(source) if self.same(source.name(), &item.name) && same_column(source, item) => {
                // The name stays as it was written here.
                let field = Arc::new(source.field.as_ref().clone().with_name(&item.name));
                let shown = Attribute { field, ..source.clone() };
                if before.iter().any(|a| a.id == source.id) {
                    let copy = Attribute { id: self.new_id(), ..shown };
                    (source.expr().alias(&copy.id), copy)
                } else {
                    (source.expr(), shown)
                }
            }
            _ => self.output(item),
        }
    }

    /// A frame of one row and no columns.
    pub(super) fn one_row(&self) -> Frame {
        let plan = LogicalPlan::EmptyRelation(datafusion::logical_expr::EmptyRelation {
            produce_one_row: true,
            schema: Arc::new(datafusion::common::DFSchema::empty()),
        });
        Frame::new(plan, Vec::new(), false)
    }

    pub(super) fn subquery_alias(&self, alias: &proto::SubqueryAlias) -> Result<Frame> {
        let input = self.input(alias.input.as_deref())?;
        let mut qualifier = alias.qualifier.clone();
        qualifier.push(alias.alias.clone());
        Ok(input.qualified(&qualifier))
    }

    pub(super) fn with_relations(&self, with: &proto::WithRelations) -> Result<Frame> {
        let before = self.bound.borrow().len();
        self.bound.borrow_mut().extend(with.references.iter().cloned());
        let frame = self.input(with.root.as_deref());
        self.bound.borrow_mut().truncate(before);
        frame
    }

    pub(super) fn hint(&self, hint: &proto::Hint) -> Result<Frame> {
        self.input(hint.input.as_deref())
    }
}

/// Whether `item` is `column` without a change of type, nullability or metadata.
fn same_column(column: &Attribute, item: &TypedExpr) -> bool {
    column.field.data_type() == item.data_type()
        && column.field.is_nullable() == item.nullable()
        && column.field.metadata() == item.field.metadata()
}

/// The relation's name in Spark's words, for messages.
pub(super) fn relation_name(rel_type: &RelType) -> &'static str {
    match rel_type {
        RelType::MapPartitions(_) => "mapInPandas / mapInArrow",
        RelType::Parse(_) => "parsing a column of text as csv or json",
        RelType::GroupMap(_) => "applyInPandas",
        RelType::CoGroupMap(_) => "cogroup",
        RelType::ApplyInPandasWithState(_) => "applyInPandasWithState",
        RelType::CommonInlineUserDefinedTableFunction(_) => "a Python table function",
        RelType::AsOfJoin(_) => "an as-of join",
        RelType::CommonInlineUserDefinedDataSource(_) => "a Python data source",
        RelType::Transpose(_) => "transpose",
        RelType::UnresolvedTableValuedFunction(_) => "a table-valued function",
        RelType::LateralJoin(_) => "a lateral join",
        RelType::RelationChanges(_) => "changes of a table",
        RelType::NearestByJoin(_) => "a nearest-by join",
        RelType::Zip(_) => "zip",
        RelType::Crosstab(_) => "crosstab",
        RelType::Cov(_) => "cov",
        RelType::Corr(_) => "corr",
        RelType::ApproxQuantile(_) => "approxQuantile",
        RelType::FreqItems(_) => "freqItems",
        RelType::SampleBy(_) => "sampleBy",
        RelType::Catalog(_) => "this catalog call",
        RelType::MlRelation(_) => "machine learning",
        RelType::ShowString(_) | RelType::HtmlString(_) => "show inside of another relation",
        _ => "this relation",
    }
}

/// An internal error for a message part that protocol requires.
pub(super) fn missing(what: &str) -> SparkError {
    SparkError::internal(format!("a relation message lacks its {what}"))
}
