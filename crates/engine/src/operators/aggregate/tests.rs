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

#[tokio::test]
async fn moments_are_sparks() {
    let v = "(values (1, 2), (2, 3), (5, 1), (null, 7)) t(x, y)";
    check(
        "stddev(x), var_pop(x), var_samp(x)",
        v,
        "|2.0816659994661326|2.888888888888889|4.333333333333333|",
    )
    .await;
    check("round(skewness(x), 12), round(kurtosis(x), 12)", v, "|0.528004979218|-1.5|").await;
    check("round(corr(x, y), 12), covar_pop(x, y), covar_samp(x, y)", v, "|-0.720576692123|-1.0|-1.5|").await;
    let one = "(values (1.5, 2.5)) t(x, y)";
    check("stddev(x), stddev_pop(x), skewness(x), kurtosis(x)", one, "||0.0|||").await;
    check("corr(x, y), covar_pop(x, y), covar_samp(x, y)", one, "||0.0||").await;
    let flat = "(values (1.5, 2.5), (1.5, 2.5), (1.5, 2.5)) t(x, y)";
    check("skewness(x), kurtosis(x), corr(x, y), covar_samp(x, y), stddev(x)", flat, "||||0.0|0.0|").await;
}

#[tokio::test]
async fn extremes_by_another_value_take_the_last_of_equals() {
    let v = "(values ('a', 1), ('b', 3), ('c', 3), (null, 0), ('z', null)) t(x, y)";
    let ctx = context(true, 1);
    let rows = run(&ctx, &format!("select max_by(x, y), min_by(x, y) from {v}")).await.unwrap();
    assert_eq!(rows, ["|c||"]);
}

#[tokio::test]
async fn collected_values_skip_nulls() {
    let v = "(values (1), (null), (2), (2)) t(x)";
    let ctx = context(true, 1);
    let rows =
        run(&ctx, &format!("select collect_list(x), collect_set(x), first(x), last(x) from {v}")).await;
    assert_eq!(rows.unwrap(), ["|[1,2,2]|[1,2]|1|2|"]);
    check("collect_set(x), bit_and(x), bit_or(x), bit_xor(x)", v, "|[1,2]|0|3|1|").await;
    let none =
        run(&ctx, "select collect_list(x), first(x), max_by(x, x) from (select 1 as x where false) t").await;
    assert_eq!(none.unwrap(), ["|[]|||"]);
}

#[tokio::test]
async fn distinct_counts_each_tuple_once() {
    let v = "(values (1, 2), (1, 2), (2, null), (3, 4)) t(x, y)";
    check("sum(distinct x), avg(distinct x), count(distinct x)", v, "|6|2.0|3|").await;
    check("count(distinct x, y), count(x)", v, "|2|4|").await;
}

#[tokio::test]
async fn approximate_counts_are_sparks_numbers() {
    let ctx = context(true, 1);
    for (rows, long, text) in [
        (0, 0, 0),
        (1, 1, 1),
        (5, 5, 5),
        (100, 103, 104),
        (300, 296, 296),
        (400, 397, 397),
        (500, 484, 492),
        (1000, 1026, 1034),
        (1300, 1260, 1261),
        (3000, 2770, 2788),
    ] {
        let sql = format!(
            "select approx_count_distinct(value - 1) as a, approx_count_distinct(arrow_cast(value - 1, 'Utf8')) as b \
             from generate_series(1, {rows})"
        );
        assert_eq!(run(&ctx, &sql).await.unwrap(), [format!("|{long}|{text}|")], "{rows} rows");
    }
    let million = run(&ctx, "select approx_count_distinct(value) from generate_series(0, 999999)").await;
    assert_eq!(million.unwrap(), ["|925738|"]);
    let select = |types: &[&str], rows: usize| {
        let named =
            types.iter().enumerate().map(|(i, t)| format!("{t} as c{i}")).collect::<Vec<_>>().join(", ");
        let calls =
            (0..types.len()).map(|i| format!("approx_count_distinct(c{i})")).collect::<Vec<_>>().join(", ");
        format!("select {calls} from (select {named} from generate_series(0, {}))", rows - 1)
    };
    let types = [
        "cast(value as int)",
        "cast(value as double)",
        "cast(value as decimal(30,2))",
        "cast(value as decimal(10,0))",
    ];
    let rows = run(&ctx, &select(&types, 100_000)).await.unwrap();
    assert_eq!(rows, ["|94954|93425|97263|95546|"]);
    let types = [
        "cast(value as tinyint)",
        "cast(value as float)",
        "cast(value as double)",
        "value % 2 = 0",
        "arrow_cast(cast(value + 18262 as int), 'Date32')",
    ];
    let rows = run(&ctx, &select(&types, 100)).await.unwrap();
    assert_eq!(rows, ["|99|103|97|2|99|"]);
}

#[tokio::test]
async fn approximate_counts_follow_the_wanted_deviation() {
    for (deviation, rows, expected) in [
        (0.1, 100, 101),
        (0.1, 500, 410),
        (0.02, 1000, 992),
        (0.02, 3000, 2975),
        (0.39, 100, 80),
        (0.01, 100_000, 100_425),
    ] {
        let ctx = context(true, 1);
        let options = AggregateOptions { relative_sd: Some(deviation), ..AggregateOptions::default() };
        ctx.register_udaf((*udaf("approx_count_distinct", options).unwrap()).clone());
        let sql = format!("select approx_count_distinct(value) from generate_series(0, {})", rows - 1);
        assert_eq!(run(&ctx, &sql).await.unwrap(), [format!("|{expected}|")], "{deviation} of {rows}");
    }
    let options = AggregateOptions { relative_sd: Some(0.5), ..AggregateOptions::default() };
    assert_eq!(udaf("approx_count_distinct", options).unwrap_err().class(), "FAILED_FUNCTION_CALL");
}
