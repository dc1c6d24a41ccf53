//! Operator state: columns in memory, durable as a changelog with snapshots.
