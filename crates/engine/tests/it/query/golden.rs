//! Small streaming programs against what Spark 4.3 did with them: rows of every batch,
//! contents of the offset and commit logs, progress.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    common::ScalarValue,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit},
};
use millstream_engine::{
    query::{QueryConf, StreamingQuery, Trigger},
    sink::OutputMode,
};
use serde_json::Value;

use crate::support::{
    collect_sink::CollectSink,
    stream::{Scratch, aggregate, col, manager, query, windowed, with_watermark},
};

type Build = fn(&Scratch) -> LogicalPlan;

fn recorded(scenario: &str) -> Value {
    let golden = millstream_testkit::golden::json("streaming/golden.json").unwrap();
    golden["scenarios"][scenario].clone()
}

/// Runs `scenario` with our engine and compares everything that does not depend on time.
async fn check(scenario: &str, conf: &[(&str, &str)], build: Build) {
    let golden = recorded(scenario);
    let scratch = Scratch::new();
    let sink = CollectSink::default();
    let manager = manager();
    let settings: Vec<(String, String)> = conf.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    let trigger = match &golden["trigger"] {
        Value::Null => Trigger::default(),
        trigger if trigger["once"] == true => Trigger::Once,
        trigger if trigger["availableNow"] == true => Trigger::AvailableNow,
        other => panic!("trigger {other}"),
    };
    let files: Vec<String> = golden["batches"].as_array().unwrap().iter().map(csv).collect();
    let restart_after: Vec<usize> =
        golden["restart_after"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();

    let start = || async {
        let mut spec = query(&scratch, build(&scratch), Arc::new(sink.clone()));
        spec.output_mode = match golden["mode"].as_str().unwrap() {
            "append" => OutputMode::Append,
            "update" => OutputMode::Update,
            _ => OutputMode::Complete,
        };
        spec.trigger = trigger;
        spec.conf = QueryConf::new(
            settings
                .clone()
                .into_iter()
                .chain([("spark.sql.shuffle.partitions".to_string(), "1".to_string())]),
        );
        manager.start(spec).await.unwrap()
    };
    let mut progress = Vec::new();
    if trigger == Trigger::default() {
        let mut running = start().await;
        // Files come when the query waits: two sources on one directory see each at once.
        running.process_all_available().await.unwrap();
        for (number, text) in files.iter().enumerate() {
            scratch.feed(number, text);
            running.process_all_available().await.unwrap();
            if restart_after.contains(&number) {
                progress.extend(executed(&running));
                running.stop().await;
                running = start().await;
            }
        }
        progress.extend(executed(&running));
        running.stop().await;
    } else {
        for (number, text) in files.iter().enumerate() {
            scratch.feed(number, text);
        }
        let running = start().await;
        assert!(running.await_termination(None).await.unwrap());
        progress.extend(executed(&running));
    }

    let emitted: BTreeMap<i64, Vec<Value>> = golden["emitted"]
        .as_array()
        .unwrap()
        .iter()
        .map(|batch| {
            let mut rows: Vec<Value> = batch[1]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| serde_json::from_str(row.as_str().unwrap()).unwrap())
                .collect();
            rows.sort_by_key(ToString::to_string);
            (batch[0].as_i64().unwrap(), rows)
        })
        .collect();
    if golden["progress"][0]["sources"].as_array().map(Vec::len)
        != progress[0]["sources"].as_array().map(Vec::len)
    {
        // Classic Spark shares one source between both uses of a DataFrame; over Connect, as
        // here, each use reads for itself. One may see a new file a batch before the other, so
        // that batch numbers, logs and progress differ; what is emitted, and its order, do not.
        let in_order = |batches: BTreeMap<i64, Vec<Value>>| -> Vec<Vec<Value>> {
            batches.into_values().filter(|rows| !rows.is_empty()).collect()
        };
        assert_eq!(in_order(sink.published()), in_order(emitted), "{scenario}: rows");
        return;
    }
    assert_eq!(sink.published(), emitted, "{scenario}: rows");
    for log in ["offsets", "commits"] {
        let theirs = golden[log].as_object().unwrap();
        let ours = scratch.log(log);
        assert_eq!(ours.len(), theirs.len(), "{scenario}: number of {log}");
        for (number, lines) in ours {
            let expected: Vec<&str> = theirs[&number.to_string()].as_str().unwrap().lines().skip(1).collect();
            assert_eq!(lines.len(), expected.len(), "{scenario}: {log}/{number}");
            for (line, expected) in lines.iter().zip(expected) {
                assert_eq!(timeless(line), timeless(expected), "{scenario}: {log}/{number}");
            }
        }
    }
    let theirs: Vec<Value> = golden["progress"].as_array().unwrap().iter().map(comparable).collect();
    let ours: Vec<Value> = progress.iter().map(comparable).collect();
    assert_eq!(ours, theirs, "{scenario}: progress");
}

/// Progress of the triggers that ran a batch. (Spark's first poll adds an empty update when
/// it finds nothing; whether it does is a race with the first file.)
fn executed(query: &StreamingQuery) -> Vec<Value> {
    query
        .recent_progress()
        .iter()
        .map(|p| p.json())
        .filter(|p| p["durationMs"]["addBatch"].is_i64())
        .collect()
}

fn csv(rows: &Value) -> String {
    let line = |row: &Value| {
        let cells: Vec<&str> = row.as_array().unwrap().iter().map(|c| c.as_str().unwrap()).collect();
        cells.join(",") + "\n"
    };
    rows.as_array().unwrap().iter().map(line).collect()
}

/// A line of a log without the time it was written at.
fn timeless(line: &str) -> Value {
    let mut value: Value = serde_json::from_str(line).unwrap_or_else(|_| Value::from(line));
    if let Some(map) = value.as_object_mut() {
        map.remove("batchTimestampMs");
        // Settings of the test session are compared by the checkpoint's own tests.
        if let Some(conf) = map.get_mut("conf").and_then(Value::as_object_mut) {
            conf.remove("spark.sql.shuffle.partitions");
        }
    }
    value
}

/// What must agree with Spark: everything but times, sizes and names of directories.
fn comparable(progress: &Value) -> Value {
    let mut out = progress.clone();
    let map = out.as_object_mut().unwrap();
    for name in ["id", "runId", "timestamp", "batchDuration", "processedRowsPerSecond"] {
        assert!(map.remove(name).is_some(), "{name} in {progress}");
    }
    // Not printed when two triggers start in the same millisecond: infinitely many.
    map.remove("inputRowsPerSecond");
    map["durationMs"] = map["durationMs"].as_object().unwrap().keys().cloned().collect();
    for source in map["sources"].as_array_mut().unwrap() {
        let source = source.as_object_mut().unwrap();
        for name in ["description", "processedRowsPerSecond"] {
            assert!(source.remove(name).is_some(), "{name} in {progress}");
        }
        source.remove("inputRowsPerSecond");
    }
    map.remove("sink");
    for operator in map["stateOperators"].as_array_mut().unwrap() {
        let operator = operator.as_object_mut().unwrap();
        for name in ["allUpdatesTimeMs", "allRemovalsTimeMs", "commitTimeMs", "memoryUsedBytes"] {
            assert!(operator.remove(name).is_some(), "{name} in {progress}");
        }
        operator.remove("customMetrics");
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn stateless() {
    check("stateless", &[], |s| {
        let plan = with_watermark(s.scan(), 5000);
        plan.project([col("t"), (col("v") * lit(2_i64)).alias("w")]).unwrap().build().unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stateless_no_watermark() {
    check("stateless_no_watermark", &[], |s| {
        s.scan().filter(col("v").gt(lit(1_i64))).unwrap().project([col("k")]).unwrap().build().unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn current_timestamp_is_the_trigger_time() {
    use millstream_engine::plan::batch_timestamp;
    check("current_timestamp", &[], |s| {
        let now = s.scan().project([batch_timestamp().alias("now")]).unwrap();
        now.project([col("now").is_not_null().alias("a"), lit(true).alias("b")]).unwrap().build().unwrap()
    })
    .await;
}

/// `withWatermark("t", "5 seconds").groupBy(window("t", "10 seconds"), "k").agg(sum("v").alias("s"))`
fn sums(s: &Scratch) -> LogicalPlan {
    let plan = windowed(with_watermark(s.scan(), 5000));
    plan.aggregate([col("window"), col("k")], [aggregate("sum", "v", "s")]).unwrap().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_append_mode() {
    check("window_append", &[], sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_update_mode() {
    check("window_update", &[], sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_in_complete_mode() {
    check("window_complete", &[], sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_survive_restarts() {
    check("window_append_restart", &[], sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_no_data_batches_windows_come_with_the_next_data() {
    let conf = [("spark.sql.streaming.noDataMicroBatches.enabled", "false")];
    check("window_append_no_data_off", &conf, sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn available_now_ends_with_a_no_data_batch() {
    check("window_append_available_now", &[], sums).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn once_takes_everything_and_runs_no_no_data_batch() {
    check("window_append_once", &[], sums).await;
}

fn counts(plan: LogicalPlanBuilder) -> LogicalPlan {
    windowed(plan).aggregate([col("window")], [aggregate("count", "", "count")]).unwrap().build().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_another_column_decides_what_moves_the_watermark() {
    check("filter_moves_below", &[], |s| {
        counts(with_watermark(s.scan(), 5000).filter(col("k").not_eq(lit("z"))).unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_event_time_does_not() {
    check("filter_on_time_stays", &[], |s| {
        let end = ScalarValue::TimestampMicrosecond(Some(1_704_067_230_000_000), Some("UTC".into()));
        counts(with_watermark(s.scan(), 5000).filter(col("t").lt(lit(end))).unwrap())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_without_watermark() {
    check("group_update_no_watermark", &[], |s| {
        s.scan().aggregate([col("k")], [aggregate("count", "", "count")]).unwrap().build().unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_group_in_complete_mode() {
    check("global_count_complete", &[], |s| {
        let none = Vec::<Expr>::new();
        s.scan().aggregate(none, [aggregate("count", "", "count")]).unwrap().build().unwrap()
    })
    .await;
}

/// Two watermarks above one directory, joined by `union`.
fn two_watermarks(s: &Scratch) -> LogicalPlan {
    let side = |key: &str, delay| with_watermark(s.scan().filter(col("k").eq(lit(key))).unwrap(), delay);
    counts(side("a", 5000).union(side("b", 2000).build().unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slowest_of_two_watermarks_decides() {
    check("two_watermarks_min", &[], two_watermarks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn or_the_fastest_if_the_policy_says_so() {
    check("two_watermarks_max", &[("spark.sql.streaming.multipleWatermarkPolicy", "max")], two_watermarks)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_a_key_moves_below_aggregate_and_watermark() {
    check("filter_after_aggregate", &[], |s| {
        LogicalPlanBuilder::from(sums(s)).filter(col("k").not_eq(lit("z"))).unwrap().build().unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_on_an_aggregate_stays() {
    check("filter_on_aggregate_value", &[], |s| {
        LogicalPlanBuilder::from(sums(s)).filter(col("s").gt(lit(1_i64))).unwrap().build().unwrap()
    })
    .await;
}
