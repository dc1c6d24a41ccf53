//! Which crate may know which: the absences that ARCHITECTURE.md promises.

use std::collections::BTreeSet;

use millstream_testkit::workspace;

/// Package, and the packages of this workspace it may depend on.
const ALLOWED: [(&str, &[&str]); 4] = [
    ("millstream", &["millstream-engine", "millstream-spark"]),
    ("millstream-spark", &["millstream-engine"]),
    ("millstream-engine", &[]),
    ("millstream-testkit", &[]),
];

/// Crates that reach us through DataFusion's re-exports alone, so that one version of each exists.
const ONLY_THROUGH_DATAFUSION: [&str; 5] = ["arrow", "parquet", "object_store", "sqlparser", "datafusion-"];

fn manifests() -> Vec<(String, toml::Table)> {
    let files = workspace::files().unwrap();
    let manifests: Vec<_> = files
        .iter()
        .filter(|file| file.starts_with("crates") && file.ends_with("Cargo.toml"))
        .map(|file| {
            let table: toml::Table = workspace::text(file).unwrap().parse().unwrap();
            (table["package"]["name"].as_str().unwrap().to_owned(), table)
        })
        .collect();
    assert!(manifests.len() >= ALLOWED.len(), "found only {} crates", manifests.len());
    manifests
}

fn names(manifest: &toml::Table, section: &str) -> BTreeSet<String> {
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|t| t.keys().cloned())
        .collect()
}

#[test]
fn crates_know_only_whom_they_may() {
    for (name, manifest) in manifests() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(package, _)| *package == name) else {
            panic!("the crate {name} is new: it needs a decision record and a line in this test");
        };
        for section in ["dependencies", "build-dependencies"] {
            for dependency in names(&manifest, section).iter().filter(|d| d.starts_with("millstream")) {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not depend on {dependency}");
            }
        }
        for dependency in names(&manifest, "dev-dependencies").iter().filter(|d| d.starts_with("millstream"))
        {
            assert!(
                dependency == "millstream-testkit" || allowed.contains(&dependency.as_str()),
                "the tests of {name} must not depend on {dependency}"
            );
        }
    }
}

#[test]
fn arrow_and_its_kin_come_through_datafusion() {
    for (name, manifest) in manifests() {
        for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for dependency in names(&manifest, section) {
                let direct = ONLY_THROUGH_DATAFUSION.iter().any(|prefix| dependency.starts_with(prefix));
                assert!(
                    !direct || dependency == "datafusion-spark",
                    "{name} depends on {dependency}: use datafusion's re-export"
                );
            }
        }
    }
}

#[test]
fn every_crate_obeys_the_lints_of_the_workspace() {
    for (name, manifest) in manifests() {
        let inherits = manifest.get("lints").and_then(|l| l.get("workspace")).and_then(toml::Value::as_bool);
        assert_eq!(inherits, Some(true), "{name} lacks `[lints] workspace = true`");
    }
}
