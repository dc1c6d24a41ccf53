//! Files as a source of rows: listing, partition discovery, batch tables and the streaming
//! file source.

mod glob;
mod listing;
mod partitions;
mod split;
mod stream;
mod stream_options;
mod watch;

pub use listing::{FileListing, ListedFile, list_files};
pub use stream::FileSource;
