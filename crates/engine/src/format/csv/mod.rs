//! CSV with Spark's semantics.

mod convert;
mod decoder;
mod infer;
mod options;
mod reader;
mod tokenizer;
mod writer;

pub(crate) use options::line_separator;
pub(crate) use reader::CsvReader;
pub(crate) use writer::CsvWriter;

#[cfg(test)]
mod tests;
