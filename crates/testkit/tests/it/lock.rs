//! One version of the crates whose types cross our edges.

use std::collections::BTreeMap;
use std::path::Path;

use millstream_testkit::workspace;

const SINGLE: [&str; 8] =
    ["arrow", "arrow-array", "arrow-schema", "datafusion", "object_store", "parquet", "prost", "tonic"];

#[test]
fn shared_types_have_one_version() {
    let lock: toml::Table = workspace::text(Path::new("Cargo.lock")).unwrap().parse().unwrap();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        versions.entry(name).or_default().push(package["version"].as_str().unwrap());
    }
    for name in SINGLE {
        let found = versions.get(name).map_or(0, Vec::len);
        assert_eq!(found, 1, "{name}: {:?}", versions.get(name));
    }
}
