//! Rules for single files: size, names, and nothing in them that belongs to one machine.

use std::path::Path;

use millstream_testkit::workspace;

/// The longest a Rust file may be; the aim is 100 to 200 lines.
const LONGEST: usize = 800;

/// Names that say nothing about what is in a file.
const EMPTY_NAMES: [&str; 4] = ["utils", "util", "common", "helpers"];

fn is_text(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let known = ["rs", "toml", "md", "py", "sh", "sql", "yml", "yaml", "txt"].contains(&extension);
    let name = file.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    known || ["Makefile", "run", ".gitignore"].contains(&name)
}

#[test]
fn no_rust_file_grows_beyond_one_concept() {
    for file in workspace::files().unwrap() {
        let stem = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        if file.extension().is_none_or(|e| e != "rs") || stem == "generated" {
            continue;
        }
        let lines = workspace::text(&file).unwrap().lines().count();
        assert!(lines <= LONGEST, "{} has {lines} lines; split it", file.display());
        assert!(!EMPTY_NAMES.contains(&stem), "{}: name the concept", file.display());
    }
}

#[test]
fn every_rust_file_says_what_it_is() {
    for file in workspace::files().unwrap() {
        if file.extension().is_none_or(|e| e != "rs") || !file.starts_with("crates") {
            continue;
        }
        let text = workspace::text(&file).unwrap();
        let is_tests =
            file.file_stem().is_some_and(|s| s == "tests") || file.iter().any(|part| part == "tests");
        assert!(is_tests || text.starts_with("//!"), "{} lacks its module comment", file.display());
    }
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Put together here, so that this file does not find itself.
    let paths = ["/work", "/root", "/home", "/Users"].map(|root| format!("{root}/"));
    let scratch = ["wt", "house", "venv"].map(|name| format!("/tmp/{name}/"));
    let hosts = [["pypi", ".org"], ["crates", ".io"], ["npmjs", ".com"], ["pythonhosted", ".org"]]
        .map(|h| h.concat());
    for file in workspace::files().unwrap().into_iter().filter(|f| is_text(f)) {
        let text = workspace::text(&file).unwrap();
        for (number, line) in text.lines().enumerate() {
            let found = paths.iter().chain(&scratch).chain(&hosts).find(|word| names(line, word));
            assert_eq!(found, None, "{}:{}: {line}", file.display(), number + 1);
        }
    }
}

/// Whether `line` holds `word` other than as the middle of a longer path (`/data/work/x` is nobody's machine).
fn names(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| !line[..at].ends_with(|c: char| c.is_alphanumeric()))
}
