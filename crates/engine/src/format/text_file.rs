//! Files of text: rows one after the other, compressed as a whole at the end.
//!
//! As a file is nothing but its rows' texts in order, any run of rows can be encoded on its
//! own, on another thread, and appended in its turn.

use std::{fmt, sync::Arc};

use datafusion::arrow::array::RecordBatch;

use super::{FileEncoder, compression::Compression};
use crate::Result;

/// The text of rows, wherever in a file they stand.
pub trait TextRows: fmt::Debug + Send + Sync {
    /// Appends the text of every row of `batch`, line ends included.
    ///
    /// # Errors
    /// The format cannot hold a value; `out` may hold a part of the rows then.
    fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<()>;
}

/// Appends to the bytes of a file what is written to a string.
pub(crate) fn append_string(out: &mut Vec<u8>, write: impl FnOnce(&mut String) -> Result<()>) -> Result<()> {
    // Nothing yet: its room is used.
    let room = if out.is_empty() { std::mem::take(out) } else { vec![] };
    let mut text = String::from_utf8(room).unwrap_or_default();
    write(&mut text)?;
    if out.is_empty() {
        *out = text.into_bytes();
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    Ok(())
}

/// An encoder of one text file.
pub(crate) struct TextFile {
    rows: Arc<dyn TextRows>,
    compression: Compression,
    /// What stands before `out`.
    pieces: Vec<Vec<u8>>,
    out: Vec<u8>,
}

/// A piece of so many bytes is not copied to what comes before it.
const LARGE_PIECE: usize = 64 << 10;

impl TextFile {
    /// A file that starts with `head` and goes on with rows.
    pub(crate) fn new(rows: Arc<dyn TextRows>, compression: Compression, head: Vec<u8>) -> Self {
        Self { rows, compression, pieces: vec![], out: head }
    }
}

impl FileEncoder for TextFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows.encode(batch, &mut self.out)
    }

    fn text_rows(&self) -> Option<Arc<dyn TextRows>> {
        Some(Arc::clone(&self.rows))
    }

    fn append_text(&mut self, text: Vec<u8>) {
        if self.out.len() + text.len() < LARGE_PIECE {
            self.out.extend_from_slice(&text);
        } else {
            let before = std::mem::replace(&mut self.out, text);
            self.pieces.extend(Some(before).filter(|piece| !piece.is_empty()));
        }
    }

    fn len(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum::<usize>() + self.out.len()
    }

    fn finish(mut self: Box<Self>) -> Result<Vec<Vec<u8>>> {
        self.pieces.push(self.out);
        self.compression.compress(self.pieces)
    }
}
