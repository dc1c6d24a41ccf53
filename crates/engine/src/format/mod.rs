//! File formats with Spark's semantics, shared by batch and stream: csv, json, text, parquet.

pub mod show;
pub mod value_text;

use std::{collections::BTreeMap, sync::Arc};

use datafusion::arrow::{array::RecordBatch, datatypes::SchemaRef};

use crate::Result;

/// Options of a read or a write; names are compared without case, values kept as given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Takes options as a client sent them. Of two names that differ only in case the
    /// last in sort order wins, as in Spark's case-insensitive map.
    pub fn new(options: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(options.into_iter().map(|(k, v)| (k.to_ascii_lowercase(), v)).collect())
    }

    /// The value of `name`, whatever its case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_ascii_lowercase()).map(String::as_str)
    }

    /// All options, names in lower case, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }
}

/// Encodes the rows of one output file.
pub trait FileEncoder: Send {
    /// Appends rows; columns match the encoder's schema by position.
    fn write(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Bytes encoded so far, for splitting files by size.
    fn len(&self) -> usize;

    /// Whether nothing has been encoded.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The complete file.
    fn finish(self: Box<Self>) -> Result<Vec<u8>>;
}

/// Makes encoders for one write: the format with its options, checked once.
pub trait WriteFormat: std::fmt::Debug + Send + Sync {
    /// End of file names without the first dot: `csv`, `json.gz`, `snappy.parquet`.
    fn extension(&self) -> String;

    /// An encoder for a new file with columns `schema` (user's names).
    fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn FileEncoder>>;
}

/// Shared handle of a [`WriteFormat`].
pub type WriteFormatRef = Arc<dyn WriteFormat>;
