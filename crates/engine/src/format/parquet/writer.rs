//! Writes Parquet as Spark lays it out: snappy by default, Spark's schema in the footer.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, PrimitiveArray, RecordBatch},
        datatypes::{
            DataType, DurationMicrosecondType, Field, Int32Type, Int64Type, IntervalUnit,
            IntervalYearMonthType, Schema, SchemaRef,
        },
    },
    parquet::{
        arrow::{ArrowWriter, arrow_writer::ArrowWriterOptions},
        basic::{Compression, GzipLevel, ZstdLevel},
        errors::ParquetError,
        file::{
            metadata::KeyValue,
            properties::{WriterProperties, WriterPropertiesBuilder},
        },
        schema::types::ColumnPath,
    },
};

use super::{ROW_METADATA, dictionary::too_many_values};
use crate::{
    Result, SparkError,
    format::{FileEncoder, Options, WriteFormat, schema_check::sql_type, spark_schema::schema_to_json},
};

/// The Parquet writer of one set of options.
#[derive(Debug)]
pub(crate) struct ParquetWriter {
    compression: Compression,
    extension: &'static str,
}

impl ParquetWriter {
    /// Checks `options`.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        let name = options.get("compression").or(options.get("parquet.compression")).unwrap_or("snappy");
        let (compression, extension) = match name.to_ascii_lowercase().as_str() {
            "none" | "uncompressed" => (Compression::UNCOMPRESSED, "parquet"),
            "snappy" => (Compression::SNAPPY, "snappy.parquet"),
            "gzip" => (Compression::GZIP(GzipLevel::default()), "gz.parquet"),
            "zstd" => (Compression::ZSTD(ZstdLevel::default()), "zstd.parquet"),
            "lz4_raw" => (Compression::LZ4_RAW, "lz4raw.parquet"),
            "brotli" => (Compression::BROTLI(Default::default()), "br.parquet"),
            "lz4" => {
                return Err(SparkError::unsupported("the Parquet codec lz4 (Hadoop's framing; use lz4_raw)"));
            }
            other => {
                return Err(SparkError::new("CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION")
                    .with("codecName", other)
                    .with(
                        "availableCodecs",
                        "brotli, uncompressed, lzo, snappy, lz4_raw, none, zstd, lz4, gzip",
                    ));
            }
        };
        Ok(Self { compression, extension })
    }
}

impl WriteFormat for ParquetWriter {
    fn extension(&self) -> String {
        self.extension.to_string()
    }

    fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn FileEncoder>> {
        for field in schema.fields() {
            if !writable(field.data_type(), false) {
                return Err(SparkError::new("UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE")
                    .with("format", "Parquet")
                    .with("columnName", format!("`{}`", field.name()))
                    .with("columnType", format!("\"{}\"", sql_type(field.data_type()))));
            }
        }
        let metadata = vec![
            KeyValue::new("org.apache.spark.version".to_string(), "4.3.0".to_string()),
            KeyValue::new(ROW_METADATA.to_string(), schema_to_json(&schema)),
        ];
        let properties = WriterProperties::builder()
            .set_compression(self.compression)
            .set_key_value_metadata(Some(metadata))
            .set_created_by(format!("millstream version {}", env!("CARGO_PKG_VERSION")))
            // Spark's names inside lists and maps.
            .set_coerce_types(true);
        let stored: SchemaRef =
            Arc::new(Schema::new(schema.fields().iter().map(stored_field).collect::<Vec<_>>()));
        Ok(Box::new(Encoder { stored, file: File::Empty(Box::new(properties)) }))
    }
}

fn writable(data_type: &DataType, nested: bool) -> bool {
    match data_type {
        DataType::Null | DataType::Interval(IntervalUnit::MonthDayNano) => false,
        // Stored as integers, which is only done at the top level.
        DataType::Interval(_) | DataType::Duration(_) => !nested,
        DataType::Struct(fields) => {
            !fields.is_empty() && fields.iter().all(|f| writable(f.data_type(), true))
        }
        DataType::List(item) => writable(item.data_type(), true),
        DataType::Map(entries, _) => writable(entries.data_type(), true),
        _ => true,
    }
}

fn stored_field(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Interval(IntervalUnit::YearMonth) => DataType::Int32,
        DataType::Duration(_) => DataType::Int64,
        other => other.clone(),
    };
    // Spark's own field metadata is in its JSON.
    Arc::new(Field::new(field.name(), data_type, field.is_nullable()))
}

struct Encoder {
    stored: SchemaRef,
    file: File,
}

/// What the first rows are decides how the file is written.
enum File {
    Empty(Box<WriterPropertiesBuilder>),
    Started(Box<ArrowWriter<Vec<u8>>>),
}

impl Encoder {
    /// The file, begun for `rows` if nothing is in it.
    fn writer(&mut self, rows: &RecordBatch) -> Result<&mut ArrowWriter<Vec<u8>>> {
        if let File::Empty(properties) = &self.file {
            let mut properties = properties.as_ref().clone();
            for column in too_many_values(rows) {
                let path = ColumnPath::new(vec![self.stored.field(column).name().clone()]);
                properties = properties.set_column_dictionary_enabled(path, false);
            }
            self.file = File::Started(Box::new(started(properties, &self.stored)?));
        }
        match &mut self.file {
            File::Started(writer) => Ok(writer),
            File::Empty(_) => Err(SparkError::internal("a Parquet file was not begun")),
        }
    }
}

fn started(properties: WriterPropertiesBuilder, stored: &SchemaRef) -> Result<ArrowWriter<Vec<u8>>> {
    let options =
        ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(stored), options).map_err(failed)
}

fn failed(error: ParquetError) -> SparkError {
    SparkError::internal("cannot write Parquet").caused_by(error)
}

impl FileEncoder for Encoder {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let columns: Vec<ArrayRef> = batch
            .columns()
            .iter()
            .map(|column| match column.data_type() {
                DataType::Interval(IntervalUnit::YearMonth) => {
                    let values: PrimitiveArray<Int32Type> =
                        column.as_primitive::<IntervalYearMonthType>().reinterpret_cast();
                    Arc::new(values) as ArrayRef
                }
                DataType::Duration(_) => {
                    let values: PrimitiveArray<Int64Type> =
                        column.as_primitive::<DurationMicrosecondType>().reinterpret_cast();
                    Arc::new(values)
                }
                _ => Arc::clone(column),
            })
            .collect();
        let batch = RecordBatch::try_new(Arc::clone(&self.stored), columns)?;
        self.writer(&batch)?.write(&batch).map_err(failed)
    }

    fn len(&self) -> usize {
        match &self.file {
            File::Empty(_) => 0,
            File::Started(writer) => writer.bytes_written() + writer.in_progress_size(),
        }
    }

    fn finish(self: Box<Self>) -> Result<Vec<Vec<u8>>> {
        let writer = match self.file {
            File::Empty(properties) => started(*properties, &self.stored)?,
            File::Started(writer) => *writer,
        };
        writer.into_inner().map(|file| vec![file]).map_err(failed)
    }
}
