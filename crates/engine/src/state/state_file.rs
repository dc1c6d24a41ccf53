//! One state file: a change or a snapshot.
//!
//! Layout (integers little-endian):
//!
//! ```text
//! 8 bytes   "MSSTATE1": magic and format version
//! u32       length of the header
//! header    JSON, see `Header`
//! u64       length of the body
//! body      Arrow IPC stream of the rows (typed columns), zstd when the header says so
//! u32       CRC-32 of everything before
//! ```
//!
//! A file whose length or checksum is wrong is void: it was torn or altered. The same rows
//! and header give the same bytes.

use std::{io, path::Path, sync::Arc};

use datafusion::arrow::{
    array::RecordBatch,
    datatypes::SchemaRef,
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use serde::{Deserialize, Serialize};

use super::StateSchema;
use crate::{Result, SparkError};

const MAGIC: &[u8; 8] = b"MSSTATE1";
/// Bodies above this are compressed.
const COMPRESS_FROM: usize = 4096;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    /// Rows that replace those with the same key, after rows evicted by `evicted` are gone.
    Change,
    /// All rows.
    Snapshot,
}

impl FileKind {
    /// The file name's ending.
    pub fn extension(self) -> &'static str {
        match self {
            FileKind::Change => "change",
            FileKind::Snapshot => "snapshot",
        }
    }
}

/// Everything about a file but its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Change or snapshot.
    pub kind: FileKind,
    /// The state version the file leads to.
    pub version: i64,
    /// The last watermark that evicted, in microseconds; `None` when none ever did.
    pub evicted: Option<i64>,
    /// Number of rows.
    pub rows: usize,
    /// `none` or `zstd`.
    pub codec: String,
    /// What the columns mean.
    pub schema: StateSchema,
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
    ///
    /// # Errors
    /// Only when Arrow cannot write the rows.
    pub fn encode(mut header: Header, rows: &RecordBatch) -> Result<Vec<u8>> {
        let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
        writer.write(rows)?;
        writer.finish()?;
        let mut body = writer.into_inner()?;
        header.rows = rows.num_rows();
        header.codec = "none".to_string();
        if body.len() >= COMPRESS_FROM {
            body = zstd::bulk::compress(&body, 1).map_err(|e| SparkError::internal(format!("zstd: {e}")))?;
            header.codec = "zstd".to_string();
        }
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
    pub fn decode(path: &Path, bytes: &[u8]) -> Result<Self> {
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
        let body = rest.get(..length).ok_or_else(short)?.to_vec();
        Ok(Self { header, body })
    }

    /// The rows, as batches of `schema`.
    ///
    /// # Errors
    /// As [`StateFile::decode`].
    pub fn rows(&self, path: &Path, schema: &SchemaRef) -> Result<Vec<RecordBatch>> {
        let plain;
        let body = match self.header.codec.as_str() {
            "none" => self.body.as_slice(),
            "zstd" => {
                plain = zstd::stream::decode_all(self.body.as_slice())
                    .map_err(|e: io::Error| damaged(path, &format!("its body does not decompress: {e}")))?;
                plain.as_slice()
            }
            other => {
                return Err(damaged(path, &format!("its body is compressed by the unknown codec {other}")));
            }
        };
        let unreadable = |e| damaged(path, &format!("its rows do not decode: {e}"));
        let reader = StreamReader::try_new(body, None).map_err(unreadable)?;
        let mut batches = Vec::new();
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(unreadable)?;
            let types = |s: &SchemaRef| s.fields().iter().map(|f| f.data_type().clone()).collect::<Vec<_>>();
            if types(&batch.schema()) != types(schema) {
                return Err(damaged(path, "its columns have other types than its header says"));
            }
            rows += batch.num_rows();
            batches.push(RecordBatch::try_new(Arc::clone(schema), batch.columns().to_vec())?);
        }
        if rows != self.header.rows {
            return Err(damaged(path, "its number of rows is not the one it states"));
        }
        Ok(batches)
    }
}

fn damaged(path: &Path, why: &str) -> SparkError {
    SparkError::new("CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE")
        .with("fileToRead", path.display().to_string())
        .with("reason", why)
}
