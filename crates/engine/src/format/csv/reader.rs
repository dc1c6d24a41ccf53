//! Reads CSV files, line by line or as multi-line records.

use std::sync::Arc;

use datafusion::{
    arrow::{array::RecordBatch, datatypes::SchemaRef},
    execution::SendableRecordBatchStream,
};

use super::{
    decoder::{BATCH_ROWS, Decoder},
    infer::infer,
    options::CsvReadOptions,
};
use crate::{
    Result,
    format::{
        Options, ReadFormat,
        batches::batch_stream,
        check_not_only_corrupt,
        input::{FileRef, LineBlocks, LineEnd, file_uri},
        options::refuse_sampling,
        schema_check::check_columns,
    },
    time::Zone,
};

/// The CSV reader of one set of options.
#[derive(Debug)]
pub(crate) struct CsvReader {
    options: Arc<CsvReadOptions>,
    given: Options,
}

impl CsvReader {
    /// Checks `options`; `zone` is the session's.
    pub(crate) fn new(options: &Options, zone: Zone) -> Result<Self> {
        Ok(Self { options: Arc::new(CsvReadOptions::new(options, zone)?), given: options.clone() })
    }
}

impl ReadFormat for CsvReader {
    fn name(&self) -> &'static str {
        "CSV"
    }

    fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        check_columns("CSV", schema, false)?;
        crate::format::check_corrupt_column(schema, &self.options.corrupt_column)
    }

    fn can_split(&self, file: &FileRef) -> bool {
        !self.options.multi_line && !file.is_compressed()
    }

    fn infer_schema(&self, files: &[FileRef]) -> Result<SchemaRef> {
        if self.options.infer_schema {
            refuse_sampling(&self.given)?;
        }
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
        // A guess of 8 bytes a field keeps small files from reserving room for large ones.
        let bytes = file.range.as_ref().map_or(file.size, |r| r.end - r.start);
        let capacity = usize::try_from(bytes).unwrap_or(usize::MAX) / (8 * schema.fields().len().max(1)) + 16;
        let decoder = Decoder::new(Arc::clone(&self.options), schema, projection, capacity)?;
        if self.options.multi_line {
            let records =
                Records { file: file.clone(), schema: Arc::clone(schema), decoder, state: State::Closed };
            return Ok(batch_stream(output, file.clone(), records));
        }
        let lines = LineBlocks::open(file.clone(), self.options.line_end.clone())?;
        let header = self.options.header && file.is_start();
        let lines = Lines {
            line_end: self.options.line_end.clone(),
            lines,
            decoder,
            at: 0,
            header,
            schema: Arc::clone(schema),
            clean: true,
            done: false,
        };
        Ok(batch_stream(output, file.clone(), lines))
    }
}

/// Batches of a file read line by line.
struct Lines {
    lines: LineBlocks,
    line_end: LineEnd,
    decoder: Decoder,
    /// Start of the next line in the current block.
    at: usize,
    /// The header is still to come.
    header: bool,
    schema: SchemaRef,
    /// The current block is valid UTF-8.
    clean: bool,
    done: bool,
}

impl Lines {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        while !self.done {
            if self.at >= self.lines.block().len() {
                if !self.lines.advance()? {
                    self.done = true;
                    break;
                }
                self.at = 0;
                self.clean = std::str::from_utf8(self.lines.block()).is_ok();
            }
            if self.header {
                self.skip_header()?;
                continue;
            }
            let block = self.lines.block();
            while self.at < block.len() && self.decoder.rows() < BATCH_ROWS {
                if self.clean {
                    let many = self.decoder.plain_lines(block.get(self.at..).unwrap_or_default())?;
                    self.at += many;
                    if many > 0 {
                        continue;
                    }
                }
                let (end, next) = self.line_end.line(block, self.at);
                let (text, length) = (block.get(self.at..).unwrap_or_default(), end - self.at);
                self.at = next;
                if self.clean {
                    self.decoder.line(text, length)?;
                } else {
                    // Bytes that are no UTF-8 become U+FFFD, as in Java's decoding.
                    let line = String::from_utf8_lossy(text.get(..length).unwrap_or_default());
                    self.decoder.line(line.as_bytes(), line.len())?;
                }
            }
            if self.decoder.rows() >= BATCH_ROWS {
                return self.decoder.flush().map(Some);
            }
        }
        if self.decoder.rows() > 0 { self.decoder.flush().map(Some) } else { Ok(None) }
    }

    /// The header is the first line that is neither blank nor a comment.
    fn skip_header(&mut self) -> Result<()> {
        let block = self.lines.block();
        while self.at < block.len() && self.header {
            let (end, next) = self.line_end.line(block, self.at);
            let line = block.get(self.at..end).unwrap_or_default();
            self.at = next;
            if !self.decoder.is_skipped(line) {
                self.header = false;
                let file = file_uri(&self.lines.file().path);
                self.decoder.check_header(String::from_utf8_lossy(line).as_bytes(), &file, &self.schema)?;
            }
        }
        Ok(())
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

/// Batches of a file whose records may span lines; the file is held in memory.
struct Records {
    file: FileRef,
    schema: SchemaRef,
    decoder: Decoder,
    state: State,
}

enum State {
    Closed,
    Open { content: Vec<u8>, at: usize },
    Done,
}

impl Records {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        if let State::Closed = self.state {
            let content = self.file.read_all()?;
            let content = match String::from_utf8(content) {
                Ok(text) => text.into_bytes(),
                Err(e) => String::from_utf8_lossy(e.as_bytes()).into_owned().into_bytes(),
            };
            let (content, line_break) =
                if self.decoder.detects_line_end() { one_line_end(content) } else { (content, "\n") };
            self.decoder.set_line_break(line_break);
            let mut at = self.decoder.skip_comments(&content, 0);
            if self.decoder.has_header() {
                at = self.decoder.header_record(&content, at, &file_uri(&self.file.path), &self.schema)?;
            }
            self.state = State::Open { content, at };
        }
        if let State::Open { content, at } = &mut self.state {
            while self.decoder.rows() < BATCH_ROWS {
                *at = self.decoder.skip_comments(content, *at);
                if *at >= content.len() {
                    break;
                }
                *at = self.decoder.record(content, *at)?;
            }
            if self.decoder.rows() > 0 {
                return self.decoder.flush().map(Some);
            }
        }
        self.state = State::Done;
        Ok(None)
    }
}

impl Iterator for Records {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if let State::Done = self.state {
            return None;
        }
        let item = self.next_batch().transpose();
        if matches!(item, Some(Err(_))) {
            self.state = State::Done;
        }
        item
    }
}

/// Spark detects the line end by its first occurrence and turns it into `\n` everywhere,
/// inside quotes too. Returns what it was.
pub(super) fn one_line_end(content: Vec<u8>) -> (Vec<u8>, &'static str) {
    let Some(first) = memchr::memchr2(b'\n', b'\r', &content) else { return (content, "\n") };
    if content.get(first) == Some(&b'\n') {
        return (content, "\n");
    }
    let crlf = content.get(first + 1) == Some(&b'\n');
    let mut out = Vec::with_capacity(content.len());
    let mut bytes = content.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' if !crlf => out.push(b'\n'),
            b'\r' if bytes.peek() == Some(&b'\n') => {
                bytes.next();
                out.push(b'\n');
            }
            other => out.push(other),
        }
    }
    (out, if crlf { "\r\n" } else { "\r" })
}
