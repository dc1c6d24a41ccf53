//! ARCHITECTURE.md is the map: it names every crate and every module folder.

use std::collections::BTreeSet;
use std::path::Path;

use millstream_testkit::workspace;

#[test]
fn the_map_names_every_crate_and_module_folder() {
    let map = workspace::text(Path::new("ARCHITECTURE.md")).unwrap();
    let mut folders = BTreeSet::new();
    for file in workspace::files().unwrap() {
        let parts: Vec<_> = file.iter().map(|part| part.to_str().unwrap()).collect();
        if let ["crates", name, rest @ ..] = parts.as_slice() {
            folders.insert(format!("crates/{name}"));
            // The first level below src: a room of the house. Deeper ones are a room's own matter.
            if let ["src", folder, _, ..] = rest {
                folders.insert(format!("{folder}/"));
            }
        }
    }
    assert!(folders.len() > 8, "found only {folders:?}");
    for folder in folders {
        assert!(map.contains(&format!("`{folder}`")), "ARCHITECTURE.md does not mention `{folder}`");
    }
}
