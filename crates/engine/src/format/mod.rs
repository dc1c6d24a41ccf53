//! File formats with Spark's semantics, shared by batch and stream: csv, json, text, parquet.

mod batches;
mod column_builder;
mod compression;
mod csv;
pub mod date_pattern;
pub mod datetime_text;
mod input;
mod json;
pub(crate) mod number_scan;
pub mod number_text;
mod options;
mod parquet;
mod schema_check;
pub mod show;
mod spark_schema;
mod text;
mod text_file;
mod unimplemented;
pub mod value_text;

use std::{collections::BTreeMap, fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::RecordBatch,
        datatypes::{DataType, SchemaRef},
    },
    execution::SendableRecordBatchStream,
};

use crate::{Result, SparkError, time::Zone};
pub use input::FileRef;
pub(crate) use input::file_uri;
pub(crate) use options::{bool_option, illegal};
pub use text_file::TextRows;

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

    /// How to encode rows apart from this encoder, for [`FileEncoder::append_text`]; `None`
    /// for files that are more than their rows' texts.
    fn text_rows(&self) -> Option<Arc<dyn TextRows>> {
        None
    }

    /// Appends rows encoded by [`FileEncoder::text_rows`].
    fn append_text(&mut self, _text: Vec<u8>) {}

    /// Bytes encoded so far, for splitting files by size.
    fn len(&self) -> usize;

    /// Whether nothing has been encoded.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The complete file, in pieces one after the other: a large one is never copied together.
    fn finish(self: Box<Self>) -> Result<Vec<Vec<u8>>>;
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

/// Decodes files: a format with its options, checked once. Used by batch and stream reads.
pub trait ReadFormat: fmt::Debug + Send + Sync {
    /// As Spark names it in errors: `CSV`, `JSON`, `Parquet`, `Text`.
    fn name(&self) -> &'static str;

    /// Checks that files of this format can hold the columns of `schema`.
    ///
    /// # Errors
    /// `UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE`.
    fn check_schema(&self, schema: &SchemaRef) -> Result<()>;

    /// The schema of `files`, in Spark's way; fields are nullable.
    ///
    /// # Errors
    /// Unreadable files. No files at all is the caller's matter (`UNABLE_TO_INFER_SCHEMA`).
    fn infer_schema(&self, files: &[FileRef]) -> Result<SchemaRef>;

    /// Whether ranges of `file` can be read on their own.
    fn can_split(&self, file: &FileRef) -> bool;

    /// The rows of `file`, in order: of its columns `schema` those at `projection`, in that
    /// order. Columns the file lacks are null.
    ///
    /// # Errors
    /// A missing or unreadable file; while streaming also malformed rows in `FAILFAST`.
    fn open(
        &self,
        file: &FileRef,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<SendableRecordBatchStream>;
}

/// Shared handle of a [`ReadFormat`].
pub type ReadFormatRef = Arc<dyn ReadFormat>;

/// The reader of `format` (`csv`, `json`, `parquet`, `text`) with `options`; `zone` is the
/// session time zone.
///
/// # Errors
/// An unknown format, option values Spark refuses, and known options that are not
/// implemented.
pub fn reader(format: &str, options: &Options, zone: Zone) -> Result<ReadFormatRef> {
    let format = format.to_ascii_lowercase();
    unimplemented::refuse_unimplemented(&format, options)?;
    match format.as_str() {
        "csv" => Ok(Arc::new(csv::CsvReader::new(options, zone)?)),
        "json" => Ok(Arc::new(json::JsonReader::new(options, zone)?)),
        "parquet" => Ok(Arc::new(parquet::ParquetReader::new(options)?)),
        "text" => Ok(Arc::new(text::TextReader::new(options)?)),
        other => Err(unknown(other)),
    }
}

/// The writer of `format` with `options`; `zone` is the session time zone.
///
/// # Errors
/// As [`reader`].
pub fn writer(format: &str, options: &Options, zone: Zone) -> Result<WriteFormatRef> {
    let format = format.to_ascii_lowercase();
    unimplemented::refuse_unimplemented(&format, options)?;
    match format.as_str() {
        "csv" => Ok(Arc::new(csv::CsvWriter::new(options, zone)?)),
        "json" => Ok(Arc::new(json::JsonWriter::new(options, zone)?)),
        "parquet" => Ok(Arc::new(parquet::ParquetWriter::new(options)?)),
        "text" => Ok(Arc::new(text::TextWriter::new(options)?)),
        other => Err(unknown(other)),
    }
}

fn unknown(format: &str) -> SparkError {
    match format {
        "orc" | "avro" | "xml" | "delta" | "jdbc" => {
            SparkError::unsupported(format!("the data source `{format}`"))
        }
        _ => SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", format),
    }
}

/// What happens to malformed records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum ParseMode {
    /// Bad fields are null; the record's text goes to the corrupt-record column.
    #[default]
    Permissive,
    /// Malformed records vanish.
    DropMalformed,
    /// The first malformed record is an error.
    FailFast,
}

impl ParseMode {
    /// The option `mode`; an unknown one is `PERMISSIVE` with a warning, as in Spark.
    pub(crate) fn of(options: &Options) -> Self {
        match options.get("mode").map(str::to_ascii_uppercase).as_deref() {
            None | Some("PERMISSIVE") => Self::Permissive,
            Some("DROPMALFORMED") => Self::DropMalformed,
            Some("FAILFAST") => Self::FailFast,
            Some(other) => {
                tracing::warn!("{other} is not a valid parse mode. Using PERMISSIVE.");
                Self::Permissive
            }
        }
    }
}

/// The corrupt-record column, where the schema has it, must be a nullable string.
pub(crate) fn check_corrupt_column(schema: &SchemaRef, name: &str) -> Result<()> {
    match schema.fields().iter().find(|f| f.name() == name) {
        Some(field) if *field.data_type() != DataType::Utf8 || !field.is_nullable() => {
            Err(SparkError::new("INVALID_CORRUPT_RECORD_TYPE")
                .with("columnName", format!("`{name}`"))
                .with("actualType", format!("\"{}\"", schema_check::sql_type(field.data_type()))))
        }
        _ => Ok(()),
    }
}

/// Spark refuses reads whose only column is that of corrupt records.
pub(crate) fn check_not_only_corrupt(output: &SchemaRef, name: &str) -> Result<()> {
    match output.fields().iter().as_slice() {
        [field] if field.name() == name => {
            Err(SparkError::new("UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod golden;
