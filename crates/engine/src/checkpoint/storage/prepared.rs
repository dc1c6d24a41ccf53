//! A file whose content is durable and that waits for its name.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{StorageRef, discard, parent_of, temporary_name};

/// Content under a temporary name: the slow part of [`create_exclusive`], done in advance.
///
/// What is dropped without a name is removed.
///
/// [`create_exclusive`]: super::Storage::create_exclusive
#[derive(Debug)]
pub struct PreparedFile {
    storage: StorageRef,
    temporary: Option<PathBuf>,
    path: PathBuf,
}

impl PreparedFile {
    /// Writes and syncs what `path` will hold; parents are created.
    ///
    /// # Errors
    /// The storage's.
    pub fn write(storage: StorageRef, path: PathBuf, bytes: &[u8]) -> io::Result<Self> {
        let temporary = temporary_name(&path);
        let prepared = Self { storage, temporary: Some(temporary.clone()), path };
        prepared.storage.write_staged(&temporary, bytes)?;
        Ok(prepared)
    }

    /// The name to be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Gives the file its name if nobody has it, durably.
    ///
    /// # Errors
    /// `AlreadyExists` when another writer was first; its file is untouched.
    pub fn create(mut self) -> io::Result<()> {
        if let Some(temporary) = &self.temporary {
            self.storage.rename_new(temporary, &self.path)?;
            self.temporary = None;
        }
        self.storage.sync_dir(parent_of(&self.path))
    }
}

impl Drop for PreparedFile {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            discard(self.storage.as_ref(), temporary);
        }
    }
}
