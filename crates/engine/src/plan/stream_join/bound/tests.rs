//! After Spark's `StreamingJoinHelperSuite`: what bounds the left side.

use std::collections::HashMap;

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema, TimeUnit},
    common::{DFSchema, ScalarValue},
    logical_expr::{Expr, cast, col, lit},
};

use super::ValueBound;
use crate::{plan::WATERMARK_DELAY_KEY, time::Millis};

fn side(name: &str, marked: bool) -> DFSchema {
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut time = Field::new(format!("{name}t"), timestamp.clone(), true);
    if marked {
        time.set_metadata(HashMap::from([(WATERMARK_DELAY_KEY.to_string(), "10000".to_string())]));
    }
    let columns = vec![
        time,
        Field::new(format!("{name}u"), timestamp, true),
        Field::new(format!("{name}v"), DataType::Int32, true),
    ];
    DFSchema::try_from(Schema::new(columns)).unwrap()
}

/// The left side's bound at a watermark of 10 seconds.
fn bound(condition: Expr) -> Option<i64> {
    let (left, right) = (side("l", true), side("r", true));
    ValueBound::of([&condition], &left, &right).map(|b| b.at(Millis(10_000)).0)
}

fn seconds(n: i64) -> Expr {
    Expr::Literal(ScalarValue::DurationMicrosecond(Some(n * 1_000_000)), None)
}

fn calendar(months: i32, days: i32, seconds: i64) -> Expr {
    let value =
        datafusion::arrow::datatypes::IntervalMonthDayNano::new(months, days, seconds * 1_000_000_000);
    Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(value)), None)
}

fn double(column: &str) -> Expr {
    cast(col(column), DataType::Float64)
}

#[test]
fn lower_bounds_of_the_side() {
    assert_eq!(bound(col("lt").gt(col("rt"))), Some(10_000));
    assert_eq!(bound(col("lt").gt_eq(col("rt"))), Some(9_999));
    assert_eq!(bound(col("rt").lt(col("lt"))), Some(10_000));
    assert_eq!(bound(col("rt").lt_eq(col("lt"))), Some(9_999));
}

#[test]
fn upper_bounds_say_nothing() {
    for condition in [col("lt").lt(col("rt")), col("lt").lt_eq(col("rt")), col("rt").gt(col("lt"))] {
        assert_eq!(bound(condition), None);
    }
    for condition in [col("lt").eq(col("rt")), col("lt").not_eq(col("rt"))] {
        assert_eq!(bound(condition), None);
    }
}

#[test]
fn intervals_and_numbers_move_the_bound() {
    assert_eq!(bound(col("lt").gt(col("rt") + seconds(1))), Some(11_000));
    assert_eq!(bound(col("lt").gt(col("rt") - seconds(1))), Some(9_000));
    assert_eq!(bound((col("lt") + seconds(1)).gt(col("rt"))), Some(9_000));
    assert_eq!(bound((col("lt") - seconds(1)).gt_eq(col("rt"))), Some(10_999));
    assert_eq!(bound(col("lt").gt(col("rt") + calendar(0, 1, 2))), Some(10_000 + 86_402_000));
    assert_eq!(bound(double("lt").gt(double("rt") - lit(1.5))), Some(8_500));
    assert_eq!(bound((-double("rt")).gt(-double("lt") - lit(3))), Some(7_000));
    assert_eq!(bound((double("rt") - double("lt")).lt(lit(5_i64))), Some(5_000));
}

#[test]
fn the_least_of_several_holds() {
    let both = col("lt").gt(col("rt") - seconds(1)).and(col("lt").gt_eq(col("rt") - seconds(4)));
    assert_eq!(bound(both), Some(5_999));
    let with_others = col("lt").gt(col("rt")).and(col("lv").eq(col("rv"))).and(col("lv").lt(col("rv")));
    assert_eq!(bound(with_others), Some(10_000));
    assert_eq!(bound(col("lt").gt(col("rt")).or(col("lv").eq(lit(1)))), None);
}

#[test]
fn terms_add_up() {
    assert_eq!(bound(col("lt").gt(col("rt") + seconds(1) + seconds(1))), Some(12_000));
    assert_eq!(bound(col("lt").gt(col("rt") + seconds(1) - seconds(3))), Some(8_000));
}

#[test]
fn what_cannot_be_solved_says_nothing() {
    assert_eq!(bound(col("lt").gt(col("rt") - calendar(1, 0, 0))), None);
    assert_eq!(bound((col("lt") + col("lu")).gt(col("rt"))), None);
    assert_eq!(bound(col("lt").gt(col("ru"))), None);
    assert_eq!(bound(cast(col("lt"), DataType::Utf8).gt(cast(col("rt"), DataType::Utf8))), None);
    assert_eq!(bound(cast(col("lt"), DataType::Date32).gt(col("rt"))), None);
    assert_eq!(bound(col("lt").gt(lit("x"))), None);
    assert_eq!(bound((double("lt") * lit(2.0)).gt(double("rt"))), None);
    assert_eq!(bound((-double("lt")).gt(double("rt"))), None);
}

#[test]
fn a_number_bounds_like_a_time() {
    // `lv > 5` kept in the condition of an outer join: Spark takes it for 5 seconds.
    assert_eq!(bound(col("lv").gt(lit(5))), Some(5_000));
}

#[test]
fn the_other_side_needs_an_event_time() {
    let condition = col("lt").gt(col("rt"));
    assert_eq!(ValueBound::of([&condition], &side("l", true), &side("r", false)), None);
    assert!(ValueBound::of([&condition], &side("l", false), &side("r", true)).is_some());
}
