//! What several integration tests need: a clock to own, a sink to look into, storage that
//! fails on demand, plans over CSV directories.

pub mod clock;
pub mod collect_sink;
pub mod failing_storage;
pub mod state_run;
pub mod stream;
