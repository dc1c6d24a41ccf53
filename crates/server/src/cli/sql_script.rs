//! What a file of SQL statements asks for: ordinary statements, and the definitions of a pipeline.
//!
//! Ordinary statements run one by one, as `spark-sql -f` does. The definitions of the file make one
//! pipeline, which runs where the last of them stands.

use millstream_spark::sql::{ScriptStatement, split_statements};

/// A file, sorted.
#[derive(Debug, PartialEq, Eq)]
pub struct SqlScript<'a> {
    /// Statements before the pipeline, or all of them where there is none.
    pub before: Vec<&'a str>,
    /// The file with the definitions alone; everything keeps its line. `None` where there are none.
    pub pipeline: Option<String>,
    /// Statements after the last definition.
    pub after: Vec<&'a str>,
}

/// Sorts the statements of a file.
pub fn sort(file: &str) -> SqlScript<'_> {
    let statements = split_statements(file);
    let Some(last) = statements.iter().rposition(|s| defines_dataset(s.trimmed(file))) else {
        let before = statements.iter().map(|s| s.trimmed(file).trim_end()).collect();
        return SqlScript { before, pipeline: None, after: Vec::new() };
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    let mut definitions = String::with_capacity(file.len());
    let mut written = 0;
    for (index, statement) in statements.iter().enumerate() {
        let text = statement.trimmed(file);
        let belongs = index <= last && belongs_to_pipeline(text);
        let end = end_of(file, statement);
        if belongs {
            definitions.push_str(&blank(file.get(written..statement.start).unwrap_or_default()));
            definitions.push_str(file.get(statement.start..end).unwrap_or_default());
            written = end;
        } else if index < last {
            before.push(text.trim_end());
        } else {
            after.push(text.trim_end());
        }
    }
    SqlScript { before, pipeline: Some(definitions), after }
}

/// Whether a statement answers with rows that a person wants to see.
pub fn shows_rows(statement: &str) -> bool {
    let first = words(statement).next().unwrap_or_default();
    ["SELECT", "WITH", "VALUES", "FROM", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"]
        .contains(&first.as_str())
        || statement.starts_with('(')
}

/// The end of a statement, its semicolon included.
fn end_of(file: &str, statement: &ScriptStatement<'_>) -> usize {
    let end = statement.start + statement.trimmed(file).len();
    if file.as_bytes().get(end) == Some(&b';') { end + 1 } else { end }
}

/// The same text with nothing but its line breaks.
fn blank(text: &str) -> String {
    text.chars().filter(|c| *c == '\n').collect()
}

fn defines_dataset(statement: &str) -> bool {
    let words: Vec<String> = words(statement).take(3).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["CREATE", "STREAMING", "TABLE"] | ["CREATE", "MATERIALIZED", "VIEW"] | ["CREATE", "FLOW", _]
    )
}

/// Also the views and settings that definitions read and run with.
fn belongs_to_pipeline(statement: &str) -> bool {
    let words: Vec<String> = words(statement).take(3).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    defines_dataset(statement)
        || matches!(
            words.as_slice(),
            ["SET", ..] | ["CREATE", "TEMPORARY" | "TEMP", "VIEW"] | ["CREATE", "VIEW", _]
        )
}

/// The words of a statement, upper case; comments between them are passed over.
fn words(statement: &str) -> impl Iterator<Item = String> {
    let mut rest = statement;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start();
            rest = if rest.starts_with("--") {
                rest.split_once('\n').map_or("", |(_, after)| after)
            } else if rest.starts_with("/*") {
                rest.split_once("*/").map_or("", |(_, after)| after)
            } else {
                break;
            };
        }
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
        let (word, after) = rest.split_at(end);
        rest = after;
        (!word.is_empty()).then(|| word.to_uppercase())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn definitions_are_taken_out_and_keep_their_lines() {
        let file = "CREATE TABLE raw (x INT)\n USING csv;\nSET a = b;\n-- first\nCREATE STREAMING TABLE st AS\n\
                    SELECT 1;\nINSERT INTO raw VALUES (1);\nCREATE /* a */ MATERIALIZED\nVIEW mv AS SELECT ';';\n\
                    SELECT * FROM mv";
        let script = sort(file);
        assert_eq!(script.before, ["CREATE TABLE raw (x INT)\n USING csv", "INSERT INTO raw VALUES (1)"]);
        assert_eq!(script.after, ["SELECT * FROM mv"]);
        let pipeline = script.pipeline.unwrap();
        assert_eq!(
            pipeline,
            "\n\nSET a = b;\n\nCREATE STREAMING TABLE st AS\nSELECT 1;\n\nCREATE /* a */ MATERIALIZED\nVIEW mv AS \
             SELECT ';';"
        );
        let lines: Vec<usize> = split_statements(&pipeline).iter().map(|s| s.line).collect();
        assert_eq!(lines, [3, 5, 8], "as in the file");
    }

    #[test]
    fn a_file_without_definitions_is_run_statement_by_statement() {
        let script = sort("CREATE TEMPORARY VIEW v AS SELECT 1; SET a = b; -- c\n SELECT * FROM v;");
        assert_eq!(script.before.len(), 3);
        assert_eq!((script.pipeline, script.after.len()), (None, 0));
        assert!(shows_rows("select 1") && shows_rows("(SELECT 1)") && !shows_rows("SET a = b"));
    }
}
