//! Options of the streaming file source, as Spark's `FileStreamOptions`.

use std::path::PathBuf;

use super::split::Tolerance;
use crate::{
    Result, SparkError,
    checkpoint::from_uri,
    format::{Options, bool_option, illegal},
};

/// Checked options of a streaming file read.
#[derive(Debug, Clone)]
pub(crate) struct FileStreamOptions {
    pub(crate) max_files: Option<usize>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) latest_first: bool,
    /// Files that much older (in milliseconds) than the newest one seen are ignored.
    pub(crate) max_age_ms: i64,
    pub(crate) file_name_only: bool,
    pub(crate) clean: CleanSource,
    pub(crate) ignore_missing: bool,
    /// What happens to files that cannot be read.
    pub(crate) tolerance: Tolerance,
}

/// What happens to files whose batch is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CleanSource {
    Off,
    Delete,
    /// Moved below this directory, keeping their path.
    Archive(PathBuf),
}

impl FileStreamOptions {
    /// # Errors
    /// Values Spark refuses.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let positive = |name: &str| -> Result<Option<u64>> {
            let Some(text) = options.get(name) else { return Ok(None) };
            match text.parse::<u64>() {
                Ok(n) if n > 0 => Ok(Some(n)),
                _ => Err(illegal(format!(
                    "Invalid value '{text}' for option '{name}', must be a positive integer"
                ))),
            }
        };
        let max_files = positive("maxFilesPerTrigger")?.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let max_bytes = positive("maxBytesPerTrigger")?;
        if max_files.is_some() && max_bytes.is_some() {
            return Err(illegal(
                "Options 'maxFilesPerTrigger' and 'maxBytesPerTrigger' can't be both set at the same time",
            ));
        }
        let latest_first = bool_option(options, "latestFirst", false)?;
        let limited = max_files.is_some() || max_bytes.is_some();
        let max_age_ms = match options.get("maxFileAge") {
            // With both, old files would never be reached: Spark ignores the age.
            _ if latest_first && limited => i64::MAX,
            None => 7 * 86_400_000,
            Some(text) => {
                age(text).ok_or_else(|| illegal(format!("Invalid value '{text}' for option 'maxFileAge'")))?
            }
        };
        let clean = match options.get("cleanSource").map(str::to_ascii_lowercase).as_deref() {
            None | Some("off") => CleanSource::Off,
            Some("delete") => CleanSource::Delete,
            Some("archive") => {
                let dir = options
                    .get("sourceArchiveDir")
                    .ok_or_else(|| illegal("Archive mode must be used with 'sourceArchiveDir' option."))?;
                let dir = from_uri(dir)
                    .ok_or_else(|| SparkError::unsupported(format!("the file system of {dir}")))?;
                CleanSource::Archive(dir)
            }
            Some(_) => {
                let text = options.get("cleanSource").unwrap_or_default();
                return Err(illegal(format!(
                    "Invalid mode for clean source option {text}. Must be one of archive, delete, off"
                )));
            }
        };
        Ok(Self {
            max_files,
            max_bytes,
            latest_first,
            max_age_ms,
            file_name_only: bool_option(options, "fileNameOnly", false)?,
            clean,
            ignore_missing: bool_option(options, "ignoreMissingFiles", false)?,
            tolerance: Tolerance::of(options)?,
        })
    }
}

/// A span such as `7d`, `12h`, `30min`, `100ms`; a bare number is milliseconds.
fn age(text: &str) -> Option<i64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale = match unit.trim() {
        "" | "ms" => 1,
        "us" => return number.parse::<i64>().ok().map(|n| n / 1000),
        "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &[(&str, &str)]) -> Result<FileStreamOptions> {
        FileStreamOptions::new(&Options::new(list.iter().map(|(k, v)| (k.to_string(), v.to_string()))))
    }

    #[test]
    fn defaults_and_limits_are_sparks() {
        let default = options(&[]).unwrap();
        assert_eq!((default.max_files, default.max_age_ms), (None, 604_800_000));
        assert_eq!(options(&[("maxFileAge", "2h")]).unwrap().max_age_ms, 7_200_000);
        let latest =
            options(&[("latestFirst", "true"), ("maxFilesPerTrigger", "3"), ("maxFileAge", "1s")]).unwrap();
        assert_eq!((latest.max_files, latest.max_age_ms), (Some(3), i64::MAX));
        for bad in [
            [("maxFilesPerTrigger", "0"), ("a", "")],
            [("maxFilesPerTrigger", "1"), ("maxBytesPerTrigger", "1")],
            [("cleanSource", "archive"), ("a", "")],
            [("cleanSource", "burn"), ("a", "")],
        ] {
            assert!(options(&bad).is_err(), "{bad:?}");
        }
    }
}
