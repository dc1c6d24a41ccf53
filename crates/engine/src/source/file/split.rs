//! Pieces of input files that are read by one task.
//!
//! Large files of line formats are cut into byte ranges, small files are put together.
//! Cuts depend on sizes alone, so that a batch has the same splits on every machine.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions},
        datatypes::{Field, Schema, SchemaRef},
    },
    common::ScalarValue,
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    physical_plan::{EmptyRecordBatchStream, stream::RecordBatchStreamAdapter},
};
use futures::{StreamExt, TryStreamExt};

use super::{
    listing::ListedFile,
    partitions::{constant, values_for},
};
use crate::{
    Result, SparkError,
    format::{FileRef, Options, ReadFormatRef, bool_option},
    source::Split,
    time::Zone,
};

/// Bytes of small files put together, and of a range of a large file.
const SPLIT_BYTES: u64 = 4 << 20;
/// Bytes of a range of a file that is not that large: an eighth of it, but no less than this.
const LEAST_SPLIT_BYTES: u64 = 1 << 20;
/// Files put together at most.
const SPLIT_FILES: usize = 256;

/// Which failures of single files are passed over: `ignoreMissingFiles`, `ignoreCorruptFiles`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tolerance {
    missing: bool,
    corrupt: bool,
}

impl Tolerance {
    /// # Errors
    /// Values that are neither true nor false.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        let flag = |name: &str| bool_option(options, name, false);
        Ok(Self { missing: flag("ignoreMissingFiles")?, corrupt: flag("ignoreCorruptFiles")? })
    }

    /// Whether the rest of a file is skipped after `error`. A malformed record is no damage of the
    /// file: `FAILFAST` stays an error, as in Spark.
    fn skips(self, error: &SparkError) -> bool {
        let malformed = |e: &SparkError| e.class().starts_with("MALFORMED_");
        match error.class() {
            "FAILED_READ_FILE.FILE_NOT_EXIST" => self.missing,
            class if class.starts_with("FAILED_READ_FILE") => {
                let cause = error.cause().and_then(|cause| cause.downcast_ref::<SparkError>());
                self.corrupt && !cause.is_some_and(malformed)
            }
            _ => false,
        }
    }

    /// `rows` up to the first failure that is passed over.
    fn apply(self, path: &Path, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        if !self.missing && !self.corrupt {
            return rows;
        }
        let (schema, path) = (rows.schema(), path.to_path_buf());
        let kept = rows.map(|batch| batch.map_err(SparkError::from)).take_while(move |batch| {
            let skipped = batch.as_ref().err().filter(|error| self.skips(error));
            if let Some(error) = skipped {
                tracing::warn!(path = %path.display(), %error, "the rest of a file is skipped");
            }
            futures::future::ready(skipped.is_none())
        });
        Box::pin(RecordBatchStreamAdapter::new(schema, kept.map_err(DataFusionError::from)))
    }
}

/// One or more pieces, read one after the other.
#[derive(Debug)]
pub(crate) struct FileSplit {
    format: ReadFormatRef,
    schema: SchemaRef,
    pieces: Vec<Piece>,
    tolerance: Tolerance,
}

/// A file or range with the values of its partition columns.
#[derive(Debug, Clone)]
struct Piece {
    file: FileRef,
    /// By column of the schema: the value, where it comes from the path.
    constants: Arc<Vec<Option<ScalarValue>>>,
}

/// Cuts and groups `files`, keeping their order.
///
/// # Errors
/// Partition directories whose values do not fit the schema.
pub(crate) fn splits(
    format: &ReadFormatRef,
    schema: &SchemaRef,
    files: &[ListedFile],
    zone: Zone,
    tolerance: Tolerance,
) -> Result<Vec<Arc<FileSplit>>> {
    let mut out: Vec<Arc<FileSplit>> = Vec::new();
    let mut group: Vec<Piece> = Vec::new();
    let mut group_bytes = 0;
    let finish = |pieces: Vec<Piece>| {
        Arc::new(FileSplit { format: Arc::clone(format), schema: Arc::clone(schema), pieces, tolerance })
    };
    for listed in files {
        let piece =
            Piece { file: listed.file.clone(), constants: Arc::new(values_for(schema, listed, zone)?) };
        let size = listed.file.size;
        let range = (size / 8).clamp(LEAST_SPLIT_BYTES, SPLIT_BYTES);
        // The last range takes a short rest with it.
        let whole = range + range / 2;
        if size > whole && format.can_split(&listed.file) {
            if !group.is_empty() {
                out.push(finish(std::mem::take(&mut group)));
                group_bytes = 0;
            }
            let mut start = 0;
            while start < size {
                let end = if size - start <= whole { size } else { start + range };
                let file = FileRef { range: Some(start..end), ..piece.file.clone() };
                out.push(finish(vec![Piece { file, constants: Arc::clone(&piece.constants) }]));
                start = end;
            }
            continue;
        }
        if !group.is_empty() && (group_bytes + size > SPLIT_BYTES || group.len() >= SPLIT_FILES) {
            out.push(finish(std::mem::take(&mut group)));
            group_bytes = 0;
        }
        group_bytes += size;
        group.push(piece);
    }
    if !group.is_empty() {
        out.push(finish(group));
    }
    Ok(out)
}

impl FileSplit {
    /// A stream over the rows of all pieces, columns `projection` of the schema.
    pub(crate) fn stream(&self, projection: &[usize]) -> Result<SendableRecordBatchStream> {
        let output: SchemaRef = Arc::new(self.schema.project(projection)?);
        if let [piece] = self.pieces.as_slice() {
            return self.open_piece(piece, projection, &output);
        }
        let (format, schema, tolerance) =
            (Arc::clone(&self.format), Arc::clone(&self.schema), self.tolerance);
        let projection = projection.to_vec();
        let stream_schema = Arc::clone(&output);
        let streams = self.pieces.clone().into_iter().map(move |piece| {
            let (format, schema) = (Arc::clone(&format), Arc::clone(&schema));
            let split = FileSplit { format, schema, pieces: Vec::new(), tolerance };
            split.open_piece(&piece, &projection, &stream_schema).map_err(DataFusionError::from)
        });
        let batches = futures::stream::iter(streams).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(output, batches)))
    }

    /// The rows of a file; the failures passed over end them.
    fn open_file(
        &self,
        file: &FileRef,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<SendableRecordBatchStream> {
        match self.format.open(file, schema, projection) {
            Ok(rows) => Ok(self.tolerance.apply(&file.path, rows)),
            Err(error) if self.tolerance.skips(&error) => {
                tracing::warn!(path = %file.path.display(), %error, "a file is skipped");
                Ok(Box::pin(EmptyRecordBatchStream::new(Arc::new(schema.project(projection)?))))
            }
            Err(error) => Err(error),
        }
    }

    fn open_piece(
        &self,
        piece: &Piece,
        projection: &[usize],
        output: &SchemaRef,
    ) -> Result<SendableRecordBatchStream> {
        let is_constant = |index: usize| piece.constants.get(index).is_some_and(Option::is_some);
        if !(0..self.schema.fields().len()).any(is_constant) {
            return self.open_file(&piece.file, &self.schema, projection);
        }
        // The file itself lacks the partition columns.
        let mut position = vec![0; self.schema.fields().len()];
        let mut fields: Vec<Arc<Field>> = Vec::new();
        for (index, field) in self.schema.fields().iter().enumerate() {
            if !is_constant(index) {
                if let Some(p) = position.get_mut(index) {
                    *p = fields.len();
                }
                fields.push(Arc::clone(field));
            }
        }
        let file_schema: SchemaRef = Arc::new(Schema::new(fields));
        let wanted: Vec<usize> = projection.iter().copied().filter(|i| !is_constant(*i)).collect();
        let from_file: Vec<usize> = wanted.iter().filter_map(|i| position.get(*i).copied()).collect();
        let rows = self.open_file(&piece.file, &file_schema, &from_file)?;
        let constants: Vec<Option<ScalarValue>> =
            projection.iter().map(|i| piece.constants.get(*i).cloned().flatten()).collect();
        let schema = Arc::clone(output);
        let batches = rows.map(move |batch| {
            let batch = batch?;
            let mut read = batch.columns().iter();
            let mut columns: Vec<ArrayRef> = Vec::with_capacity(constants.len());
            for value in &constants {
                match value {
                    Some(value) => columns.push(constant(value, batch.num_rows())?),
                    None => columns.extend(read.next().cloned()),
                }
            }
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            Ok(RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(output), batches)))
    }
}

#[async_trait]
impl Split for FileSplit {
    async fn open(&self, projection: &[usize]) -> Result<SendableRecordBatchStream> {
        self.stream(projection)
    }

    fn size_hint(&self) -> u64 {
        self.pieces.iter().map(|p| p.file.range.as_ref().map_or(p.file.size, |r| r.end - r.start)).sum()
    }
}
