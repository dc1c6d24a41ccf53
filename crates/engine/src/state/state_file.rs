//! One state file: a change or a part of a snapshot.
//!
//! Layout (integers little-endian):
//!
//! ```text
//! 8 bytes   "MSSTATE1": magic and format version
//! u32       length of the header
//! header    JSON, see `Header`
//! u64       length of the body
//! body      Arrow IPC stream of the rows (typed columns), compressed as the header says
//! u32       CRC-32 of everything before
//! ```
//!
//! A file whose length or checksum is wrong is void: it was torn or altered. The same rows
//! and header give the same bytes.

use std::{
    fmt,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use serde::{Deserialize, Serialize};

use super::{StateCodec, StateLayout, StateSchema, codec};
use crate::{Result, SparkError};

const MAGIC: &[u8; 8] = b"MSSTATE1";
/// Rows of this many bytes are compressed.
const COMPRESS_FROM: usize = 4096;
/// Rows are written in batches of so many, to be read one after the other.
const BATCH_ROWS: usize = 1 << 16;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Rows that replace those with the same key, after rows evicted by `evicted` are gone.
    Change,
    /// Some of the rows there are.
    Part,
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FileKind::Change => "change",
            FileKind::Part => "part",
        })
    }
}

/// Everything about a file but its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Change or part of a snapshot.
    pub kind: FileKind,
    /// The state version the file leads to.
    pub version: i64,
    /// The last watermark that evicted, in microseconds; `None` when none ever did.
    pub evicted: Option<i64>,
    /// Number of rows.
    pub rows: usize,
    /// `none`, `lz4` or `zstd`.
    pub codec: String,
    /// What the columns mean.
    pub schema: StateSchema,
    /// What the rows mean to a reader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<StateLayout>,
    /// Of a side of a join: the time up to which its rows have aged, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aged: Option<i64>,
}

/// A decoded file.
#[derive(Debug, Clone)]
pub struct StateFile {
    /// Everything but the rows.
    pub header: Header,
    body: Vec<u8>,
}

impl StateFile {
    /// The bytes of a file with these rows; `rows` and `codec` of `header` are filled in.
    /// With `at_once` the rows are read as one batch.
    ///
    /// # Errors
    /// Only when Arrow cannot write the rows.
    pub fn encode(
        mut header: Header,
        rows: &RecordBatch,
        at_once: bool,
        codec: StateCodec,
    ) -> Result<Vec<u8>> {
        let most = if at_once { rows.num_rows().max(1) } else { BATCH_ROWS };
        let plain = rows.get_array_memory_size() < COMPRESS_FROM;
        header.rows = rows.num_rows();
        header.codec = if plain { "none" } else { codec.name() }.to_string();
        let body = if plain {
            let mut body = Vec::new();
            write_rows(&mut body, rows, most)?;
            body
        } else {
            codec.compress(|to| write_rows(to, rows, most))?
        };
        let head =
            serde_json::to_vec(&header).map_err(|e| SparkError::internal(format!("state header: {e}")))?;
        let length =
            u32::try_from(head.len()).map_err(|_| SparkError::internal("a state header is above 4 GiB"))?;
        let mut bytes = Vec::with_capacity(MAGIC.len() + head.len() + body.len() + 16);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(&(body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&body);
        bytes.extend_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
        Ok(bytes)
    }

    /// Checks and splits a file's bytes; `path` is for messages.
    ///
    /// # Errors
    /// `CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE`: the checkpoint is unusable from
    /// this version on.
    pub fn decode(path: &Path, mut bytes: Vec<u8>) -> Result<Self> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(damaged(path, "it does not start like a state file of this format version"));
        };
        let short = || damaged(path, "it ends too early");
        let (content, stored) = bytes.split_last_chunk::<4>().ok_or_else(short)?;
        if crc32fast::hash(content) != u32::from_le_bytes(*stored) {
            return Err(damaged(path, "its checksum does not match its content"));
        }
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let (head, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
        let header: Header = serde_json::from_slice(head)
            .map_err(|e| damaged(path, &format!("its header does not parse: {e}")))?;
        let (length, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        if rest.len() != length.saturating_add(4) {
            return Err(damaged(path, "its length is not the one it states"));
        }
        let start = bytes.len() - rest.len();
        bytes.truncate(start + length);
        bytes.drain(..start);
        Ok(Self { header, body: bytes })
    }

    /// The columns of the rows, under the names they were stored with.
    ///
    /// # Errors
    /// As [`StateFile::decode`].
    pub fn schema(&self, path: &Path) -> Result<SchemaRef> {
        let reader = StreamReader::try_new(self.plain(path)?, None);
        Ok(reader.map_err(|e| damaged(path, &format!("its rows do not decode: {e}")))?.schema())
    }

    /// The body as it was before compression.
    fn plain(&self, path: &Path) -> Result<Box<dyn Read + '_>> {
        codec::reader(&self.header.codec, &self.body, path)
    }

    /// Hands the rows over, in batches of `schema`.
    ///
    /// # Errors
    /// As [`StateFile::decode`], and what `take` says.
    pub fn rows(
        &self,
        path: &Path,
        schema: &SchemaRef,
        mut take: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let unreadable = |e: &dyn fmt::Display| damaged(path, &format!("its rows do not decode: {e}"));
        let body = self.plain(path)?;
        let reader = StreamReader::try_new(body, None).map_err(|e| unreadable(&e))?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|e| unreadable(&e))?;
            let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
            if types(&batch.schema()) != types(schema) {
                return Err(damaged(path, "its columns have other types than its header says"));
            }
            rows += batch.num_rows();
            take(RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())?)?;
        }
        if rows != self.header.rows {
            return Err(damaged(path, "its number of rows is not the one it states"));
        }
        Ok(())
    }
}

/// Writes rows as an Arrow IPC stream of batches of up to `most` rows.
fn write_rows(to: &mut dyn Write, rows: &RecordBatch, most: usize) -> Result<()> {
    let mut writer = StreamWriter::try_new(to, &rows.schema())?;
    for from in (0..rows.num_rows()).step_by(most) {
        writer.write(&rows.slice(from, most.min(rows.num_rows() - from)))?;
    }
    Ok(writer.finish()?)
}

pub(super) fn damaged(path: &Path, why: &str) -> SparkError {
    SparkError::new("CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE")
        .with("fileToRead", path.display().to_string())
        .with("reason", why)
}
