//! Files recorded from real Spark, under `tests/golden` at the root of the repository.
//!
//! Each lives beside the script that recorded it; nobody edits one by hand.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::workspace;

/// Where the golden file `name` (a path below `tests/golden`) lies.
#[must_use]
pub fn path(name: &str) -> PathBuf {
    workspace::root().join("tests/golden").join(name)
}

/// The golden file `name` as JSON.
///
/// # Errors
/// When it does not exist or is no JSON.
pub fn json(name: &str) -> Result<Value> {
    serde_json::from_str(&text(name)?).with_context(|| format!("golden file {name}"))
}

/// The golden file `name` as text.
///
/// # Errors
/// When it does not exist or is not UTF-8.
pub fn text(name: &str) -> Result<String> {
    std::fs::read_to_string(path(name)).with_context(|| format!("golden file {name}"))
}
