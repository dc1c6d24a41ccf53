//! Which Python runs a script.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The interpreter: `PYSPARK_PYTHON`, else the active environment's `python3` or `python`.
///
/// # Errors
/// One line that says what to install.
pub fn find() -> Result<PathBuf> {
    find_with(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn find_with(env: impl Fn(&str) -> Option<String>) -> Result<PathBuf> {
    let path = env("PATH").unwrap_or_default();
    if let Some(wanted) = env("PYSPARK_PYTHON") {
        let found = if wanted.contains('/') {
            is_program(Path::new(&wanted)).then(|| wanted.clone().into())
        } else {
            on_path(&path, &wanted)
        };
        return match found {
            Some(python) => Ok(python),
            None => {
                bail!("PYSPARK_PYTHON is {wanted}, which is no program: set it to a Python 3 interpreter")
            }
        };
    }
    let environment = env("VIRTUAL_ENV").or_else(|| env("CONDA_PREFIX"));
    let in_environment = environment
        .into_iter()
        .flat_map(|root| ["python3", "python"].map(|name| Path::new(&root).join("bin").join(name)));
    if let Some(python) = in_environment.into_iter().find(|p| is_program(p)) {
        return Ok(python);
    }
    match ["python3", "python"].iter().find_map(|name| on_path(&path, name)) {
        Some(python) => Ok(python),
        None => bail!("no Python was found: install Python 3.10 or newer, then `pip install pyspark-client`"),
    }
}

fn on_path(path: &str, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|folder| folder.join(name)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pyspark_python_wins_and_must_exist() {
        let env = |name: &str| match name {
            "PYSPARK_PYTHON" => Some("/bin/sh".to_string()),
            "PATH" => Some("/usr/bin:/bin".to_string()),
            _ => None,
        };
        assert_eq!(find_with(env).unwrap(), Path::new("/bin/sh"));
        let missing = |name: &str| (name == "PYSPARK_PYTHON").then(|| "/nowhere/python".to_string());
        assert!(find_with(missing).unwrap_err().to_string().contains("/nowhere/python"));
    }

    #[test]
    fn no_python_says_what_to_install() {
        let error = find_with(|_| None).unwrap_err().to_string();
        assert!(error.contains("install Python") && error.contains("pyspark-client"), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}
