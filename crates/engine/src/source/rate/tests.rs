//! The rate source against values that Spark 4.3 produced.

use datafusion::arrow::{
    array::cast::AsArray,
    datatypes::{Int64Type, TimestampMicrosecondType},
};
use futures::TryStreamExt;

use super::*;

#[test]
fn ramps_up_as_spark() {
    let speed = Speed { rows_per_second: 10, ramp_up_seconds: 4 };
    assert_eq!((0..=6).map(|s| speed.value_at(s)).collect::<Vec<_>>(), [0, 2, 6, 12, 20, 30, 40]);
    let recorded = Speed { rows_per_second: 10, ramp_up_seconds: 3 };
    assert_eq!((0..=5).map(|s| recorded.value_at(s)).collect::<Vec<_>>(), [0, 2, 6, 12, 22, 32]);
}

#[test]
fn ramp_up_time_is_truncated_to_seconds() {
    for (text, expected) in [("5s", 5), ("5", 5), ("1500ms", 1), ("2m", 120), ("-5s", -5), ("1h", 3600)] {
        assert_eq!(seconds(text).unwrap(), expected, "{text}");
    }
    assert!(seconds("5 parsecs").is_err());
}

#[tokio::test]
async fn rows_carry_the_timestamps_spark_gives() {
    // Recorded: start 1795357147873, second 2 to 3 of a ramp: values 6..12.
    let speed = Speed { rows_per_second: 10, ramp_up_seconds: 3 };
    let (first, end) = (speed.value_at(2), speed.value_at(3));
    let split = RateSplit {
        first,
        end,
        start_ms: 1_795_357_147_873 + 2000,
        per_value: 1000.0 / (end - first) as f64,
    };
    let batches: Vec<RecordBatch> = split.open(&[0, 1]).await.unwrap().try_collect().await.unwrap();
    let times = batches[0].column(0).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    let expected = [149_873, 150_040, 150_206, 150_373, 150_540, 150_706];
    assert_eq!(times, expected.map(|ms: i64| (1_795_357_000_000 + ms) * 1000));
    assert_eq!(
        batches[0].column(1).as_primitive::<Int64Type>().values().to_vec(),
        (6..12).collect::<Vec<_>>()
    );

    let no_columns: Vec<RecordBatch> = split.open(&[]).await.unwrap().try_collect().await.unwrap();
    assert_eq!(no_columns[0].num_rows(), 6);
}
