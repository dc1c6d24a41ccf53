use spark_connect_proto::{self as proto, relation::RelType};

use super::{Statement, parse_expression, parse_statement};

fn parse(text: &str) -> Statement {
    parse_statement(text, &proto::Sql::default()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn error(text: &str) -> String {
    parse_statement(text, &proto::Sql::default()).unwrap_err().to_string()
}

#[test]
fn session_statements() {
    let set = |key: &str, value: &str| Statement::SetConf { key: key.to_string(), value: value.to_string() };
    assert_eq!(parse("SET spark.sql.ansi.enabled = false"), set("spark.sql.ansi.enabled", "false"));
    assert_eq!(parse("set `a.b`=x y ;"), set("a.b", "x y"));
    assert_eq!(parse("SET TIME ZONE 'Asia/Tokyo'"), set("spark.sql.session.timeZone", "Asia/Tokyo"));
    assert_eq!(parse("SET"), Statement::GetConf { key: None });
    assert_eq!(parse("SET a.b"), Statement::GetConf { key: Some("a.b".to_string()) });
    assert_eq!(parse("RESET a"), Statement::ResetConf { key: Some("a".to_string()) });
    assert_eq!(parse("SHOW TABLES"), Statement::ShowTables { pattern: None });
    assert_eq!(parse("show tables like 'a*'"), Statement::ShowTables { pattern: Some("a*".to_string()) });
    assert_eq!(
        parse("DROP VIEW IF EXISTS `a b`"),
        Statement::DropView { name: vec!["a b".to_string()], if_exists: true, table: false }
    );
    assert_eq!(parse("DESCRIBE TABLE t"), Statement::DescribeTable { name: vec!["t".to_string()] });
}

#[test]
fn views_and_explanations_hold_queries() {
    match parse("CREATE OR REPLACE TEMP VIEW v AS SELECT 1") {
        Statement::CreateTempView { name, replace, global, query } => {
            assert_eq!((name.as_str(), replace, global), ("v", true, false));
            assert!(matches!(query.rel_type, Some(RelType::Project(_))), "{query:?}");
        }
        other => panic!("{other:?}"),
    }
    match parse("CREATE GLOBAL TEMPORARY VIEW v (a, b) AS SELECT 1, 2") {
        Statement::CreateTempView { query, replace, global, .. } => {
            assert_eq!((replace, global), (false, true));
            assert!(matches!(query.rel_type, Some(RelType::ToDf(_))), "{query:?}");
        }
        other => panic!("{other:?}"),
    }
    match parse("EXPLAIN FORMATTED SELECT 1") {
        Statement::Explain { mode, .. } => assert_eq!(mode, "FORMATTED"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn errors_name_what_is_near() {
    insta::assert_snapshot!(
        [
            "",
            "  -- nothing",
            "SELEC 1",
            "SELECT a b c FROM t",
            "SELECT (1",
            "SELECT 'a",
            "SELECT * FROM",
            "SELECT 1 WHERE",
            "MERGE INTO t USING s ON true",
            "SHOW FUNCTIONS",
            "SELECT 300Y",
            "SELECT ?",
            "SELECT :a",
            "SELECT * FROM t PIVOT (sum(a) FOR b IN (1))",
            "SELECT 1; SELECT 2",
            "VALUES (1, 2), (3)",
            "SELECT DATE 'x'",
            "CREATE TEMP VIEW a.b AS SELECT 1",
            "DROP FUNCTION f",
        ]
        .map(|text| format!("{text}\n    {}", error(text)))
        .join("\n")
    );
}

#[test]
fn deep_text_is_refused() {
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(error(&deep).contains("levels deep"), "{}", error(&deep));
}

#[test]
fn expressions_read_as_messages() {
    insta::assert_debug_snapshot!(
        [
            "a.b + 1 AS c",
            "-2L * `x y`[0]",
            "10 div 3 + 1",
            "sum(DISTINCT v) OVER (PARTITION BY k ORDER BY t DESC)",
            "transform(xs, x -> x + y)",
            "window(ts, '10 minutes').start",
            "a || b = c",
            "NOT a IS NULL OR b"
        ]
        .map(|text| (text, short(&parse_expression(text).unwrap())))
    );
}

/// An expression message in a line.
fn short(expression: &proto::Expression) -> String {
    use proto::expression::ExprType as E;
    let list = |items: &[proto::Expression]| items.iter().map(short).collect::<Vec<_>>().join(", ");
    let one = |item: &Option<Box<proto::Expression>>| item.as_deref().map(short).unwrap_or_default();
    match expression.expr_type.as_ref().unwrap() {
        E::UnresolvedAttribute(a) => a.unparsed_identifier.clone(),
        E::Literal(l) => format!("{:?}", l.literal_type.as_ref().unwrap()),
        E::UnresolvedFunction(f) => {
            let distinct = if f.is_distinct { "DISTINCT " } else { "" };
            format!("{}({distinct}{})", f.function_name, list(&f.arguments))
        }
        E::Alias(a) => format!("{} AS {}", one(&a.expr), a.name.join(",")),
        E::UnresolvedExtractValue(e) => format!("{}[{}]", one(&e.child), one(&e.extraction)),
        E::LambdaFunction(l) => {
            let names: Vec<String> = l.arguments.iter().map(|a| a.name_parts.join(".")).collect();
            format!("({}) -> {}", names.join(", "), one(&l.function))
        }
        E::UnresolvedNamedLambdaVariable(v) => format!("\\{}", v.name_parts.join(".")),
        E::Window(w) => {
            let order: Vec<String> =
                w.order_spec.iter().map(|o| format!("{} {:?}", one(&o.child), o.direction())).collect();
            format!("{} OVER ({}; {})", one(&w.window_function), list(&w.partition_spec), order.join(", "))
        }
        other => format!("{other:?}"),
    }
}
