//! Bytes of one input file, or of a range of its lines, as blocks of whole lines.
//!
//! Compression is told by the file name's end, as in Hadoop: `.gz`, `.bz2`, `.zst`,
//! `.deflate`. A UTF-8 byte order mark at the start is skipped.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    ops::Range,
    path::{Path, PathBuf},
};

use memchr::{memchr2, memmem};

use crate::{Result, SparkError, time::Millis};

/// Bytes read at once.
const BLOCK: usize = 1 << 20;

/// Bytes read at once in search of the start of a line.
const WINDOW: u64 = 4 << 10;

/// A file to read, or the lines of it that start in a byte range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRef {
    /// Absolute path.
    pub path: PathBuf,
    /// Length of the whole file in bytes.
    pub size: u64,
    /// Last modification.
    pub modified: Millis,
    /// Only lines whose first byte lies here; `None` for the whole file. Only for plain
    /// files of formats that read line by line.
    pub range: Option<Range<u64>>,
}

impl FileRef {
    /// The whole file at `path`.
    pub fn whole(path: impl Into<PathBuf>, size: u64, modified: Millis) -> Self {
        Self { path: path.into(), size, modified, range: None }
    }

    /// Whether this piece contains the start of the file (where a header is).
    pub fn is_start(&self) -> bool {
        self.range.as_ref().is_none_or(|r| r.start == 0)
    }

    /// Whether the file must be read from its start because it is compressed.
    pub fn is_compressed(&self) -> bool {
        matches!(self.extension(), Some("gz" | "bz2" | "zst" | "deflate" | "snappy" | "lz4"))
    }

    fn extension(&self) -> Option<&str> {
        self.path.extension().and_then(|e| e.to_str())
    }

    /// The error Spark raises when reading this file failed.
    pub fn failed(&self, cause: impl std::error::Error + Send + Sync + 'static) -> SparkError {
        SparkError::new("FAILED_READ_FILE.NO_HINT").with("path", file_uri(&self.path)).caused_by(cause)
    }

    fn io_failed(&self, error: io::Error) -> SparkError {
        if error.kind() == io::ErrorKind::NotFound {
            return SparkError::new("FAILED_READ_FILE.FILE_NOT_EXIST")
                .with("path", file_uri(&self.path))
                .caused_by(error);
        }
        self.failed(error)
    }

    /// Opens the content, decompressed.
    ///
    /// # Errors
    /// A missing or unreadable file, or a compression that is not supported.
    pub fn reader(&self) -> Result<Box<dyn Read + Send>> {
        let file = File::open(&self.path).map_err(|e| self.io_failed(e))?;
        Ok(match self.extension() {
            Some("gz") => {
                Box::new(flate2::read::MultiGzDecoder::new(io::BufReader::with_capacity(BLOCK, file)))
            }
            Some("deflate") => {
                Box::new(flate2::read::ZlibDecoder::new(io::BufReader::with_capacity(BLOCK, file)))
            }
            Some("bz2") => {
                Box::new(bzip2::read::MultiBzDecoder::new(io::BufReader::with_capacity(BLOCK, file)))
            }
            Some("zst") => Box::new(zstd::stream::read::Decoder::new(file).map_err(|e| self.io_failed(e))?),
            Some(other @ ("snappy" | "lz4")) => {
                return Err(SparkError::unsupported(format!("reading files compressed as .{other}")));
            }
            _ => Box::new(file),
        })
    }

    /// The whole content, decompressed, without a byte order mark.
    pub fn read_all(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        self.reader()?.read_to_end(&mut bytes).map_err(|e| self.io_failed(e))?;
        if bytes.starts_with(BOM) {
            bytes.drain(..BOM.len());
        }
        Ok(bytes)
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A path as Hadoop prints it in errors: `file:///dir/a%20b.csv`.
pub(crate) fn file_uri(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    const KEEP: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~')
        .remove(b'!')
        .remove(b'$')
        .remove(b'&')
        .remove(b'\'')
        .remove(b'(')
        .remove(b')')
        .remove(b'*')
        .remove(b'+')
        .remove(b',')
        .remove(b';')
        .remove(b'=')
        .remove(b':')
        .remove(b'@');
    format!("file://{}", percent_encoding::percent_encode(path.as_os_str().as_bytes(), KEEP))
}

/// How lines end.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) enum LineEnd {
    /// `\n`, `\r` or `\r\n`, mixed as they come.
    #[default]
    Any,
    /// Exactly these bytes.
    Custom(Vec<u8>),
}

impl LineEnd {
    /// The first line of `block` from `at`: where its content ends, and where the next
    /// line starts. Without a terminator the line ends with the block.
    #[inline]
    pub(crate) fn line(&self, block: &[u8], at: usize) -> (usize, usize) {
        let rest = block.get(at..).unwrap_or_default();
        match self.find(rest) {
            Some((end, next)) => (at + end, at + next),
            None => (block.len(), block.len()),
        }
    }

    #[inline]
    fn find(&self, rest: &[u8]) -> Option<(usize, usize)> {
        match self {
            Self::Any => {
                let end = memchr2(b'\n', b'\r', rest)?;
                let crlf = rest.get(end) == Some(&b'\r') && rest.get(end + 1) == Some(&b'\n');
                Some((end, if crlf { end + 2 } else { end + 1 }))
            }
            Self::Custom(separator) => {
                let end = memmem::find(rest, separator)?;
                Some((end, end + separator.len()))
            }
        }
    }

    /// Where the last complete line of `block` ends, terminator included. A `\r` at the
    /// very end may be half of a `\r\n` and does not count.
    fn complete(&self, block: &[u8]) -> usize {
        match self {
            Self::Any => {
                let usable = if block.last() == Some(&b'\r') { block.len() - 1 } else { block.len() };
                memchr::memrchr2(b'\n', b'\r', block.get(..usable).unwrap_or_default()).map_or(0, |p| p + 1)
            }
            Self::Custom(separator) => memmem::rfind(block, separator).map_or(0, |p| p + separator.len()),
        }
    }
}

/// Reads a file as blocks of whole lines; only the last line may lack its terminator.
pub(crate) struct LineBlocks {
    file: FileRef,
    reader: Box<dyn Read + Send>,
    line_end: LineEnd,
    buffer: Vec<u8>,
    /// Bytes of `buffer` handed out by the previous call.
    used: usize,
    filled: usize,
    first: bool,
    done: bool,
}

impl std::fmt::Debug for LineBlocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineBlocks")
            .field("file", &self.file)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

impl LineBlocks {
    /// Opens `file`, or the lines that start in its range.
    pub(crate) fn open(file: FileRef, line_end: LineEnd) -> Result<Self> {
        let reader = match &file.range {
            None => file.reader()?,
            Some(range) => {
                let mut handle = File::open(&file.path).map_err(|e| file.io_failed(e))?;
                let start = line_start(&mut handle, range.start, &line_end).map_err(|e| file.io_failed(e))?;
                let end = line_start(&mut handle, range.end, &line_end).map_err(|e| file.io_failed(e))?;
                handle.seek(SeekFrom::Start(start)).map_err(|e| file.io_failed(e))?;
                Box::new(handle.take(end.saturating_sub(start)))
            }
        };
        let expected = file.range.as_ref().map_or(file.size, |r| r.end - r.start);
        // Small files need no megabyte; one spare byte lets the end be seen at once.
        let capacity = usize::try_from(expected).unwrap_or(BLOCK).saturating_add(1).clamp(64, BLOCK);
        let first = file.is_start();
        let buffer = spare::take(capacity);
        Ok(Self { file, reader, line_end, buffer, used: 0, filled: 0, first, done: false })
    }

    /// The file being read.
    pub(crate) fn file(&self) -> &FileRef {
        &self.file
    }

    /// Makes the next block current; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if self.done {
            self.used = 0;
            self.filled = 0;
            return Ok(false);
        }
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        loop {
            if self.filled == self.buffer.len() {
                let grown = (self.buffer.len() * 2).max(BLOCK);
                self.buffer.resize(grown, 0);
            }
            let read = match self.reader.read(self.buffer.get_mut(self.filled..).unwrap_or_default()) {
                Ok(read) => read,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.file.io_failed(e)),
            };
            self.filled += read;
            if self.first && (self.filled >= BOM.len() || read == 0) {
                self.first = false;
                if self.buffer.get(..self.filled).unwrap_or_default().starts_with(BOM) {
                    self.buffer.copy_within(BOM.len()..self.filled, 0);
                    self.filled -= BOM.len();
                }
            }
            if read == 0 {
                self.done = true;
                self.used = self.filled;
                return Ok(self.filled > 0);
            }
            if self.first || self.filled < self.buffer.len() {
                // Fill the buffer first: fewer, larger blocks, and short reads of pipes.
                continue;
            }
            let complete = self.line_end.complete(self.buffer.get(..self.filled).unwrap_or_default());
            if complete > 0 {
                self.used = complete;
                return Ok(true);
            }
        }
    }

    /// The current block.
    pub(crate) fn block(&self) -> &[u8] {
        self.buffer.get(..self.used).unwrap_or_default()
    }
}

impl Drop for LineBlocks {
    fn drop(&mut self) {
        spare::give(std::mem::take(&mut self.buffer));
    }
}

/// One buffer a thread, for the next piece it reads: zeroing a fresh one and the page faults of
/// touching it were 3 % of the processor time of the windows of an hour (w3o).
mod spare {
    use std::cell::Cell;

    use super::BLOCK;

    thread_local! {
        static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }

    /// `length` bytes of whatever a former reader left.
    pub(super) fn take(length: usize) -> Vec<u8> {
        let mut buffer = SPARE.try_with(Cell::take).unwrap_or_default();
        if buffer.capacity() < length {
            return vec![0; length];
        }
        buffer.resize(length, 0);
        buffer
    }

    /// Keeps a buffer that is not larger than a block.
    pub(super) fn give(buffer: Vec<u8>) {
        if buffer.capacity() <= BLOCK {
            // A thread that ends has no place for it.
            let _ = SPARE.try_with(|spare| spare.set(buffer));
        }
    }
}

/// The first position at or after `at` where a line starts. Depends on the content alone,
/// so that neighbouring ranges agree.
fn line_start(file: &mut File, at: u64, line_end: &LineEnd) -> io::Result<u64> {
    if at == 0 {
        return Ok(0);
    }
    // A terminator that ends exactly at `at` makes `at` a start; look a little before it.
    let back = match line_end {
        LineEnd::Any => 1,
        LineEnd::Custom(separator) => separator.len() as u64,
    };
    let mut base = at.saturating_sub(back);
    file.seek(SeekFrom::Start(base))?;
    let mut window = Vec::new();
    loop {
        let before = window.len();
        // Most lines are short: what is read here is read once more.
        file.by_ref().take(WINDOW).read_to_end(&mut window)?;
        let end_of_file = window.len() == before;
        let mut from = 0;
        while let Some((_, next)) = line_end.find(window.get(from..).unwrap_or_default()) {
            let unsure =
                *line_end == LineEnd::Any && from + next == window.len() && window.last() == Some(&b'\r');
            if unsure && !end_of_file {
                break;
            }
            from += next;
            if base + from as u64 >= at {
                return Ok(base + from as u64);
            }
        }
        if end_of_file {
            return Ok(base + window.len() as u64);
        }
        let keep = back as usize;
        if window.len() > keep {
            base += (window.len() - keep) as u64;
            window.drain(..window.len() - keep);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn lines(file: FileRef, line_end: LineEnd) -> Vec<String> {
        let mut blocks = LineBlocks::open(file, line_end.clone()).unwrap();
        let mut out = Vec::new();
        while blocks.advance().unwrap() {
            let block = blocks.block();
            let mut at = 0;
            while at < block.len() {
                let (end, next) = line_end.line(block, at);
                out.push(String::from_utf8(block[at..end].to_vec()).unwrap());
                at = next;
            }
        }
        out
    }

    fn temp(content: &[u8]) -> (tempfile::TempDir, FileRef) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.txt");
        File::create(&path).unwrap().write_all(content).unwrap();
        let file = FileRef::whole(path, content.len() as u64, Millis(0));
        (dir, file)
    }

    #[test]
    fn every_terminator_ends_a_line_and_the_mark_is_skipped() {
        let (_dir, file) = temp(b"\xef\xbb\xbfa\nb\r\nc\rd\n\ne");
        assert_eq!(lines(file.clone(), LineEnd::Any), ["a", "b", "c", "d", "", "e"]);
        assert_eq!(lines(file, LineEnd::Custom(b"\n".to_vec())), ["a", "b\r", "c\rd", "", "e"]);
    }

    #[test]
    fn ranges_share_the_lines_of_a_file_whatever_the_cut() {
        let content = b"one\ntwo\r\nthree\rfour\n\n\r\nseven,8\r\r\nend";
        for line_end in [LineEnd::Any, LineEnd::Custom(b"\r\n".to_vec())] {
            let (_dir, file) = temp(content);
            let whole = lines(file.clone(), line_end.clone());
            for cut in 0..=content.len() as u64 {
                let mut parts = Vec::new();
                for range in [0..cut, cut..content.len() as u64] {
                    parts.extend(lines(FileRef { range: Some(range), ..file.clone() }, line_end.clone()));
                }
                assert_eq!(parts, whole, "cut at {cut}");
            }
        }
    }

    #[test]
    fn compressed_files_are_told_by_their_name() {
        let dir = tempfile::tempdir().unwrap();
        let text = b"x\ny\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gz.write_all(text).unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(text).unwrap();
        let mut bz = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
        bz.write_all(text).unwrap();
        for (name, bytes) in [
            ("a.csv.gz", gz.finish().unwrap()),
            ("a.deflate", zlib.finish().unwrap()),
            ("a.bz2", bz.finish().unwrap()),
            ("a.zst", zstd::encode_all(&text[..], 0).unwrap()),
        ] {
            let path = dir.path().join(name);
            File::create(&path).unwrap().write_all(&bytes).unwrap();
            assert_eq!(lines(FileRef::whole(path, 9, Millis(0)), LineEnd::Any), ["x", "y"], "{name}");
        }
        let missing =
            LineBlocks::open(FileRef::whole(dir.path().join("none"), 0, Millis(0)), LineEnd::Any).err();
        assert_eq!(missing.map(|e| e.class()), Some("FAILED_READ_FILE.FILE_NOT_EXIST"));
    }
}
