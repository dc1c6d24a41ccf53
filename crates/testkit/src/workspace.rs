//! The repository as the tidy tests see it: its root and its tracked text files.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// Every file under version control (or about to be), relative to [`root`], sorted.
///
/// # Errors
/// When git cannot be run or the tree is not a git work tree.
pub fn files() -> Result<Vec<PathBuf>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let listing = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    let mut files: Vec<PathBuf> =
        listing.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    Ok(files)
}

/// The text of a file of the repository.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn text(file: &Path) -> Result<String> {
    std::fs::read_to_string(root().join(file)).with_context(|| file.display().to_string())
}
