//! CSV with Spark's semantics.

pub(crate) mod convert;
mod decoder;
mod infer;
mod options;
mod reader;
mod tokenizer;
mod writer;

pub(crate) use options::{DEFAULT_TIMESTAMP_FORMAT, ValueOptions, line_separator};
pub(crate) use reader::CsvReader;
pub(crate) use writer::CsvWriter;

#[cfg(test)]
mod tests;
