//! Decodes the columns of a large file in sets, each on a task of its own.
//!
//! A row group cannot be cut by rows without decompressing pages twice, and most files have
//! few pages; its columns have nothing in common. Rows and batches are the same whatever the
//! sets are.

use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions},
        datatypes::SchemaRef,
    },
    common::{Result, internal_datafusion_err},
    error::DataFusionError,
    execution::SendableRecordBatchStream,
    parquet::file::metadata::ParquetMetaData,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::{FutureExt, TryStreamExt, stream};

use crate::batch::read_ahead;

/// Below this many bytes a file is decoded by one task.
const SMALL_FILE: u64 = 1 << 20;

/// Columns `wanted` of a file (by root, each once) in sets of about the same work: one a core, at least one.
pub(super) fn column_sets(metadata: &ParquetMetaData, size: u64, wanted: &[usize]) -> Vec<Vec<usize>> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let most = if size < SMALL_FILE { 1 } else { cores.clamp(1, wanted.len().max(1)) };
    let mut by_work: Vec<(i64, usize)> = wanted.iter().map(|root| (work(metadata, *root), *root)).collect();
    by_work.sort_unstable_by_key(|(work, root)| (-work, *root));
    let mut sets = vec![(0, vec![]); most];
    for (work, root) in by_work {
        if let Some(lightest) = sets.iter_mut().min_by_key(|(sum, _)| *sum) {
            lightest.0 += work;
            lightest.1.push(root);
        }
    }
    sets.into_iter().map(|(_, roots)| roots).collect()
}

/// The work of a column: its values, and its bytes in words.
fn work(metadata: &ParquetMetaData, root: usize) -> i64 {
    let schema = metadata.file_metadata().schema_descr();
    let chunks = metadata.row_groups().iter().flat_map(|group| group.columns().iter().enumerate());
    let own = chunks.filter(|(leaf, _)| schema.get_column_root_idx(*leaf) == root);
    own.map(|(_, chunk)| chunk.num_values() + chunk.uncompressed_size() / 8).sum()
}

/// Some of the columns of a batch: where they stand in it, and their batches.
pub(super) struct ColumnSet {
    pub(super) positions: Vec<usize>,
    pub(super) rows: SendableRecordBatchStream,
}

/// The batches of `schema` that `sets`, of which there is one at least, make up together.
pub(super) fn together(schema: SchemaRef, mut sets: Vec<ColumnSet>) -> SendableRecordBatchStream {
    if sets.len() == 1 {
        return sets.remove(0).rows;
    }
    let of = SchemaRef::clone(&schema);
    // Tasks are started by the first poll, and not by who only opens the file.
    let rows = async move {
        // The first set is decoded where the stream is polled.
        for set in sets.iter_mut().skip(1) {
            let empty = RecordBatchStreamAdapter::new(set.rows.schema(), stream::empty());
            set.rows = read_ahead(std::mem::replace(&mut set.rows, Box::pin(empty)));
        }
        Ok::<_, DataFusionError>(stream::try_unfold(sets, move |mut sets| {
            let of = SchemaRef::clone(&of);
            async move {
                let batch = next(&of, &mut sets).await?;
                Ok(batch.map(|batch| (batch, sets)))
            }
        }))
    };
    Box::pin(RecordBatchStreamAdapter::new(schema, rows.into_stream().try_flatten()))
}

async fn next(schema: &SchemaRef, sets: &mut [ColumnSet]) -> Result<Option<RecordBatch>> {
    let mut columns: Vec<Option<ArrayRef>> = vec![None; schema.fields().len()];
    let (mut rows, mut ended) = (None, 0);
    for set in sets.iter_mut() {
        let Some(batch) = set.rows.try_next().await? else {
            ended += 1;
            continue;
        };
        rows = Some(batch.num_rows());
        for (position, column) in set.positions.iter().zip(batch.columns()) {
            if let Some(place) = columns.get_mut(*position) {
                *place = Some(ArrayRef::clone(column));
            }
        }
    }
    let Some(rows) = rows else { return Ok(None) };
    let lost = || internal_datafusion_err!("columns of a Parquet file end at different rows");
    let columns = columns.into_iter().collect::<Option<Vec<_>>>().filter(|_| ended == 0).ok_or_else(lost)?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(Some(RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)?))
}
