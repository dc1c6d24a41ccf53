//! Random chains, as plans of the engine. Every node has the columns `t` (event time), `k`, `v`.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, TimeUnit},
    common::{Column, JoinType, ScalarValue, metadata::FieldMetadata},
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
    /// Pairs of equal `k` with `rt` in `[lt - before, lt + after]`.
    Join { outer: bool, before: i64, after: i64, left: Box<Op>, right: Box<Op> },
    /// Rows of both.
    Union { left: Box<Op>, right: Box<Op> },
}

impl Op {
    /// The delay in the mark of `t`: that of the first stream below.
    pub fn delay(&self) -> i64 {
        match self {
            Op::Source { delay, .. } => *delay,
            Op::Dedup { input, .. } | Op::Window { input, .. } | Op::Session { input, .. } => input.delay(),
            Op::Join { left, .. } | Op::Union { left, .. } => left.delay(),
        }
    }

    /// Whether streams are joined: filters then take rows without a time out, somewhere below.
    pub fn joins(&self) -> bool {
        match self {
            Op::Source { .. } => false,
            Op::Dedup { input, .. } | Op::Window { input, .. } | Op::Session { input, .. } => input.joins(),
            Op::Union { left, right } => left.joins() || right.joins(),
            Op::Join { .. } => true,
        }
    }

    /// Whether rows come in an order that the model knows.
    pub fn ordered(&self) -> bool {
        match self {
            Op::Source { .. } => true,
            Op::Dedup { input, .. } => input.ordered(),
            Op::Union { left, right } => left.ordered() && right.ordered(),
            Op::Window { .. } | Op::Session { .. } | Op::Join { .. } => false,
        }
    }
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
            Op::Join { outer, before, after, left, right } => {
                let (left, right) = (self.plan(left), self.plan(right));
                let renamed = ["t", "k", "v"].map(|name| col(name).alias(format!("r{name}")));
                let right = LogicalPlanBuilder::from(right).project(renamed).unwrap().build().unwrap();
                let on = [
                    col("k").eq(col("rk")),
                    col("rt").gt_eq(col("t") - duration(*before)),
                    col("rt").lt_eq(col("t") + duration(*after)),
                ];
                let kind = if *outer { JoinType::Left } else { JoinType::Inner };
                let joined = LogicalPlanBuilder::from(left).join_on(right, kind, on).unwrap();
                let sum = col("v") * lit(10_i64) + col("rv");
                joined.project([col("t"), col("k"), sum.alias("v")]).unwrap().build().unwrap()
            }
            Op::Union { left, right } => {
                let (left, right) = (self.plan(left), self.plan(right));
                LogicalPlanBuilder::from(left).union(right).unwrap().build().unwrap()
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
