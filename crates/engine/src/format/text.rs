//! Text files: one string column, a row a line or a row a file.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, AsArray, RecordBatch, RecordBatchOptions},
        datatypes::{DataType, Field, Schema, SchemaRef},
    },
    execution::SendableRecordBatchStream,
};

use super::{
    FileEncoder, Options, ReadFormat, TextRows, WriteFormat,
    batches::batch_stream,
    bool_option,
    column_builder::ColumnBuilder,
    compression::Compression,
    csv::line_separator,
    input::{FileRef, LineBlocks, LineEnd},
    schema_check::{check_columns, sql_type},
    text_file::TextFile,
};
use crate::{Result, SparkError};

const BATCH_ROWS: usize = 32 * 1024;

/// The text reader of one set of options.
#[derive(Debug)]
pub(crate) struct TextReader {
    whole: bool,
    line_end: LineEnd,
}

impl TextReader {
    /// Checks `options`.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        check_encoding(options)?;
        let line_end = match options.get("lineSep") {
            None => LineEnd::Any,
            Some("") => return Err(SparkError::new("INVALID_LINE_SEPARATOR.EMPTY")),
            Some(text) => LineEnd::Custom(text.as_bytes().to_vec()),
        };
        Ok(Self { whole: bool_option(options, "wholetext", false)?, line_end })
    }
}

fn check_encoding(options: &Options) -> Result<()> {
    match options.get("encoding").or(options.get("charset")) {
        Some(name) if !["utf-8", "utf8"].contains(&name.to_ascii_lowercase().as_str()) => {
            Err(SparkError::unsupported(format!("text in the encoding {name}")))
        }
        _ => Ok(()),
    }
}

impl ReadFormat for TextReader {
    fn name(&self) -> &'static str {
        "Text"
    }

    fn check_schema(&self, schema: &SchemaRef) -> Result<()> {
        check_columns("Text", schema, false)
    }

    fn can_split(&self, file: &FileRef) -> bool {
        !self.whole && !file.is_compressed()
    }

    fn infer_schema(&self, _files: &[FileRef]) -> Result<SchemaRef> {
        Ok(Arc::new(Schema::new(vec![Field::new("value", DataType::Utf8, true)])))
    }

    fn open(
        &self,
        file: &FileRef,
        schema: &SchemaRef,
        projection: &[usize],
    ) -> Result<SendableRecordBatchStream> {
        check_single_string(schema)?;
        let output: SchemaRef = Arc::new(schema.project(projection)?);
        let columns = output.fields().len();
        let builder = ColumnBuilder::new(&DataType::Utf8, 1024)?;
        if self.whole {
            let whole = Whole { file: Some(file.clone()), output: Arc::clone(&output), builder };
            return Ok(batch_stream(output, file.clone(), whole));
        }
        let lines = Lines {
            lines: LineBlocks::open(file.clone(), self.line_end.clone())?,
            line_end: self.line_end.clone(),
            output: Arc::clone(&output),
            builder,
            columns,
            at: 0,
            done: false,
        };
        Ok(batch_stream(output, file.clone(), lines))
    }
}

/// Text has exactly one column, a string.
fn check_single_string(schema: &SchemaRef) -> Result<()> {
    match schema.fields().iter().as_slice() {
        [field] if *field.data_type() == DataType::Utf8 => Ok(()),
        [field] => Err(SparkError::new("UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE")
            .with("format", "Text")
            .with("columnName", format!("`{}`", field.name()))
            .with("columnType", format!("\"{}\"", sql_type(field.data_type())))),
        fields => {
            Err(SparkError::new("_LEGACY_ERROR_TEMP_1290").with("schemaSize", fields.len().to_string()))
        }
    }
}

struct Lines {
    lines: LineBlocks,
    line_end: LineEnd,
    output: SchemaRef,
    builder: ColumnBuilder,
    columns: usize,
    at: usize,
    done: bool,
}

impl Lines {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut rows = 0;
        while !self.done && rows < BATCH_ROWS {
            if self.at >= self.lines.block().len() {
                self.at = 0;
                if !self.lines.advance()? {
                    self.done = true;
                    break;
                }
            }
            let block = self.lines.block();
            let clean = std::str::from_utf8(block).is_ok();
            while self.at < block.len() && rows < BATCH_ROWS {
                let (end, next) = self.line_end.line(block, self.at);
                let line = block.get(self.at..end).unwrap_or_default();
                self.at = next;
                rows += 1;
                if self.columns == 0 {
                    continue;
                }
                if clean {
                    self.builder.push_bytes(line)?;
                } else {
                    self.builder.push_bytes(String::from_utf8_lossy(line).as_bytes())?;
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        batch(&self.output, &mut self.builder, rows).map(Some)
    }
}

fn batch(output: &SchemaRef, builder: &mut ColumnBuilder, rows: usize) -> Result<RecordBatch> {
    let columns = if output.fields().is_empty() { Vec::new() } else { vec![builder.finish()?] };
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(output), columns, &options)?)
}

impl Iterator for Lines {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.next_batch().transpose();
        self.done |= matches!(item, Some(Err(_)));
        item
    }
}

struct Whole {
    file: Option<FileRef>,
    output: SchemaRef,
    builder: ColumnBuilder,
}

impl Iterator for Whole {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let file = self.file.take()?;
        let mut read = || {
            let content = file.read_all()?;
            self.builder.push_bytes(String::from_utf8_lossy(&content).as_bytes())?;
            batch(&self.output, &mut self.builder, 1)
        };
        Some(read())
    }
}

/// The text writer of one set of options.
#[derive(Debug)]
pub(crate) struct TextWriter {
    line_end: String,
    compression: Compression,
}

impl TextWriter {
    /// Checks `options`.
    pub(crate) fn new(options: &Options) -> Result<Self> {
        check_encoding(options)?;
        let line_end = match options.get("lineSep") {
            Some("") => return Err(SparkError::new("INVALID_LINE_SEPARATOR.EMPTY")),
            other => other.unwrap_or("\n").to_string(),
        };
        // As CSV does: at most two characters are usual, any length is allowed here.
        if line_end.len() <= 2 {
            line_separator(&line_end)?;
        }
        Ok(Self { line_end, compression: Compression::of(options)? })
    }
}

impl WriteFormat for TextWriter {
    fn extension(&self) -> String {
        format!("txt{}", self.compression.suffix())
    }

    fn encoder(&self, schema: SchemaRef) -> Result<Box<dyn FileEncoder>> {
        check_single_string(&schema)?;
        let rows = LineRows { line_end: self.line_end.clone() };
        Ok(Box::new(TextFile::new(Arc::new(rows), self.compression, vec![])))
    }
}

/// LineRows of a single string column.
#[derive(Debug)]
struct LineRows {
    line_end: String,
}

impl TextRows for LineRows {
    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()> {
        let Some(column) = batch.columns().first().and_then(|c| c.as_string_opt::<i32>()) else {
            return Ok(());
        };
        for row in 0..column.len() {
            // A null row is an empty line.
            if column.is_valid(row) {
                out.extend_from_slice(column.value(row).as_bytes());
            }
            out.extend_from_slice(self.line_end.as_bytes());
        }
        Ok(())
    }
}
