//! Parquet through Arrow's reader and writer, with Spark's types and metadata.

mod adapt;
mod column_sets;
mod dictionary;
mod reader;
mod writer;

pub(crate) use reader::ParquetReader;
pub(crate) use writer::ParquetWriter;

/// Footer key under which Spark keeps the schema as JSON.
const ROW_METADATA: &str = "org.apache.spark.sql.parquet.row.metadata";

#[cfg(test)]
mod tests;
