//! Where the text of values goes.

/// A string, or the bytes of a file, which need no check that what is put together is text.
pub trait TextOut {
    /// Appends `text`.
    fn push_text(&mut self, text: &str);

    /// Appends the first `len` bytes of `ascii`: for bytes that is one store of sixteen.
    fn push_ascii(&mut self, ascii: [u8; 16], len: usize);

    /// Appends `text` with `digits` in the place of its own at `at`.
    fn push_with_digits(&mut self, text: &str, at: usize, digits: &[u8]);
}

impl TextOut for Vec<u8> {
    #[inline]
    fn push_text(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }

    #[inline]
    fn push_ascii(&mut self, ascii: [u8; 16], len: usize) {
        let end = self.len() + len.min(ascii.len());
        self.extend_from_slice(&ascii);
        self.truncate(end);
    }

    #[inline]
    fn push_with_digits(&mut self, text: &str, at: usize, digits: &[u8]) {
        let at = self.len() + at;
        self.extend_from_slice(text.as_bytes());
        if let Some(room) = self.get_mut(at..at + digits.len()) {
            room.copy_from_slice(digits);
        }
    }
}

impl TextOut for String {
    #[inline]
    fn push_text(&mut self, text: &str) {
        self.push_str(text);
    }

    #[inline]
    fn push_ascii(&mut self, ascii: [u8; 16], len: usize) {
        self.push_str(ascii.get(..len).and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default());
    }

    #[inline]
    fn push_with_digits(&mut self, text: &str, at: usize, digits: &[u8]) {
        let (before, rest) = text.split_at_checked(at).unwrap_or((text, ""));
        self.push_str(before);
        self.push_str(std::str::from_utf8(digits).unwrap_or_default());
        self.push_str(rest.get(digits.len()..).unwrap_or_default());
    }
}
