use spark_connect_proto::{self as proto, relation::RelType};

use super::{CatalogStatement, Statement, parse_expression, parse_statement};

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
fn exists_is_a_function_of_arrays_or_a_question_to_a_query() {
    let expression = |text: &str| parse_expression(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    for (text, plain) in [
        ("NOT exists(a, x -> x > 1) AND b", "(NOT (exists(a, x -> x > 1))) AND b"),
        ("NOT NOT exists(a, x -> x)", "NOT (NOT (exists(a, x -> x)))"),
        ("!exists((a), x -> x)", "NOT (exists(a, x -> x))"),
    ] {
        assert_eq!(expression(text), expression(plain), "{text}");
    }
    for query in ["EXISTS (SELECT 1)", "NOT EXISTS (SELECT 1)", "NOT EXISTS ((SELECT 1))"] {
        let relation = format!("{:?}", parse(&format!("SELECT * FROM t WHERE {query}")));
        assert!(relation.contains("Exists"), "{relation}");
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

#[test]
fn statements_about_tables() {
    let catalog = |text: &str| match parse(text) {
        Statement::Catalog(statement) => *statement,
        other => panic!("{text}: {other:?}"),
    };
    let names = |parts: &[&str]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        catalog("SHOW COLUMNS FROM t IN d"),
        CatalogStatement::ShowColumns { table: names(&["d", "t"]) }
    );
    assert_eq!(
        catalog("SHOW SCHEMAS LIKE 'a*'"),
        CatalogStatement::ShowDatabases { pattern: Some("a*".to_string()) }
    );
    assert_eq!(
        catalog("SHOW TBLPROPERTIES t (a.b)"),
        CatalogStatement::ShowProperties { table: names(&["t"]), key: Some("a.b".to_string()) }
    );
    assert_eq!(
        catalog("UNCACHE TABLE IF EXISTS t;"),
        CatalogStatement::UncacheTable { table: names(&["t"]), if_exists: true }
    );
    assert_eq!(catalog("CLEAR CACHE"), CatalogStatement::ClearCache);
    assert_eq!(
        catalog("ALTER TABLE t SET TBLPROPERTIES ('a' = 'b', c 1)"),
        CatalogStatement::SetProperties {
            table: names(&["t"]),
            properties: vec![("a".to_string(), "b".to_string()), ("c".to_string(), "1".to_string())]
        }
    );
    match catalog("ALTER TABLE d.t ADD COLUMNS (a INT, b STRUCT<x: INT>)") {
        CatalogStatement::AddColumns { table, columns } => {
            assert_eq!((table, columns.len()), (names(&["d", "t"]), 2));
        }
        other => panic!("{other:?}"),
    }
    assert!(error("ALTER TABLE t RENAME TO u").contains("RENAME"));
    assert!(error("ALTER VIEW v AS SELECT 1").contains("ALTER VIEW"));
}

#[test]
fn datasets_of_a_pipeline() {
    let Statement::CreateDataset(table) = parse(
        "CREATE STREAMING TABLE IF NOT EXISTS a.t (x INT COMMENT 'c', y STRING) USING json PARTITIONED BY (y) \
         COMMENT 'text' TBLPROPERTIES ('k' = 'v') AS SELECT x, y FROM STREAM s",
    ) else {
        panic!("no dataset")
    };
    assert!(table.streaming && table.if_not_exists && table.query.is_some());
    assert_eq!((table.name.join("."), table.partition_by.join(",")), ("a.t".to_string(), "y".to_string()));
    assert_eq!((table.provider.as_deref(), table.comment.as_deref()), (Some("json"), Some("text")));
    assert_eq!(table.columns.map(|columns| columns.len()), Some(2));
    assert!(matches!(parse("CREATE STREAMING TABLE t"), Statement::CreateDataset(t) if t.query.is_none()));
    assert!(error("CREATE MATERIALIZED VIEW v").contains("PARSE_SYNTAX_ERROR"));
    assert!(error("CREATE OR REFRESH STREAMING TABLE t").contains("'REFRESH'"));
    assert!(error("CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT 1").contains("'MATERIALIZED'"));
    assert!(error("CREATE STREAMING TABLE t LOCATION '/x'").contains("LOCATION"));
    let Statement::CreateFlow(flow) =
        parse("CREATE FLOW f AS INSERT INTO d.t BY NAME SELECT * FROM STREAM s")
    else {
        panic!("no flow")
    };
    assert!(flow.by_name && !flow.overwrite && flow.target == ["d", "t"]);
    assert!(
        error("CREATE FLOW f AS AUTO CDC INTO t FROM STREAM s KEYS (id) SEQUENCE BY id").contains("AUTO CDC")
    );
}
