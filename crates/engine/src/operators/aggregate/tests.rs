//! The functions through DataFusion: typing, nulls, overflow; expected values from Spark 4.3.

use datafusion::{
    arrow::{datatypes::DataType, util::pretty::pretty_format_batches},
    prelude::{SessionConfig, SessionContext},
};

use super::*;
use crate::SparkError;

fn context(ansi: bool, partitions: usize) -> SessionContext {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(partitions));
    for name in names() {
        ctx.register_udaf((*udaf(name, AggregateOptions { ansi, ..Default::default() }).unwrap()).clone());
    }
    ctx
}

async fn run(ctx: &SessionContext, sql: &str) -> Result<Vec<String>, SparkError> {
    let batches = ctx.sql(sql).await?.collect().await?;
    let text = pretty_format_batches(&batches).unwrap().to_string();
    Ok(text.lines().skip(3).filter(|l| !l.starts_with('+')).map(|l| l.replace(' ', "")).collect())
}

/// Runs grouped and ungrouped, on one and on several partitions, and wants one answer.
async fn check(select: &str, values: &str, expected: &str) {
    for partitions in [1, 3] {
        let ctx = context(true, partitions);
        let all = run(&ctx, &format!("select {select} from {values}")).await.unwrap();
        assert_eq!(all, [expected], "{select} over {values}");
        let grouped =
            run(&ctx, &format!("select {select} from (select 1 as k, * from {values}) group by k")).await;
        assert_eq!(grouped.unwrap(), [expected], "{select} over {values}, grouped");
    }
}

#[test]
fn types_are_sparks() {
    let decimal = DataType::Decimal128;
    for (name, input, output) in [
        ("sum", DataType::Int8, DataType::Int64),
        ("sum", DataType::Float32, DataType::Float64),
        ("sum", decimal(10, 2), decimal(20, 2)),
        ("sum", decimal(38, 4), decimal(38, 4)),
        ("avg", DataType::Int64, DataType::Float64),
        ("avg", decimal(10, 2), decimal(14, 6)),
        ("avg", decimal(38, 37), decimal(38, 38)),
        ("Max", DataType::Utf8, DataType::Utf8),
    ] {
        assert_eq!(
            return_type(name, std::slice::from_ref(&input), true).unwrap(),
            (output, true),
            "{name}({input})"
        );
    }
    assert_eq!(return_type("count", &[DataType::Utf8], true).unwrap(), (DataType::Int64, false));
    for (name, args, class) in [
        ("nope", vec![], "UNRESOLVED_ROUTINE"),
        ("sum", vec![], "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"),
        ("sum", vec![DataType::Boolean], "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"),
        ("bool_and", vec![DataType::Int32], "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE"),
    ] {
        assert_eq!(return_type(name, &args, true).unwrap_err().class(), class, "{name}");
    }
}

#[test]
fn names_are_sorted() {
    let all: Vec<_> = names().collect();
    assert!(all.is_sorted(), "{all:?}");
}

#[tokio::test]
async fn sums_counts_and_averages_skip_nulls() {
    let v = "(values (1, 2), (null, 5), (3, null)) t(x, y)";
    check("count(1), count(x), count(x, y), sum(x), avg(x), count_if(x > 1)", v, "|3|2|1|4|2.0|1|").await;
    let ctx = context(true, 1);
    let none = run(&ctx, "select count(x), sum(x), avg(x), min(x) from (select 1 as x where false) t").await;
    assert_eq!(none.unwrap(), ["|0||||"]);
}

#[tokio::test]
async fn decimals_round_half_up() {
    let v = "(values (cast(1.005 as decimal(10,3))), (cast(1.004 as decimal(10,3))), (null)) t(x)";
    check("sum(x), avg(x)", v, "|2.009|1.0045000|").await;
    let v =
        "(values (cast(-1 as decimal(38,0))), (cast(-1 as decimal(38,0))), (cast(0 as decimal(38,0)))) t(x)";
    check("avg(x)", v, "|-0.6667|").await;
}

#[tokio::test]
async fn extremes_follow_sparks_order() {
    let v = "(values (cast('NaN' as double)), (-1.0), (2.0)) t(x)";
    check("min(x), max(x)", v, "|-1.0|NaN|").await;
    check("min(x), max(x)", "(values ('b'), ('a'), (null), ('é')) t(x)", "|a|é|").await;
    check("bool_and(x), bool_or(x)", "(values (true), (null), (false)) t(x)", "|false|true|").await;
}

#[tokio::test]
async fn overflow_fails_under_ansi_and_wraps_or_nulls_without() {
    let long = "(values (9223372036854775807), (1)) t(x)";
    let decimal = "(values (cast('99999999999999999999999999999999999999' as decimal(38,0))), (cast(1 as decimal(38,0)))) t(x)";
    let ansi = context(true, 1);
    let error = run(&ansi, &format!("select sum(x) from {long}")).await.unwrap_err();
    assert_eq!(error.class(), "ARITHMETIC_OVERFLOW");
    let error = run(&ansi, &format!("select sum(x) from {decimal}")).await.unwrap_err();
    assert_eq!(error.class(), "ARITHMETIC_OVERFLOW");
    assert_eq!(run(&ansi, &format!("select try_sum(x) from {long}")).await.unwrap(), ["||"]);
    let legacy = context(false, 1);
    assert_eq!(
        run(&legacy, &format!("select sum(x) from {long}")).await.unwrap(),
        ["|-9223372036854775808|"]
    );
    assert_eq!(run(&legacy, &format!("select sum(x) from {decimal}")).await.unwrap(), ["||"]);
}
