//! Random chains, as plans of the engine. Every node has the columns `t` (event time), `k`, `v`.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{Column, JoinType, ScalarValue, metadata::FieldMetadata},
    functions::core::coalesce,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit},
};
use millstream_engine::{
    format::Options,
    plan::{Deduplicate, EventTimeWatermark, SessionWindow, StreamScan, TimeWindow, WATERMARK_DELAY_KEY},
    source::SourceSpec,
    time::WindowSpec,
};

use crate::support::stream::{Scratch, aggregate, col, schema};

/// A query; times in milliseconds.
#[derive(Debug, Clone)]
pub enum Op {
    /// Stream number `stream` with a watermark.
    Source { stream: usize, delay: i64 },
    /// The first row of each key: of all columns where `whole`, else of `k` and `t` (`within`: of `k`
    /// alone).
    Dedup { within: bool, whole: bool, input: Box<Op> },
    /// Sums of `v` by window and `k`, at the window's end.
    Window { size: i64, slide: i64, input: Box<Op> },
    /// Sums of `v` by session and `k`, at the session's end.
    Session { gap: i64, input: Box<Op> },
    /// Pairs of equal `k` with `rt` in `[lt - before, lt + after]`; the time is that of the left
    /// side, of a right join that of the right one.
    /// `narrowed`: it was a full join when it was said what joins want, see [`Op::narrowed`].
    Join { kind: JoinType, narrowed: bool, before: i64, after: i64, left: Box<Op>, right: Box<Op> },
    /// Rows of both.
    Union { left: Box<Op>, right: Box<Op> },
    /// The first rows of the query's whole life.
    Limit { rows: usize, input: Box<Op> },
}

impl Op {
    /// What it reads, from left to right.
    pub fn inputs(&self) -> Vec<&Op> {
        match self {
            Op::Source { .. } => vec![],
            Op::Dedup { input, .. }
            | Op::Window { input, .. }
            | Op::Session { input, .. }
            | Op::Limit { input, .. } => vec![input],
            Op::Join { left, right, .. } | Op::Union { left, right } => vec![left, right],
        }
    }

    /// The same, to be changed.
    pub fn inputs_mut(&mut self) -> Vec<&mut Op> {
        match self {
            Op::Source { .. } => vec![],
            Op::Dedup { input, .. }
            | Op::Window { input, .. }
            | Op::Session { input, .. }
            | Op::Limit { input, .. } => vec![input],
            Op::Join { left, right, .. } | Op::Union { left, right } => vec![left, right],
        }
    }

    /// The delay in the mark of `t`: that of the stream it comes from, of a union's the first.
    pub fn delay(&self) -> i64 {
        match self {
            Op::Source { delay, .. } => *delay,
            Op::Join { kind: JoinType::Right, right, .. } => right.delay(),
            _ => self.inputs().first().map_or(0, |input| input.delay()),
        }
    }

    /// Whether streams are joined: filters then take rows without a time out, somewhere below.
    pub fn joins(&self) -> bool {
        matches!(self, Op::Join { .. }) || self.inputs().into_iter().any(Op::joins)
    }

    /// Whether rows come in an order that the model knows.
    pub fn ordered(&self) -> bool {
        match self {
            Op::Window { .. } | Op::Session { .. } | Op::Join { .. } => false,
            _ => self.inputs().into_iter().all(Op::ordered),
        }
    }

    /// The query after Spark's `EliminateOuterJoin`: a full join is a left one where what is
    /// above wants rows with a time.
    ///
    /// Spark narrows joins, infers once what joins want of their inputs, and narrows again: what
    /// becomes a left join only then asks nothing of its right side.
    pub fn narrowed(mut self, timed: Timed) -> Op {
        use Timed::{Inferred, No, Written};
        let wanted = match &mut self {
            // A filter does not go below a deduplication or a limit.
            Op::Source { .. } | Op::Dedup { .. } | Op::Limit { .. } => vec![No],
            Op::Window { .. } | Op::Session { .. } => vec![Written],
            Op::Union { .. } => vec![timed, timed],
            Op::Join { kind, narrowed, .. } => {
                if *kind == JoinType::Full && timed != No {
                    (*kind, *narrowed) = (JoinType::Left, timed == Inferred);
                }
                match kind {
                    JoinType::Full => vec![No, No],
                    JoinType::Left if *narrowed => vec![timed, No],
                    JoinType::Left => vec![timed, Inferred],
                    JoinType::Right => vec![Inferred, timed],
                    _ => vec![timed.max(Inferred), Inferred],
                }
            }
        };
        for (input, timed) in self.inputs_mut().into_iter().zip(wanted) {
            *input = input.clone().narrowed(timed);
        }
        self
    }
}

/// Whether what is above an operator wants rows with a time only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timed {
    No,
    /// As a join does.
    Inferred,
    /// As a window does, which says so itself.
    Written,
}

/// The folder of a stream.
pub fn folder(stream: usize) -> String {
    format!("in{stream}")
}

/// Plans chains over the folders of a scratch directory.
pub struct Planner<'a> {
    pub scratch: &'a Scratch,
    names: usize,
}

fn instant() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

fn duration(ms: i64) -> Expr {
    Expr::Literal(ScalarValue::DurationMicrosecond(Some(ms * 1000)), None)
}

fn end_of(window: &str) -> Expr {
    let args = vec![col(window), lit("end")];
    datafusion::functions::core::get_field().call(args)
}

impl<'a> Planner<'a> {
    pub fn new(scratch: &'a Scratch) -> Self {
        Self { scratch, names: 0 }
    }

    fn name(&mut self, what: &str) -> String {
        self.names += 1;
        format!("{what}{}", self.names)
    }

    pub fn plan(&mut self, op: &Op) -> LogicalPlan {
        match op {
            Op::Source { stream, delay } => self.source(*stream, *delay),
            Op::Dedup { within, whole, input } => {
                let names: &[&str] = match (whole, within) {
                    (true, _) => &["t", "k", "v"],
                    (false, true) => &["k"],
                    (false, false) => &["k", "t"],
                };
                let keys = names.iter().map(|name| Column::new_unqualified(*name)).collect();
                Deduplicate::plan(Arc::new(self.plan(input)), keys, *within)
            }
            Op::Window { size, slide, input } => {
                let window = self.name("w");
                let spec = WindowSpec::new(size * 1000, slide * 1000, 0).unwrap();
                let windowed = TimeWindow::plan(self.plan(input), col("t"), spec, &window).unwrap();
                self.grouped(windowed, &window, op.delay())
            }
            Op::Session { gap, input } => {
                let session = self.name("s");
                let end = cast(cast(col("t"), DataType::Int64) + lit(gap * 1000), instant());
                let windowed = SessionWindow::plan(self.plan(input), col("t"), end, &session).unwrap();
                self.grouped(windowed, &session, op.delay())
            }
            Op::Join { kind, before, after, left, right, .. } => {
                let (left, right) = (self.plan(left), self.plan(right));
                let renamed = ["t", "k", "v"].map(|name| col(name).alias(format!("r{name}")));
                let right = LogicalPlanBuilder::from(right).project(renamed).unwrap().build().unwrap();
                let on = [
                    col("k").eq(col("rk")),
                    col("rt").gt_eq(col("t") - duration(*before)),
                    col("rt").lt_eq(col("t") + duration(*after)),
                ];
                let joined = LogicalPlanBuilder::from(left).join_on(right, *kind, on).unwrap();
                if *kind == JoinType::LeftSemi {
                    return joined.build().unwrap();
                }
                let first = |args: Vec<Expr>| coalesce().call(args);
                let (t, k) = match kind {
                    JoinType::Right => (col("rt").alias("t"), col("rk").alias("k")),
                    JoinType::Full => (col("t"), first(vec![col("k"), col("rk")]).alias("k")),
                    _ => (col("t"), col("k")),
                };
                let sum = col("v") * lit(10_i64) + col("rv");
                let v = first(vec![sum, col("v"), col("rv")]).alias("v");
                joined.project([t, k, v]).unwrap().build().unwrap()
            }
            Op::Union { left, right } => {
                let (left, right) = (self.plan(left), self.plan(right));
                LogicalPlanBuilder::from(left).union(right).unwrap().build().unwrap()
            }
            Op::Limit { rows, input } => {
                LogicalPlanBuilder::from(self.plan(input)).limit(0, Some(*rows)).unwrap().build().unwrap()
            }
        }
    }

    fn source(&mut self, stream: usize, delay: i64) -> LogicalPlan {
        let spec = SourceSpec {
            format: "csv".to_string(),
            schema: schema(),
            options: Options::default(),
            paths: vec![self.scratch.path(&folder(stream)).to_str().unwrap().to_string()],
        };
        let scan = StreamScan::plan(spec, &self.name("scan")).unwrap();
        let bare = ["t", "k", "v"].map(|name| col(name).alias(name));
        let plan = LogicalPlanBuilder::from(scan).project(bare).unwrap().build().unwrap();
        EventTimeWatermark::plan(plan, Column::new_unqualified("t"), delay).unwrap()
    }

    fn grouped(&mut self, windowed: LogicalPlan, window: &str, delay: i64) -> LogicalPlan {
        let sum = self.name("sum");
        let mark = BTreeMap::from([(WATERMARK_DELAY_KEY.to_string(), delay.to_string())]);
        let end = end_of(window).alias_with_metadata("t", Some(FieldMetadata::new(mark)));
        LogicalPlanBuilder::from(windowed)
            .aggregate([col(window), col("k")], [aggregate("sum", "v", &sum)])
            .unwrap()
            .project([end, col("k"), col(&sum).alias("v")])
            .unwrap()
            .build()
            .unwrap()
    }
}
