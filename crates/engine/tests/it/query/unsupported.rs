//! Illegal plans, with the texts Spark gives them.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema},
    common::JoinType,
    datasource::{MemTable, provider_as_source},
    logical_expr::{LogicalPlan, LogicalPlanBuilder},
};
use millstream_engine::{query::Trigger, sink::OutputMode};

use crate::support::{
    collect_sink::CollectSink,
    stream::{Scratch, col, manager, query},
};

fn table() -> LogicalPlanBuilder {
    let schema = Arc::new(Schema::new(vec![Field::new("k2", DataType::Utf8, true)]));
    let table = MemTable::try_new(schema, vec![vec![]]).unwrap();
    LogicalPlanBuilder::scan("static", provider_as_source(Arc::new(table)), None).unwrap()
}

fn join(left: LogicalPlanBuilder, right: LogicalPlanBuilder, kind: JoinType, on: [&str; 2]) -> LogicalPlan {
    let right = right.build().unwrap();
    left.join(right, kind, (vec![on[0]], vec![on[1]]), None).unwrap().build().unwrap()
}

async fn refused(plan: LogicalPlan, mode: OutputMode) -> String {
    let scratch = Scratch::new();
    let mut spec = query(&scratch, plan, Arc::new(CollectSink::default()));
    spec.output_mode = mode;
    let error = manager().start(spec).await.unwrap_err().to_string();
    assert!(!scratch.path("checkpoint").exists(), "nothing is written for a refused plan");
    error
}

#[tokio::test]
async fn texts_are_those_of_spark() {
    let golden = millstream_testkit::golden::json("streaming/golden.json").unwrap();
    let s = Scratch::new();
    let sorted = s.scan().sort([col("k").sort(true, true)]).unwrap().build().unwrap();
    let keys = s.scan().project([col("k")]).unwrap();
    let stream = || s.scan();
    let (to, from) = (["in.k", "static.k2"], ["static.k2", "in.k"]);
    let cases = [
        ("complete_no_agg", stream().build().unwrap(), OutputMode::Complete),
        ("update_sort", sorted.clone(), OutputMode::Update),
        ("append_sort", sorted, OutputMode::Append),
        ("limit_update", stream().limit(0, Some(3)).unwrap().build().unwrap(), OutputMode::Update),
        ("union_static", keys.union(table().build().unwrap()).unwrap().build().unwrap(), OutputMode::Append),
        ("join_right_static", join(stream(), table(), JoinType::Right, to), OutputMode::Append),
        ("join_full_static", join(stream(), table(), JoinType::Full, to), OutputMode::Append),
        ("join_static_left_stream", join(table(), stream(), JoinType::Left, from), OutputMode::Append),
        ("join_static_semi_stream", join(table(), stream(), JoinType::LeftSemi, from), OutputMode::Append),
    ];
    for (name, plan, mode) in cases {
        assert_eq!(refused(plan, mode).await, golden["errors"][name]["message"].as_str().unwrap(), "{name}");
    }
}

#[tokio::test]
async fn what_is_not_built_yet_is_named() {
    let s = Scratch::new();
    for (value, fine) in [("2", false), ("1", true)] {
        let mut spec = query(&s, s.scan().build().unwrap(), Arc::new(CollectSink::default()));
        spec.conf.set("spark.sql.streaming.offsetLog.formatVersion", value);
        let started = manager().start(spec).await;
        let error = started.as_ref().err().map(ToString::to_string).unwrap_or_default();
        assert_eq!(
            error.contains("the setting `spark.sql.streaming.offsetLog.formatVersion=2`"),
            !fine,
            "{error}"
        );
        if let Ok(running) = started {
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn joins_of_streams_are_refused_as_by_spark() {
    let golden = millstream_testkit::golden::json("joins/refused.json").unwrap();
    let (s, other) = (Scratch::new(), Scratch::new());
    let right = || other.scan().project([col("k").alias("k2")]).unwrap().alias("static").unwrap();
    let joined = |kind| join(s.scan(), right(), kind, ["in.k", "static.k2"]);
    use JoinType::{Full, Inner, Left, LeftAnti, LeftSemi, Right};
    for (name, plan, mode) in [
        ("no_watermark_left", joined(Left), OutputMode::Append),
        ("no_watermark_right", joined(Right), OutputMode::Append),
        ("no_watermark_full", joined(Full), OutputMode::Append),
        ("no_watermark_semi", joined(LeftSemi), OutputMode::Append),
        ("update_left", joined(Left), OutputMode::Update),
        ("update_full", joined(Full), OutputMode::Update),
        ("complete_inner", joined(Inner), OutputMode::Complete),
        ("anti", joined(LeftAnti), OutputMode::Append),
    ] {
        let recorded = golden["refused"][name].as_str().unwrap();
        let recorded = recorded.split(" SQLSTATE:").next().unwrap();
        let error = refused(plan, mode).await;
        assert!(error.contains(recorded), "{name}: {error}");
    }
    let unequal = s.scan().join_on(right().build().unwrap(), Inner, [col("k").gt(col("k2"))]);
    let error = refused(unequal.unwrap().build().unwrap(), OutputMode::Append).await;
    assert!(error.contains("Stream-stream join without equality predicate is not supported."), "{error}");
}

#[tokio::test]
async fn the_continuous_trigger_is_refused_as_by_spark() {
    let s = Scratch::new();
    let mut spec = query(&s, s.scan().build().unwrap(), Arc::new(CollectSink::default()));
    spec.trigger = Trigger::Continuous(1000);
    let golden = millstream_testkit::golden::json("streaming/golden.json").unwrap();
    let error = manager().start(spec).await.unwrap_err();
    assert_eq!(error.to_string(), golden["errors"]["continuous"]["message"].as_str().unwrap());
}

#[tokio::test]
async fn a_batch_query_may_not_read_a_stream() {
    let s = Scratch::new();
    let plan = s.scan().build().unwrap();
    let golden = millstream_testkit::golden::json("streaming/golden.json").unwrap();
    let error = millstream_engine::query::planner::check_batch(&plan).unwrap_err();
    assert_eq!(error.to_string(), golden["errors"]["batch_show"]["message"].as_str().unwrap());
}
