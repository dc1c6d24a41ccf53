//! Options Spark knows that change results and that are not implemented: refused, for a
//! wrong result in silence is worse than an error.

use super::Options;
use crate::{Result, SparkError};

/// Refuses what is not implemented among the options of a read or write.
///
/// # Errors
/// `UNSUPPORTED_FEATURE.MILLSTREAM` naming the option.
pub(super) fn refuse_unimplemented(format: &str, options: &Options) -> Result<()> {
    let refused = |name: &str| Err(SparkError::unsupported(format!("the {format} option `{name}`")));
    let own: &[&str] = match format {
        "csv" => &["singleVariantColumn", "extension"],
        "json" => &["singleVariantColumn", "explodeEmbeddedArray"],
        _ => &[],
    };
    for name in own.iter().chain(&["ignoredPathSegmentRegex", "archivePathFilter"]) {
        if options.get(name).is_some() {
            return refused(name);
        }
    }
    let is_true = |name: &str| options.get(name).is_some_and(|v| v.eq_ignore_ascii_case("true"));
    if format == "json" && is_true("sortKeys") {
        return refused("sortKeys");
    }
    match options.get("locale") {
        Some(locale) if !locale.eq_ignore_ascii_case("en-US") && matches!(format, "csv" | "json") => {
            refused(&format!("locale` with the value `{locale}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_options_that_would_change_the_result_are_refused() {
        let options =
            |list: &[(&str, &str)]| Options::new(list.iter().map(|(k, v)| (k.to_string(), v.to_string())));
        assert!(refuse_unimplemented("json", &options(&[("sortKeys", "true")])).is_err());
        assert!(refuse_unimplemented("json", &options(&[("sortKeys", "false"), ("extension", "x")])).is_ok());
        assert!(refuse_unimplemented("csv", &options(&[("locale", "de-DE")])).is_err());
        assert!(
            refuse_unimplemented("csv", &options(&[("locale", "en-US"), ("ignoreCorruptFiles", "true")]))
                .is_ok()
        );
        assert!(refuse_unimplemented("parquet", &options(&[("archivePathFilter", "*")])).is_err());
    }
}
