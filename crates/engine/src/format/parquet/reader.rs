//! Reads Parquet files: columns by name (without case), missing ones null.

use std::{fs::File, sync::Arc};

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array},
        datatypes::{Field, Schema, SchemaRef},
    },
    execution::SendableRecordBatchStream,
    parquet::arrow::{
        ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
            ParquetRecordBatchReaderBuilder,
        },
    },
};

use super::{
    ROW_METADATA,
    adapt::{adapt, spark_type},
    column_sets::{ColumnSet, column_sets, together},
};
use crate::{
    Result, SparkError,
    format::{
        Options, ReadFormat,
        batches::batch_stream,
        bool_option,
        input::{FileRef, file_uri},
        schema_check::sql_type,
        spark_schema::schema_from_json,
    },
};

const BATCH_ROWS: usize = 16 * 1024;

/// The Parquet reader of one set of options.
#[derive(Debug)]
pub(crate) struct ParquetReader {
    merge_schema: bool,
}

impl ParquetReader {
    /// Checks `options`.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        for name in ["datetimeRebaseMode", "int96RebaseMode"] {
            if let Some(mode) = options.get(name).filter(|m| m.eq_ignore_ascii_case("LEGACY")) {
                return Err(SparkError::unsupported(format!(
                    "the Parquet option `{name}` with the value {mode}"
                )));
            }
        }
        Ok(Self { merge_schema: bool_option(options, "mergeSchema", false)? })
    }
}

fn opened(file: &FileRef) -> Result<File> {
    File::open(&file.path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            SparkError::new("FAILED_READ_FILE.FILE_NOT_EXIST").with("path", file_uri(&file.path)).caused_by(e)
        }
        _ => file.failed(e),
    })
}

fn metadata(file: &FileRef) -> Result<ArrowReaderMetadata> {
    let handle = opened(file)?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    ArrowReaderMetadata::load(&handle, options).map_err(|e| {
        SparkError::new("FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER")
            .with("path", file_uri(&file.path))
            .caused_by(e)
    })
}

fn schema_of(file: &FileRef) -> Result<Schema> {
    let metadata = metadata(file)?;
    let keys = metadata.metadata().file_metadata().key_value_metadata();
    let spark =
        keys.and_then(|k| k.iter().find(|kv| kv.key == ROW_METADATA)).and_then(|kv| kv.value.as_deref());
    if let Some(schema) = spark.and_then(schema_from_json) {
        return Ok(schema);
    }
    let fields = metadata
        .schema()
        .fields()
        .iter()
        .map(|f| Ok(Field::new(f.name(), spark_type(f.data_type())?, true)))
        .collect::<Result<Vec<_>>>()?;
    Ok(Schema::new(fields))
}

impl ReadFormat for ParquetReader {
    fn name(&self) -> &'static str {
        "Parquet"
    }

    fn check_schema(&self, _schema: &SchemaRef) -> Result<()> {
        Ok(())
    }

    fn can_split(&self, _file: &FileRef) -> bool {
        false
    }

    fn infer_schema(&self, files: &[FileRef]) -> Result<SchemaRef> {
        let Some((first, rest)) = files.split_first() else {
            return Err(SparkError::new("UNABLE_TO_INFER_SCHEMA").with("format", self.name()));
        };
        let mut schema = schema_of(first)?;
        if self.merge_schema {
            let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
            for file in rest {
                for field in schema_of(file)?.fields() {
                    match fields.iter().find(|f| f.name().eq_ignore_ascii_case(field.name())) {
                        None => fields.push(Arc::clone(field)),
                        Some(known) if known.data_type() == field.data_type() => {}
                        Some(known) => {
                            return Err(SparkError::new("CANNOT_MERGE_SCHEMAS")
                                .with("left", sql_type(known.data_type()))
                                .with("right", sql_type(field.data_type())));
                        }
                    }
                }
            }
            schema = Schema::new(fields);
        }
        Ok(Arc::new(schema))
    }

    fn open(
        &self,
        file: &FileRef,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<SendableRecordBatchStream> {
        let output: SchemaRef = Arc::new(schema.project(projection)?);
        let metadata = metadata(file)?;
        // Position in the file of each wanted column; the exact name wins.
        let own = metadata.schema().fields();
        let position = |name: &str| {
            let exact = own.iter().position(|f| f.name() == name);
            exact.or_else(|| own.iter().position(|f| f.name().eq_ignore_ascii_case(name)))
        };
        let wanted: Vec<Option<usize>> = output.fields().iter().map(|f| position(f.name())).collect();
        let mut present: Vec<usize> = wanted.iter().copied().flatten().collect();
        present.sort_unstable();
        present.dedup();
        let sets = column_sets(metadata.metadata(), file.size, &present);
        let sets = sets.into_iter().enumerate().map(|(number, roots)| {
            // What the file lacks comes with the first set.
            let own = |at: &usize| wanted[*at].map_or(number == 0, |root| roots.contains(&root));
            let positions: Vec<usize> = (0..wanted.len()).filter(own).collect();
            let output: SchemaRef = Arc::new(output.project(&positions)?);
            let wanted: Vec<_> = positions.iter().map(|at| wanted[*at]).collect();
            // Each has a place in the file of its own.
            let rows = Rows::open(file, opened(file)?, &metadata, &wanted, &output)?;
            Ok(ColumnSet { positions, rows: batch_stream(output, file.clone(), rows) })
        });
        Ok(together(Arc::clone(&output), sets.collect::<Result<Vec<_>>>()?))
    }
}

struct Rows {
    reader: ParquetRecordBatchReader,
    /// For each output column its position in the reader's batches.
    columns: Vec<Option<usize>>,
    output: SchemaRef,
    uri: String,
}

impl Iterator for Rows {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.reader.next()? {
            Ok(batch) => batch,
            Err(e) => return Some(Err(e.into())),
        };
        Some(self.adapted(&batch))
    }
}

impl Rows {
    /// The columns `wanted` of a file, which are the fields of `output`; `None` is one of nulls.
    fn open(
        file: &FileRef,
        handle: File,
        metadata: &ArrowReaderMetadata,
        wanted: &[Option<usize>],
        output: &SchemaRef,
    ) -> Result<Self> {
        // The reader's columns stand in file order.
        let mut order: Vec<usize> = wanted.iter().copied().flatten().collect();
        order.sort_unstable();
        order.dedup();
        let mask = ProjectionMask::roots(metadata.parquet_schema(), order.iter().copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(handle, metadata.clone())
            .with_batch_size(BATCH_ROWS)
            .with_projection(mask)
            .build()
            .map_err(|e| file.failed(e))?;
        let columns = wanted.iter().map(|w| w.and_then(|p| order.iter().position(|o| *o == p))).collect();
        Ok(Self { reader, columns, output: Arc::clone(output), uri: file_uri(&file.path) })
    }

    fn adapted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self
            .columns
            .iter()
            .zip(self.output.fields())
            .map(|(position, field)| -> Result<ArrayRef> {
                match position {
                    Some(p) => adapt(batch.column(*p), field, &self.uri),
                    None => Ok(new_null_array(field.data_type(), batch.num_rows())),
                }
            })
            .collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.output), columns, &options)?)
    }
}
