//! The names a file starts with.

use datafusion::arrow::datatypes::SchemaRef;
use memchr::memchr;

use super::{Decoder, cannot_split};
use crate::{
    Result, SparkError,
    format::csv::tokenizer::{Tokens, record},
};

impl Decoder {
    /// Whether files start with a header.
    pub(crate) fn has_header(&self) -> bool {
        self.options.header
    }

    /// Where the first record at or after `at` starts that is no comment.
    pub(crate) fn skip_comments(&self, input: &[u8], mut at: usize) -> usize {
        while self.options.comment.is_some() && input.get(at).copied() == self.options.comment {
            let rest = input.get(at..).unwrap_or_default();
            at += memchr(b'\n', rest).map_or(rest.len(), |p| p + 1);
        }
        at
    }

    /// Checks the header of a multi-line file, which starts at or after `at`; returns where
    /// it ends.
    pub(crate) fn header_record(
        &self,
        input: &[u8],
        mut at: usize,
        file: &str,
        schema: &SchemaRef,
    ) -> Result<usize> {
        while at < input.len() {
            at = self.skip_comments(input, at);
            let mut tokens = Tokens::default();
            let rest = input.get(at..).unwrap_or_default();
            let next =
                record(&self.options.dialect, input, at, &mut tokens).map_err(|e| cannot_split(e, rest))?;
            if tokens.len() > 0 {
                self.check_names(&tokens, file, schema)?;
                return Ok(next);
            }
            at = next;
        }
        Ok(at)
    }

    /// Checks the header's names where `enforceSchema` is off, and warns where it is on.
    pub(crate) fn check_header(&self, line: &[u8], file: &str, schema: &SchemaRef) -> Result<()> {
        let mut tokens = Tokens::default();
        record(&self.options.dialect, line, 0, &mut tokens).map_err(|e| cannot_split(e, line))?;
        self.check_names(&tokens, file, schema)
    }

    fn check_names(&self, tokens: &Tokens, file: &str, schema: &SchemaRef) -> Result<()> {
        let names: Vec<&str> = schema
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .filter(|n| *n != self.options.corrupt_column)
            .collect();
        let found: Vec<String> = (0..tokens.len())
            .map(|i| String::from_utf8_lossy(tokens.get(i).unwrap_or_default()).into_owned())
            .collect();
        let wanted: Vec<usize> = if self.check_count {
            (0..names.len()).collect()
        } else {
            (0..self.fields.len()).filter(|i| self.fields.get(*i).is_some_and(Option::is_some)).collect()
        };
        let problem = if self.check_count && found.len() != names.len() {
            Some(format!(
                "Number of column in CSV header is not equal to number of fields in the schema:\n Header length: {}, \
                 schema size: {}\nCSV file: {file}",
                found.len(),
                names.len()
            ))
        } else {
            let pick = |list: &dyn Fn(usize) -> String| {
                wanted.iter().map(|i| list(*i)).collect::<Vec<_>>().join(", ")
            };
            let name = |i: usize| names.get(i).copied().unwrap_or_default().to_string();
            let header = |i: usize| found.get(i).cloned().unwrap_or_else(|| "null".to_string());
            wanted.iter().find(|i| name(**i).to_lowercase() != header(**i).to_lowercase()).map(|i| {
                format!(
                    "CSV header does not conform to the schema.\n Header: {}\n Schema: {}\nExpected: {} but found: {}\n\
                     CSV file: {file}",
                    pick(&header),
                    pick(&name),
                    name(*i),
                    header(*i)
                )
            })
        };
        match problem {
            Some(message) if self.options.enforce_schema => tracing::warn!("{message}"),
            Some(message) => return Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", message)),
            None => {}
        }
        Ok(())
    }
}
