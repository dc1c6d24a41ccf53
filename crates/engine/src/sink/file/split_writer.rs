//! Encodes one split of an output into files, as one task of Spark's `FileFormatWriter`.
//!
//! Names are Spark's: `part-<split>-<job uuid>-c<counter>.<ext>`, and in a partitioned
//! output `<dir>/part-<split>-<job uuid>.c<counter>.<ext>`. Split 0 of an unpartitioned
//! output writes a file even without rows, so that the schema is not lost; any other
//! writes only what has rows. Rows keep their order within a file.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array},
        compute::take_record_batch,
        datatypes::{DataType, Schema, SchemaRef},
    },
    common::runtime::SpawnedTask,
    execution::SendableRecordBatchStream,
};
use futures::StreamExt;
use uuid::Uuid;

use super::partition_path::push_partition;
use crate::{
    Result, SparkError,
    batch::read_ahead,
    format::{
        FileEncoder, Options, TextRows, WriteFormatRef,
        value_text::{TextStyle, ZoneOffsets, to_text},
    },
};

/// Bytes reserved for the text of a value: growing a text copies it.
const TYPICAL_VALUE: usize = 16;

/// What all splits of one output share: format, columns, partitioning.
#[derive(Clone)]
pub struct WriteLayout {
    format: WriteFormatRef,
    /// Columns of the files.
    data_schema: SchemaRef,
    /// Their positions in the rows.
    data_columns: Vec<usize>,
    /// Names (as the user wrote them) and positions of partition columns.
    partition_columns: Vec<(String, usize)>,
    zone: Arc<dyn ZoneOffsets>,
    max_records: usize,
}

impl std::fmt::Debug for WriteLayout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteLayout").field("format", &self.format).finish_non_exhaustive()
    }
}

/// One file, complete and not yet anywhere.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedFile {
    /// Path below the output directory, `/` between parts.
    pub name: String,
    /// Content, in pieces one after the other.
    pub pieces: Vec<Vec<u8>>,
}

impl EncodedFile {
    /// Length of the content in bytes.
    pub fn size(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// Whether this is the content.
    pub fn holds(&self, mut content: &[u8]) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.all(|piece| content.strip_prefix(piece.as_slice()).inspect(|rest| content = rest).is_some())
            && content.is_empty()
    }
}

impl WriteLayout {
    /// The layout of rows of `schema` (user's names) partitioned by the columns `partition_by`.
    ///
    /// Column names are compared without case. `maxRecordsPerFile` is the only option read.
    ///
    /// # Errors
    /// `_LEGACY_ERROR_TEMP_1155` (no such partition column), `COLUMN_ALREADY_EXISTS`,
    /// `INVALID_PARTITION_COLUMN_DATA_TYPE`, `ALL_PARTITION_COLUMNS_NOT_ALLOWED`: fix the query.
    pub fn new(
        format: WriteFormatRef,
        schema: &Schema,
        partition_by: &[String],
        options: &Options,
        zone: Arc<dyn ZoneOffsets>,
    ) -> Result<Self> {
        // CSV files can hold two columns of one name.
        if !partition_by.is_empty() || !format.extension().starts_with("csv") {
            refuse_repeated(schema.fields().iter().map(|f| f.name().as_str()))?;
        }
        refuse_repeated(partition_by.iter().map(String::as_str))?;
        let mut partition_columns = Vec::new();
        for name in partition_by {
            let index = schema.fields().iter().position(|f| f.name().eq_ignore_ascii_case(name));
            let index = index.ok_or_else(|| {
                SparkError::new("_LEGACY_ERROR_TEMP_1155")
                    .with("col", name)
                    .with("schemaCatalog", simple_string(&DataType::Struct(schema.fields().clone())))
            })?;
            let data_type = schema.field(index).data_type();
            if !is_atomic(data_type) {
                return Err(SparkError::new("INVALID_PARTITION_COLUMN_DATA_TYPE")
                    .with("type", format!("\"{}\"", simple_string(data_type).to_uppercase())));
            }
            partition_columns.push((name.clone(), index));
        }
        let is_partition = |i: &usize| partition_columns.iter().any(|(_, p)| p == i);
        let data_columns: Vec<usize> = (0..schema.fields().len()).filter(|i| !is_partition(i)).collect();
        if data_columns.is_empty() && !partition_columns.is_empty() {
            return Err(SparkError::new("ALL_PARTITION_COLUMNS_NOT_ALLOWED"));
        }
        let data_schema = Arc::new(schema.project(&data_columns)?);
        let max_records = options.get("maxRecordsPerFile").and_then(|n| n.trim().parse::<i64>().ok());
        let max_records =
            max_records.filter(|n| *n > 0).and_then(|n| usize::try_from(n).ok()).unwrap_or(usize::MAX);
        Ok(Self { format, data_schema, data_columns, partition_columns, zone, max_records })
    }

    /// Whether files go into directories by value.
    pub fn is_partitioned(&self) -> bool {
        !self.partition_columns.is_empty()
    }

    /// Starts split `split` of the output `job`.
    pub fn split(&self, job: Uuid, split: usize) -> SplitWriter {
        SplitWriter { layout: self.clone(), job, split, open: BTreeMap::new(), done: Vec::new() }
    }

    fn file_name(&self, job: Uuid, split: usize, directory: &str, counter: usize) -> String {
        let extension = self.format.extension();
        if self.is_partitioned() {
            format!("{directory}/part-{split:05}-{job}.c{counter:03}.{extension}")
        } else {
            format!("part-{split:05}-{job}-c{counter:03}.{extension}")
        }
    }
}

/// Collects the rows of one split.
pub struct SplitWriter {
    layout: WriteLayout,
    job: Uuid,
    split: usize,
    /// By directory (empty for unpartitioned output).
    open: BTreeMap<String, OpenFile>,
    done: Vec<EncodedFile>,
}

struct OpenFile {
    encoder: Option<Box<dyn FileEncoder>>,
    counter: usize,
    rows: usize,
}

impl SplitWriter {
    /// Adds rows; their columns are those of the layout's schema, by position.
    ///
    /// # Errors
    /// The format cannot hold a value.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        if !self.layout.is_partitioned() {
            return self.append(String::new(), self.data(batch)?);
        }
        let groups = self.directories(batch)?;
        let data = self.data(batch)?;
        for (directory, rows) in groups {
            let rows = if rows.len() == batch.num_rows() {
                data.clone()
            } else {
                take_record_batch(&data, &UInt32Array::from(rows))?
            };
            self.append(directory, rows)?;
        }
        Ok(())
    }

    /// Adds all rows of `rows`, in order, as [`SplitWriter::write`] does.
    ///
    /// Beyond the first batch others work along: text is encoded on other tasks, whatever
    /// is one stream of bytes by nature is encoded here while others make the rows.
    ///
    /// # Errors
    /// Those of the rows; the format cannot hold a value.
    pub async fn write_all(&mut self, mut rows: SendableRecordBatchStream) -> Result<()> {
        match rows.next().await {
            Some(batch) => self.write(&batch?)?,
            None => return Ok(()),
        }
        let Some(text) = self.text_rows() else {
            let mut ahead = read_ahead(rows);
            while let Some(batch) = ahead.next().await {
                self.write(&batch?)?;
            }
            return Ok(());
        };
        // Twice as many as run: none waits for the one before it to be taken.
        let side_by_side = 2 * std::thread::available_parallelism().map_or(2, usize::from).max(2);
        let data_columns = self.layout.data_columns.clone();
        let mut pieces = rows
            .map(move |batch| {
                let (text, data_columns) = (Arc::clone(&text), data_columns.clone());
                SpawnedTask::spawn(async move {
                    let batch = batch?.project(&data_columns)?;
                    let mut piece =
                        Vec::with_capacity(TYPICAL_VALUE * batch.num_columns() * batch.num_rows());
                    text.encode(&batch, &mut piece)?;
                    Ok::<_, SparkError>(piece)
                })
            })
            .buffered(side_by_side);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|e| SparkError::internal("an encoder ended early").caused_by(e))??;
            if let Some(OpenFile { encoder: Some(encoder), .. }) = self.open.get_mut("") {
                encoder.append_text(piece);
            }
        }
        Ok(())
    }

    /// How to encode rows elsewhere, where all of them go into the file that is open.
    fn text_rows(&self) -> Option<Arc<dyn TextRows>> {
        if self.layout.is_partitioned() || self.layout.max_records < usize::MAX {
            return None;
        }
        self.open.get("")?.encoder.as_ref()?.text_rows()
    }

    /// The files of the split, complete.
    ///
    /// # Errors
    /// The format cannot finish a file.
    pub fn finish(mut self) -> Result<Vec<EncodedFile>> {
        if self.split == 0 && !self.layout.is_partitioned() && self.open.is_empty() {
            let encoder = self.layout.format.encoder(self.layout.data_schema.clone())?;
            self.open.insert(String::new(), OpenFile { encoder: Some(encoder), counter: 0, rows: 0 });
        }
        for (directory, file) in std::mem::take(&mut self.open) {
            if let Some(encoder) = file.encoder {
                let name = self.layout.file_name(self.job, self.split, &directory, file.counter);
                self.done.push(EncodedFile { name, pieces: encoder.finish()? });
            }
        }
        Ok(self.done)
    }

    fn data(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let columns = self.layout.data_columns.iter().map(|i| batch.column(*i).clone()).collect();
        let options =
            datafusion::arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.layout.data_schema.clone(), columns, &options)?)
    }

    /// Rows of the batch by directory, in row order.
    fn directories(&self, batch: &RecordBatch) -> Result<BTreeMap<String, Vec<u32>>> {
        // Spark's partition values are not subject to ANSI: decimals print as BigDecimal does.
        let style = TextStyle::Cast { ansi: true };
        let text = |column: &ArrayRef| to_text(column, self.layout.zone.as_ref(), style);
        let columns = self.layout.partition_columns.iter();
        let values: Vec<(&str, StringArray)> =
            columns.map(|(name, i)| Ok((name.as_str(), text(batch.column(*i))?))).collect::<Result<_>>()?;
        let mut groups: BTreeMap<String, Vec<u32>> = BTreeMap::new();
        let mut directory = String::new();
        for row in 0..batch.num_rows() {
            directory.clear();
            for (name, values) in &values {
                push_partition(&mut directory, name, values.is_valid(row).then(|| values.value(row)));
            }
            let index =
                u32::try_from(row).map_err(|e| SparkError::internal("a batch is too long").caused_by(e))?;
            match groups.get_mut(&directory) {
                Some(rows) => rows.push(index),
                None => {
                    groups.insert(directory.clone(), vec![index]);
                }
            }
        }
        Ok(groups)
    }

    /// Adds rows to a directory's open file, going on to the next file where one is full.
    fn append(&mut self, directory: String, mut rows: RecordBatch) -> Result<()> {
        let Self { layout, job, split, open, done } = self;
        let file = open.entry(directory.clone()).or_insert(OpenFile { encoder: None, counter: 0, rows: 0 });
        while rows.num_rows() > 0 {
            if file.rows == layout.max_records
                && let Some(full) = file.encoder.take()
            {
                let name = layout.file_name(*job, *split, &directory, file.counter);
                done.push(EncodedFile { name, pieces: full.finish()? });
                file.counter += 1;
                file.rows = 0;
            }
            let count = rows.num_rows().min(layout.max_records - file.rows);
            let encoder = match &mut file.encoder {
                Some(encoder) => encoder,
                none => none.insert(layout.format.encoder(layout.data_schema.clone())?),
            };
            encoder.write(&rows.slice(0, count))?;
            file.rows += count;
            rows = rows.slice(count, rows.num_rows() - count);
        }
        Ok(())
    }
}

/// Spark compares column names without case.
fn refuse_repeated<'a>(names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        let lower = name.to_lowercase();
        if !seen.insert(lower.clone()) {
            return Err(SparkError::new("COLUMN_ALREADY_EXISTS").with("columnName", format!("`{lower}`")));
        }
    }
    Ok(())
}

fn is_atomic(data_type: &DataType) -> bool {
    !matches!(
        data_type,
        DataType::List(_)
            | DataType::Map(_, _)
            | DataType::Struct(_)
            | DataType::Interval(_)
            | DataType::Null
    )
}

/// Spark's `catalogString` of a type, as error messages show it.
fn simple_string(data_type: &DataType) -> String {
    use datafusion::arrow::datatypes::{IntervalUnit, TimeUnit};
    match data_type {
        DataType::Null => "void".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "tinyint".into(),
        DataType::Int16 => "smallint".into(),
        DataType::Int32 => "int".into(),
        DataType::Int64 => "bigint".into(),
        DataType::Float32 => "float".into(),
        DataType::Float64 => "double".into(),
        DataType::Utf8 => "string".into(),
        DataType::Binary => "binary".into(),
        DataType::Date32 => "date".into(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "timestamp".into(),
        DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp_ntz".into(),
        DataType::Duration(_) => "interval day to second".into(),
        DataType::Interval(IntervalUnit::YearMonth) => "interval year to month".into(),
        DataType::Interval(_) => "interval".into(),
        DataType::List(item) => format!("array<{}>", simple_string(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) => {
                let parts: Vec<_> = fields.iter().map(|f| simple_string(f.data_type())).collect();
                format!("map<{}>", parts.join(","))
            }
            other => simple_string(other),
        },
        DataType::Struct(fields) => {
            let parts: Vec<_> =
                fields.iter().map(|f| format!("{}:{}", f.name(), simple_string(f.data_type()))).collect();
            format!("struct<{}>", parts.join(","))
        }
        other => other.to_string(),
    }
}
