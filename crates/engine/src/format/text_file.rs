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
    fn encode(&self, batch: &RecordBatch, out: &mut String) -> Result<()>;
}

/// An encoder of one text file.
pub(crate) struct TextFile {
    rows: Arc<dyn TextRows>,
    compression: Compression,
    out: String,
}

impl TextFile {
    /// A file that starts with `head` and goes on with rows.
    pub(crate) fn new(rows: Arc<dyn TextRows>, compression: Compression, head: String) -> Self {
        Self { rows, compression, out: head }
    }
}

impl FileEncoder for TextFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows.encode(batch, &mut self.out)
    }

    fn text_rows(&self) -> Option<Arc<dyn TextRows>> {
        Some(Arc::clone(&self.rows))
    }

    fn append_text(&mut self, text: String) {
        if self.out.is_empty() {
            self.out = text;
        } else {
            self.out.push_str(&text);
        }
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn finish(self: Box<Self>) -> Result<Vec<u8>> {
        self.compression.compress(self.out.into_bytes())
    }
}
