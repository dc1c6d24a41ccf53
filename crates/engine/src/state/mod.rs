//! Operator state: columns in memory, durable as a changelog with snapshots.
//!
//! Each operator owns `state/<operator id>/`: one `<version>.change` a batch with the rows
//! the batch changed, snapshots of all rows in parts spread over many batches, and Spark's
//! operator metadata under `_metadata/`. Version `N` is what batch `N` reads.

mod byte_arena;
mod codec;
mod id_index;
mod key_lookup;
mod key_table;
mod layout;
mod location;
mod operator_metadata;
mod reader;
mod schema;
mod short_keys;
mod state_file;
mod state_log;
mod string_keys;

pub use codec::StateCodec;
pub use key_table::KeyTable;
pub(crate) use key_table::normalize_floats;
pub use layout::StateLayout;
pub use location::{SnapshotPace, StateLocation};
pub use operator_metadata::OperatorMetadata;
pub use reader::{read_state, read_state_metadata, state_metadata_schema};
pub use schema::{StateSchema, spark_type_name};
pub use state_file::{FileKind, Header, StateFile};
pub use state_log::{Snapshot, SnapshotPart, StateFileName, StateLog};
