//! Operator state: columns in memory, durable as a changelog with snapshots.
//!
//! Each operator owns `state/<operator id>/`: one `<version>.change` a batch with the rows
//! the batch changed, now and then a `<version>.snapshot` with all rows, and Spark's
//! operator metadata under `_metadata/`. Version `N` is what batch `N` reads.

mod key_table;
mod location;
mod operator_metadata;
mod schema;
mod state_file;
mod state_log;

pub use key_table::KeyTable;
pub(crate) use key_table::normalize_floats;
pub use location::StateLocation;
pub use operator_metadata::OperatorMetadata;
pub use schema::{StateSchema, spark_type_name};
pub use state_file::{FileKind, Header, StateFile};
pub use state_log::StateLog;
