//! Reads JSON files.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};

use super::{
    decoder::{BATCH_ROWS, Decoder},
    infer::infer,
    options::JsonReadOptions,
};
use crate::{
    Result,
    format::{
        Options, ReadFormat,
        batches::batch_stream,
        check_corrupt_column, check_not_only_corrupt,
        input::{FileRef, LineBlocks},
        options::refuse_sampling,
        schema_check::check_columns,
    },
    time::Zone,
};

/// The JSON reader of one set of options.
#[derive(Debug)]
pub(crate) struct JsonReader {
    options: Arc<JsonReadOptions>,
    given: Options,
}

impl JsonReader {
    /// Checks `options`; `zone` is the session's.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        Ok(Self { options: Arc::new(JsonReadOptions::new(options, zone)?), given: options.clone() })
    }
}

impl ReadFormat for JsonReader {
    fn name(&self) -> &'static str {
        "JSON"
    }

    fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        check_columns("JSON", schema, true)?;
        check_corrupt_column(schema, &self.options.corrupt_column)
    }

    fn can_split(&self, file: &FileRef) -> bool {
        !self.options.multi_line && !file.is_compressed()
    }

    fn infer_schema(&self, files: &[FileRef]) -> Result<SchemaRef> {
        refuse_sampling(&self.given)?;
        infer(&self.options, files)
    }

    fn open(
        &self,
        file: &FileRef,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<SendableRecordBatchStream> {
        let output: SchemaRef = Arc::new(schema.project(projection)?);
        check_not_only_corrupt(&output, &self.options.corrupt_column)?;
        let decoder = Decoder::new(Arc::clone(&self.options), schema, projection)?;
        if self.options.multi_line {
            let document = Document { file: Some(file.clone()), decoder };
            return Ok(batch_stream(output, file.clone(), document));
        }
        let lines = LineBlocks::open(file.clone(), self.options.line_end.clone())?;
        let lines = Lines { options: Arc::clone(&self.options), lines, decoder, at: 0, done: false };
        Ok(batch_stream(output, file.clone(), lines))
    }
}

struct Lines {
    options: Arc<JsonReadOptions>,
    lines: LineBlocks,
    decoder: Decoder,
    at: usize,
    done: bool,
}

impl Lines {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while !self.done && self.decoder.rows() < BATCH_ROWS {
            if self.at >= self.lines.block().len() {
                self.at = 0;
                if !self.lines.advance()? {
                    self.done = true;
                    break;
                }
            }
            let block = self.lines.block();
            let clean = std::str::from_utf8(block).is_ok();
            while self.at < block.len() && self.decoder.rows() < BATCH_ROWS {
                let (end, next) = self.options.line_end.line(block, self.at);
                let line = block.get(self.at..end).unwrap_or_default();
                self.at = next;
                if clean || std::str::from_utf8(line).is_ok() {
                    self.decoder.document(line, true)?;
                } else {
                    self.decoder.document(String::from_utf8_lossy(line).as_bytes(), false)?;
                }
            }
        }
        if self.decoder.rows() > 0 { self.decoder.flush().map(Some) } else { Ok(None) }
    }
}

impl Iterator for Lines {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_batch().transpose();
        self.done |= matches!(item, Some(Err(_)));
        item
    }
}

/// A whole file as one document.
struct Document {
    file: Option<FileRef>,
    decoder: Decoder,
}

impl Iterator for Document {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file.take()?;
        let mut read = || {
            let content = file.read_all()?;
            match String::from_utf8(content) {
                Ok(text) => self.decoder.document(text.as_bytes(), true)?,
                Err(e) => self.decoder.document(String::from_utf8_lossy(e.as_bytes()).as_bytes(), false)?,
            }
            self.decoder.flush()
        };
        match read() {
            Ok(batch) if batch.num_rows() == 0 => None,
            other => Some(other),
        }
    }
}
