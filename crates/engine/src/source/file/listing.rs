//! Which files a read covers: paths and globs resolved to files, in Spark's way.
//!
//! Hidden names (`_x`, `.x`) are skipped, except partition directories such as `_k=v`.
//! Subdirectories count only where they are partition directories (`k=v`) or with
//! `recursiveFileLookup`.

use std::{
    io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use regex::Regex;

use super::glob::{expand, is_glob, name_matcher};
use crate::{
    Result, SparkError,
    checkpoint::{LocalStorage, from_uri},
    format::{FileRef, Options},
    sink::file::{SinkFileStatus, read_sink_log},
    time::Millis,
};

/// What to list.
#[derive(Debug, Clone)]
pub struct FileListing {
    /// Absolute paths, possibly globs.
    pub paths: Vec<String>,
    /// `recursiveFileLookup`: every file below, and no partition columns.
    pub recursive: bool,
    /// `basePath`: where partition directories start.
    pub base: Option<PathBuf>,
    /// Globs are expanded.
    globs: bool,
    name_filter: Option<Vec<Regex>>,
    modified_after: Option<i64>,
    modified_before: Option<i64>,
}

/// A file and the partition directories above it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// The file.
    pub file: FileRef,
    /// `k=v` directories between the base path and the file, outermost first, unescaped.
    pub partitions: Vec<(String, Option<String>)>,
}

impl FileListing {
    /// The listing of `paths` under `options` (`pathGlobFilter`, `recursiveFileLookup`,
    /// `basePath`, `modifiedAfter`, `modifiedBefore`).
    ///
    /// # Errors
    /// Options Spark refuses, and paths in other file systems.
    pub fn new(paths: &[String], options: &Options, zone: crate::time::Zone) -> Result<Self> {
        let instant = |name: &str| -> Result<Option<i64>> {
            let Some(text) = options.get(name) else { return Ok(None) };
            let micros =
                crate::format::datetime_text::parse_timestamp(text.as_bytes(), zone).ok_or_else(|| {
                    SparkError::new("_LEGACY_ERROR_TEMP_1294")
                        .with("strategy", name.to_ascii_lowercase())
                        .with("timeString", text)
                })?;
            Ok(Some(micros.div_euclid(1000)))
        };
        Ok(Self {
            paths: paths.iter().map(|p| local(p)).collect::<Result<_>>()?,
            recursive: crate::format::bool_option(options, "recursiveFileLookup", false)?,
            base: options.get("basePath").map(|p| local(p).map(PathBuf::from)).transpose()?,
            globs: crate::format::bool_option(options, "__globPaths__", true)?,
            name_filter: options.get("pathGlobFilter").map(name_matcher).transpose()?,
            modified_after: instant("modifiedAfter")?,
            modified_before: instant("modifiedBefore")?,
        })
    }

    /// Whether `path` is to be expanded.
    pub fn is_glob(&self, path: &str) -> bool {
        self.globs && is_glob(path)
    }

    /// The existing roots.
    ///
    /// # Errors
    /// `PATH_NOT_FOUND` for a path (or glob, with `globs_must_match`) without any match.
    pub fn roots(&self, globs_must_match: bool) -> Result<Vec<PathBuf>> {
        let mut roots = Vec::new();
        for path in &self.paths {
            let found = if self.is_glob(path) { expand(path)? } else { vec![PathBuf::from(path)] };
            let missing = if self.is_glob(path) {
                globs_must_match && found.is_empty()
            } else {
                !Path::new(path).exists()
            };
            if missing {
                return Err(path_not_found(path));
            }
            roots.extend(found);
        }
        Ok(roots)
    }

    fn admits(&self, name: &str, modified: Millis) -> bool {
        self.name_filter.as_ref().is_none_or(|matchers| matchers.iter().any(|m| m.is_match(name)))
            && self.modified_after.is_none_or(|after| modified.0 > after)
            && self.modified_before.is_none_or(|before| modified.0 < before)
    }

    /// Where partition directories of `root` start: `basePath`, else the root itself (a
    /// file's directory for a file).
    fn base_of(&self, root: &Path) -> PathBuf {
        match &self.base {
            Some(base) if root.starts_with(base) => base.clone(),
            _ => root.to_path_buf(),
        }
    }
}

/// Spark's error for a path that does not exist.
pub(crate) fn path_not_found(path: &str) -> SparkError {
    SparkError::new("PATH_NOT_FOUND").with("path", format!("file:{path}"))
}

/// A path or `file:` URI as a plain absolute path.
fn local(path: &str) -> Result<String> {
    match from_uri(path) {
        Some(path) => {
            let text = path.to_string_lossy().into_owned();
            let trimmed = text.trim_end_matches('/');
            Ok(if trimmed.is_empty() { "/".to_string() } else { trimmed.to_string() })
        }
        None => Err(SparkError::unsupported(format!("the file system of {path}"))),
    }
}

/// Lists the files under `roots`, unsorted. A single plain path that a streaming query
/// writes to has the files of that query's log, as in Spark. Files for which `skip` holds are left out
/// without looking at them closer. Directories that vanish meanwhile are passed over.
///
/// # Errors
/// Directories that cannot be read.
pub fn list_files(
    listing: &FileListing,
    roots: &[PathBuf],
    skip: &dyn Fn(&Path) -> bool,
) -> Result<Vec<ListedFile>> {
    if let [path] = listing.paths.as_slice()
        && !listing.is_glob(path)
        && let [root] = roots
        && let Some(files) = read_sink_log(&LocalStorage::shared(), root)?
    {
        return logged(listing, root, &files, skip);
    }
    let mut out = Vec::new();
    for root in roots {
        let base = listing.base_of(root);
        // A vanished root has no files, as in Spark.
        let Ok(metadata) = std::fs::metadata(root) else { continue };
        if metadata.is_dir() {
            let partitions = partitions_between(&base, root);
            walk(listing, root, &partitions, skip, &mut out)?;
        } else {
            let parent = root.parent().unwrap_or(root);
            let partitions =
                if listing.base.is_some() { partitions_between(&base, parent) } else { Vec::new() };
            add(listing, root, &metadata, &partitions, skip, &mut out);
        }
    }
    Ok(out)
}

/// The files of a streaming query's output: those in its log, whatever else lies there.
fn logged(
    listing: &FileListing,
    root: &Path,
    files: &[SinkFileStatus],
    skip: &dyn Fn(&Path) -> bool,
) -> Result<Vec<ListedFile>> {
    let base = listing.base_of(root);
    let mut out = Vec::with_capacity(files.len());
    for file in files {
        let path = file.local_path();
        let path =
            path.ok_or_else(|| SparkError::unsupported(format!("the file system of {}", file.path)))?;
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let modified = Millis(file.modification_time);
        if listing.admits(name, modified) && !skip(&path) {
            let partitions = match path.parent() {
                Some(parent) if !listing.recursive => partitions_between(&base, parent),
                _ => Vec::new(),
            };
            let size = u64::try_from(file.size).unwrap_or(0);
            out.push(ListedFile { file: FileRef::whole(&path, size, modified), partitions });
        }
    }
    Ok(out)
}

fn walk(
    listing: &FileListing,
    dir: &Path,
    partitions: &[(String, Option<String>)],
    skip: &dyn Fn(&Path) -> bool,
    out: &mut Vec<ListedFile>,
) -> Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(crate::checkpoint::storage::read_failed(dir, e)),
    };
    for entry in entries {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if is_hidden(name) {
            continue;
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if !kind.is_dir() && skip(&path) {
            continue;
        }
        // Follows symbolic links; a broken one or a vanished file is passed over.
        let Ok(metadata) = std::fs::metadata(&path) else { continue };
        if metadata.is_dir() {
            match partition_of(name) {
                _ if listing.recursive => walk(listing, &path, &[], skip, out)?,
                Some(partition) => {
                    let mut below = partitions.to_vec();
                    below.push(partition);
                    walk(listing, &path, &below, skip, out)?;
                }
                None => {}
            }
        } else {
            add(listing, &path, &metadata, partitions, skip, out);
        }
    }
    Ok(())
}

fn add(
    listing: &FileListing,
    path: &Path,
    metadata: &std::fs::Metadata,
    partitions: &[(String, Option<String>)],
    skip: &dyn Fn(&Path) -> bool,
    out: &mut Vec<ListedFile>,
) {
    let since_epoch =
        metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let modified = Millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX));
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    if metadata.is_file() && listing.admits(name, modified) && !skip(path) {
        out.push(ListedFile {
            file: FileRef::whole(path, metadata.len(), modified),
            partitions: partitions.to_vec(),
        });
    }
}

/// Names Spark never reads: `_x` unless it is a partition, `.x`, and copies under way.
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with('_') && !name.contains('=') || name.starts_with('.') || name.ends_with("._COPYING_")
}

/// The partition directories in the part of `dir` below `base`.
pub(crate) fn partitions_between(base: &Path, dir: &Path) -> Vec<(String, Option<String>)> {
    let Ok(below) = dir.strip_prefix(base) else { return Vec::new() };
    below.components().filter_map(|c| partition_of(&c.as_os_str().to_string_lossy())).collect()
}

/// `k=v` with Hive's `%XX` escapes undone; the default partition's value is null.
fn partition_of(name: &str) -> Option<(String, Option<String>)> {
    let (key, value) = name.split_once('=')?;
    if key.is_empty() || value.is_empty() {
        return None;
    }
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let value = (value != "__HIVE_DEFAULT_PARTITION__").then(|| plain(value));
    Some((plain(key), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Zone;

    fn listed(root: &Path, options: &[(&str, &str)]) -> Vec<String> {
        let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        let listing = FileListing::new(&[root.display().to_string()], &options, Zone::UTC).unwrap();
        let roots = listing.roots(true).unwrap();
        let files = list_files(&listing, &roots, &|_| false).unwrap();
        let mut names: Vec<String> = files
            .iter()
            .map(|f| {
                let name = f.file.path.strip_prefix(root).unwrap().display().to_string();
                format!(
                    "{name} {:?}",
                    f.partitions.iter().map(|(k, v)| format!("{k}={v:?}")).collect::<Vec<_>>()
                )
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn hidden_and_nested_files_are_left_out() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "a.csv",
            "_b.csv",
            ".c.csv",
            "sub/d.csv",
            "k=1%2F/l=__HIVE_DEFAULT_PARTITION__/e.csv",
            "_metadata/0",
        ] {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::File::create(path).unwrap();
        }
        assert_eq!(
            listed(dir.path(), &[]),
            ["a.csv []", "k=1%2F/l=__HIVE_DEFAULT_PARTITION__/e.csv [\"k=Some(\\\"1/\\\")\", \"l=None\"]"]
        );
        assert_eq!(
            listed(dir.path(), &[("recursiveFileLookup", "true"), ("pathGlobFilter", "[ad].csv")]),
            ["a.csv []", "sub/d.csv []"]
        );
    }

    #[test]
    fn a_missing_path_is_an_error() {
        let listing =
            FileListing::new(&["file:/no/such/place".to_string()], &Options::default(), Zone::UTC).unwrap();
        assert_eq!(
            listing.roots(true).err().map(|e| e.to_string()),
            Some("[PATH_NOT_FOUND] Path does not exist: file:/no/such/place. SQLSTATE: 42K03".to_string())
        );
        assert!(FileListing::new(&["s3://b/x".to_string()], &Options::default(), Zone::UTC).is_err());
    }
}
