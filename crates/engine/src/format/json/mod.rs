//! JSON with Spark's semantics: one document a line, or whole files with `multiLine`.

mod cursor;
mod decoder;
mod infer;
mod options;
mod reader;
mod writer;

pub(crate) use reader::JsonReader;
pub(crate) use writer::JsonWriter;
