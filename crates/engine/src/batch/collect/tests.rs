//! Batch execution: order, bound timestamps, pass-through watermarks.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Int64Array, RecordBatch, TimestampMicrosecondArray, cast::AsArray},
        datatypes::{DataType, Field, Int64Type, Schema, TimeUnit, TimestampMicrosecondType},
    },
    common::Column,
    datasource::{MemTable, provider_as_source},
    logical_expr::LogicalPlanBuilder,
    prelude::col,
};
use futures::TryStreamExt;

use super::*;
use crate::{
    plan::{EventTimeWatermark, batch_timestamp},
    session::{runtime_env, session_state},
};

fn table(partitions: usize, rows: i64) -> LogicalPlanBuilder {
    let schema = Arc::new(Schema::new(vec![
        Field::new("#1", DataType::Int64, false),
        Field::new("#2", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
    ]));
    let batches = (0..partitions as i64).map(|p| {
        let values: Vec<i64> = (p * rows..(p + 1) * rows).collect();
        let times = TimestampMicrosecondArray::from(values.clone()).with_timezone("UTC");
        vec![
            RecordBatch::try_new(
                Arc::clone(&schema),
                vec![Arc::new(Int64Array::from(values)), Arc::new(times)],
            )
            .unwrap(),
        ]
    });
    let provider = MemTable::try_new(Arc::clone(&schema), batches.collect()).unwrap();
    LogicalPlanBuilder::scan("t", provider_as_source(Arc::new(provider)), None).unwrap()
}

async fn run(plan: LogicalPlan) -> Vec<RecordBatch> {
    let state = session_state(4, runtime_env().unwrap());
    execute(&state, plan, 1_700_000_000_000_000).await.unwrap().into_stream().try_collect().await.unwrap()
}

#[tokio::test]
async fn partitions_come_out_in_order() {
    let plan =
        table(4, 1000).filter(col("#1").gt_eq(datafusion::prelude::lit(0_i64))).unwrap().build().unwrap();
    let seen: Vec<i64> = run(plan)
        .await
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(seen, (0..4000).collect::<Vec<i64>>());
}

#[tokio::test]
async fn current_timestamp_is_one_instant() {
    let plan = table(2, 10).project([batch_timestamp().alias("#3")]).unwrap().build().unwrap();
    let batches = run(plan).await;
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
    for batch in batches {
        let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        assert!(times.values().iter().all(|t| *t == 1_700_000_000_000_000));
    }
}

#[tokio::test]
async fn a_watermark_does_nothing_in_a_batch_but_mark_the_column() {
    let plan = EventTimeWatermark::plan(table(1, 3).build().unwrap(), Column::from_name("#2"), 5000).unwrap();
    let state = session_state(4, runtime_env().unwrap());
    let result = execute(&state, plan, 0).await.unwrap();
    assert_eq!(crate::plan::watermark_delay(result.schema.field(1)), Some(5000));
    let rows: Vec<RecordBatch> = result.into_stream().try_collect().await.unwrap();
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 3);
}
