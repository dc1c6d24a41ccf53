//! Files as a source of rows: listing, partition discovery, batch tables and the streaming
//! file source.

mod glob;
mod listing;
mod partition_types;
mod partitions;
mod resolve;
mod split;
mod stream;
mod stream_options;
mod table;
mod watch;

pub use listing::{FileListing, ListedFile, list_files};
pub use resolve::{missing_path, resolve, stream_schema};
pub use stream::FileSource;
pub use table::{FileScanExec, FileTable};
