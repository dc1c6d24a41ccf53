//! The walk over a plan: ids, plan ids, depth, and which file translates what.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    sync::Arc,
};

use datafusion::{
    arrow::datatypes::{Field, FieldRef},
    datasource::provider_as_source,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, relation::RelType};

use super::{
    attribute::Attribute,
    below::Below,
    project::relation_name,
    references::too_deep,
    resolved::ResolvedSet,
    semantics::meaning,
    translated::{OutputColumn, Partitioning, Translated},
};
use crate::{SessionConf, expression::TypedExpr};

/// Relations may nest this deep. Translation recurses: run it on a stack of 64 KiB a level.
pub const MAX_DEPTH: usize = 2_000;

/// Translates `relation` under the settings `conf`; `resolved` holds what its references
/// are.
///
/// # Errors
/// Spark's analysis errors, or `UNSUPPORTED_FEATURE.MILLSTREAM` naming what is missing.
pub fn translate(
    relation: &proto::Relation,
    resolved: &ResolvedSet,
    conf: &SessionConf,
) -> Result<Translated> {
    let translator = Translator::new(resolved, conf);
    let frame = translator.frame(relation)?;
    let frame = frame.trimmed()?;
    let columns = frame
        .columns
        .iter()
        .map(|a| OutputColumn { id: a.id.clone(), field: Arc::clone(&a.field) })
        .collect();
    Ok(Translated {
        plan: Arc::unwrap_or_clone(frame.plan),
        columns,
        column_names: translator.names.into_inner(),
        is_streaming: frame.is_streaming,
        partitioning: frame.partitioning,
        tail: frame.tail,
    })
}

/// A relation under translation.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    /// The plan; may have more columns than the visible ones.
    pub plan: Arc<LogicalPlan>,
    /// The visible columns, in order.
    pub columns: Arc<Vec<Attribute>>,
    /// Whether it reads a stream.
    pub is_streaming: bool,
    /// See [`Translated::partitioning`].
    pub partitioning: Option<Partitioning>,
    /// See [`Translated::tail`].
    pub tail: Option<usize>,
    /// Where columns that were projected away can still be had (Spark's missing attributes).
    pub below: Option<Arc<Below>>,
}

impl Frame {
    /// A frame whose plan's columns are named by the ids of `columns`.
    pub fn new(plan: LogicalPlan, columns: Vec<Attribute>, is_streaming: bool) -> Self {
        Self {
            plan: Arc::new(plan),
            columns: Arc::new(columns),
            is_streaming,
            partitioning: None,
            tail: None,
            below: None,
        }
    }

    /// The same rows in another plan: columns, order and partitioning stay.
    pub fn with_plan(&self, plan: LogicalPlan) -> Self {
        Self { plan: Arc::new(plan), below: None, ..self.clone() }
    }

    /// The same plan under other visible columns.
    pub fn with_columns(&self, columns: Vec<Attribute>) -> Self {
        Self { columns: Arc::new(columns), ..self.clone() }
    }

    /// The same rows with exactly the visible columns in the plan, in order.
    pub fn trimmed(&self) -> Result<Self> {
        let schema = self.plan.schema();
        let exact = schema.fields().len() == self.columns.len()
            && schema.fields().iter().zip(self.columns.iter()).all(|(f, a)| *f.name() == a.id);
        if exact {
            return Ok(self.clone());
        }
        let exprs: Vec<Expr> = self.columns.iter().map(Attribute::expr).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(exprs.clone(), Arc::clone(&self.plan))?);
        let below = Below::Project { input: self.clone(), exprs, sides: Vec::new() };
        Ok(Self { plan: Arc::new(plan), below: Some(Arc::new(below)), ..self.clone() })
    }
}

/// One translation.
pub(super) struct Translator<'a> {
    pub conf: &'a SessionConf,
    resolved: RefCell<Vec<&'a ResolvedSet>>,
    next_id: Cell<usize>,
    /// The user's names by id.
    names: RefCell<HashMap<String, String>>,
    /// Seeds handed out.
    draws: Cell<i64>,
    depth: Cell<usize>,
    /// For each plan id: the columns of each relation that has it, with its depth.
    plan_outputs: RefCell<HashMap<i64, Vec<PlanOutput>>>,
    /// Relations that `WithRelations` binds, by name and by plan id.
    pub bound: RefCell<Vec<proto::Relation>>,
    /// The columns of the queries around the subquery at hand, innermost last.
    pub outer: RefCell<Vec<Vec<Attribute>>>,
}

#[derive(Debug, Clone)]
pub(super) struct PlanOutput {
    pub depth: usize,
    pub columns: Arc<Vec<Attribute>>,
}

impl<'a> Translator<'a> {
    fn new(resolved: &'a ResolvedSet, conf: &'a SessionConf) -> Self {
        Self {
            conf,
            resolved: RefCell::new(vec![resolved]),
            next_id: Cell::new(0),
            names: RefCell::default(),
            draws: Cell::new(0),
            depth: Cell::new(0),
            plan_outputs: RefCell::default(),
            bound: RefCell::default(),
            outer: RefCell::default(),
        }
    }

    /// A column id that no other column of the plan has.
    pub fn new_id(&self) -> String {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        format!("#{id}")
    }

    /// Lets the key `id` of an aggregation have the name of the column it is; Spark calls other
    /// expressions by a name of their own.
    pub fn name_key(&self, id: &str, expr: &Expr) {
        let mut names = self.names.borrow_mut();
        let name = match expr {
            Expr::Column(column) => names.get(&column.name).cloned(),
            _ => None,
        };
        names.insert(id.to_string(), name.unwrap_or_else(|| "_groupingexpression".to_string()));
    }

    /// Another seed at each call.
    pub fn fresh_seed(&self) -> i64 {
        let draw = self.draws.get();
        self.draws.set(draw.wrapping_add(1));
        // Neighbouring seeds give unlike numbers: the generator hashes its seed.
        self.conf.random_seed.wrapping_add(draw)
    }

    /// A new visible column.
    pub fn attribute(&self, field: FieldRef) -> Attribute {
        let id = self.new_id();
        self.names.borrow_mut().insert(id.clone(), field.name().clone());
        Attribute::new(id, field)
    }

    /// The plan expression and the visible column for a resolved select-list item.
    pub fn output(&self, item: &TypedExpr) -> (Expr, Attribute) {
        let mut metadata = item.field.metadata().clone();
        // Spark marks names it made up.
        if !item.named && item.name == item.sql {
            metadata.insert("__autoGeneratedAlias".to_string(), "\"true\"".to_string());
        }
        let field = Field::new(&item.name, item.data_type().clone(), item.nullable()).with_metadata(metadata);
        let attribute = self.attribute(Arc::new(field));
        (item.expr.clone().alias(&attribute.id), attribute)
    }

    /// What the references of the relation at hand are.
    pub fn resolved(&self) -> Result<&'a ResolvedSet> {
        self.resolved.borrow().last().copied().ok_or_else(|| SparkError::internal("no resolved set"))
    }

    /// Translates a view's definition under its own resolved references.
    pub fn frame_with(&self, relation: &proto::Relation, resolved: &'a ResolvedSet) -> Result<Frame> {
        self.resolved.borrow_mut().push(resolved);
        let bound = std::mem::take(&mut *self.bound.borrow_mut());
        let frame = self.frame(relation);
        *self.bound.borrow_mut() = bound;
        self.resolved.borrow_mut().pop();
        frame
    }

    /// The outputs of the relations with Connect plan id `plan_id`.
    pub fn plan_outputs(&self, plan_id: i64) -> Vec<PlanOutput> {
        self.plan_outputs.borrow().get(&plan_id).cloned().unwrap_or_default()
    }

    /// Translates an input, which every unary relation has.
    pub fn input(&self, input: Option<&proto::Relation>) -> Result<Frame> {
        self.frame(input.ok_or_else(|| SparkError::internal("a relation without its input"))?)
    }

    /// Whether the relation at hand is the whole plan.
    pub fn is_root(&self) -> bool {
        self.depth.get() == 1
    }

    /// Translates one relation.
    pub fn frame(&self, relation: &proto::Relation) -> Result<Frame> {
        let depth = self.depth.get() + 1;
        if depth > MAX_DEPTH {
            return Err(too_deep());
        }
        self.depth.set(depth);
        let frame = self.dispatch(relation);
        self.depth.set(depth - 1);
        let frame = self.kept_rows_of(frame?)?;
        if let Some(plan_id) = relation.common.as_ref().and_then(|c| c.plan_id) {
            let output = PlanOutput { depth, columns: Arc::clone(&frame.columns) };
            self.plan_outputs.borrow_mut().entry(plan_id).or_default().push(output);
        }
        Ok(frame)
    }

    /// `frame`, read from kept rows where its plan is cached.
    fn kept_rows_of(&self, frame: Frame) -> Result<Frame> {
        let resolved = self.resolved.borrow().first().copied();
        let Some(resolved) = resolved.filter(|r| r.has_cached() && !frame.is_streaming) else {
            return Ok(frame);
        };
        let exact = frame.trimmed()?;
        let Some(table) = resolved.cached(&meaning(&exact.plan)) else { return Ok(frame) };
        let provider = provider_as_source(Arc::new(table.clone()));
        let scan = LogicalPlanBuilder::scan(self.new_id(), provider, None)?.build()?;
        let columns = scan.schema().columns().into_iter().zip(exact.columns.iter());
        let exprs = columns.map(|(kept, column)| Expr::Column(kept).alias(&column.id)).collect();
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(scan))?);
        Ok(exact.with_plan(plan))
    }

    fn dispatch(&self, relation: &proto::Relation) -> Result<Frame> {
        let Some(rel_type) = &relation.rel_type else {
            return Err(SparkError::internal("a relation without a type"));
        };
        match rel_type {
            RelType::Read(r) => self.read(r),
            RelType::LocalRelation(r) => self.local_relation(r),
            RelType::CachedLocalRelation(r) => self.cached_local_relation(r),
            RelType::ChunkedCachedLocalRelation(r) => self.chunked_cached_local_relation(r),
            RelType::CachedRemoteRelation(r) => self.cached_remote_relation(r),
            RelType::Range(r) => self.range(r),
            RelType::Sql(r) => self.frame(&crate::sql::parse_query(r)?),
            RelType::Project(r) => self.project(r),
            RelType::Filter(r) => self.filter(r),
            RelType::Aggregate(r) => self.aggregate(r),
            RelType::Join(r) => self.join(r),
            RelType::SetOp(r) => self.set_op(r),
            RelType::Sort(r) => self.sort(r),
            RelType::Limit(r) => self.limit(r),
            RelType::Offset(r) => self.offset(r),
            RelType::Tail(r) => self.tail(r),
            RelType::Deduplicate(r) => self.deduplicate(r),
            RelType::Repartition(r) => self.repartition(r),
            RelType::RepartitionByExpression(r) => self.repartition_by_expression(r),
            RelType::SubqueryAlias(r) => self.subquery_alias(r),
            RelType::WithRelations(r) => self.with_relations(r),
            RelType::Hint(r) => self.hint(r),
            RelType::ToDf(r) => self.to_df(r),
            RelType::WithColumns(r) => self.with_columns(r),
            RelType::WithColumnsRenamed(r) => self.with_columns_renamed(r),
            RelType::Drop(r) => self.drop_columns(r),
            RelType::ToSchema(r) => self.to_schema(r),
            RelType::WithWatermark(r) => self.with_watermark(r),
            RelType::FillNa(r) => self.fill_na(r),
            RelType::DropNa(r) => self.drop_na(r),
            RelType::Replace(r) => self.replace(r),
            RelType::Describe(r) => self.describe(r),
            RelType::Summary(r) => self.summary(r),
            RelType::Unpivot(r) => self.unpivot(r),
            RelType::Sample(r) => self.sample(r),
            RelType::CollectMetrics(r) => self.collect_metrics(r),
            RelType::Extension(r) => self.extension(r),
            other => Err(SparkError::unsupported(relation_name(other))),
        }
    }
}
