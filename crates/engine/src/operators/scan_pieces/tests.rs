use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{AsArray, Int64Array},
        datatypes::{DataType, Field, Int64Type, Schema},
    },
    physical_plan::stream::RecordBatchStreamAdapter,
};
use futures::StreamExt;

use super::*;
use crate::{
    SparkError,
    query::{BatchId, Unread, Watermarks},
    sink::OutputMode,
    time::Millis,
};

/// A piece of some rows of one number; it counts how often it is opened.
#[derive(Debug, Default)]
struct Numbers {
    number: i64,
    rows: usize,
    opened: AtomicUsize,
    fails: bool,
}

#[async_trait]
impl Split for Numbers {
    async fn open(&self, _projection: &[usize]) -> crate::Result<SendableRecordBatchStream> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        if self.fails {
            return Err(SparkError::internal("gone"));
        }
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
        let column = Arc::new(Int64Array::from(vec![self.number]));
        let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
        let rows = stream::iter(vec![batch; self.rows]).map(Ok);
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
    }

    fn size_hint(&self) -> u64 {
        100
    }
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Arc<Numbers>> {
    range.map(|number| Arc::new(Numbers { number, rows: 9, ..Numbers::default() })).collect()
}

fn splits(pieces: &[Arc<Numbers>]) -> Vec<Arc<dyn Split>> {
    pieces.iter().map(|piece| Arc::clone(piece) as Arc<dyn Split>).collect()
}

fn context(input: BatchInput) -> Arc<BatchContext> {
    Arc::new(BatchContext {
        batch_id: BatchId(0),
        timestamp: Millis(0),
        output_mode: OutputMode::Append,
        watermarks: Watermarks::default(),
        inputs: vec![input],
        event_times: vec![],
        unread: Unread::default(),
    })
}

async fn read(context: &Arc<BatchContext>, pieces: fn(&BatchInput, &[usize]) -> Pieces) -> Result<Vec<i64>> {
    let pieces = pieces(&context.inputs[0], &[0]);
    let batches: Vec<_> = pieces.in_order(Arc::clone(context), 0).try_collect().await?;
    Ok(batches.iter().map(|b| b.column(0).as_primitive::<Int64Type>().value(0)).collect())
}

fn opened(pieces: &[Arc<Numbers>]) -> Vec<usize> {
    pieces.iter().map(|piece| piece.opened.load(Ordering::SeqCst)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_pieces_of_the_next_batch_are_open_when_one_ends() {
    let (now, next) = (numbers(0..5), numbers(5..30));
    let first = context(BatchInput { splits: splits(&now), upcoming: splits(&next), ..Default::default() });
    let expected: Vec<i64> = (0..5).flat_map(|n| [n; 9]).collect();
    assert_eq!(read(&first, Pieces::of).await.unwrap(), expected);
    let open = first.inputs[0].next_open.take();
    let ahead = open.len();
    assert!(ahead >= 3, "{ahead}");
    assert_eq!(opened(&next), [vec![1; ahead], vec![0; next.len() - ahead]].concat());

    let second = BatchInput { splits: splits(&next), ..Default::default() };
    second.open.leave(open);
    let expected: Vec<i64> = (5..30).flat_map(|n| [n; 9]).collect();
    assert_eq!(read(&context(second), Pieces::of).await.unwrap(), expected);
    assert_eq!(opened(&next), vec![1; next.len()], "none is read twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_scan_leaves_alone_what_is_open() {
    let (now, next) = (numbers(0..2), numbers(2..4));
    let both = context(BatchInput { splits: splits(&now), upcoming: splits(&next), ..Default::default() });
    read(&both, Pieces::of).await.unwrap();
    assert_eq!(read(&both, Pieces::again).await.unwrap().len(), 18);
    assert_eq!(both.inputs[0].next_open.take().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_piece_that_does_not_open_fails_in_its_own_batch() {
    let (now, gone) = (numbers(0..1), vec![Arc::new(Numbers { fails: true, ..Numbers::default() })]);
    let first = context(BatchInput { splits: splits(&now), upcoming: splits(&gone), ..Default::default() });
    assert_eq!(read(&first, Pieces::of).await.unwrap().len(), 9);
    let open = first.inputs[0].next_open.take();
    assert!(open.is_empty());
    let second = context(BatchInput { splits: splits(&gone), ..Default::default() });
    assert!(read(&second, Pieces::of).await.unwrap_err().to_string().contains("gone"));
}
