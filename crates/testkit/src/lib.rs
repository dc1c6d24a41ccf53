//! Development only: what the tests of every crate share.
//!
//! - [`cases()`]: how many random cases a property test runs.
//! - [`rows`]: rows as plain cells, from record batches or from JSON.
//! - [`equality`]: the one definition of "the same result".
//! - [`golden`]: files recorded from real Spark.
//! - [`workspace`]: the repository seen by the tidy tests in `tests/it`.
//!
//! Nothing here reaches a user: the crate is a dev-dependency everywhere (checked by its own tests).

pub mod cases;
pub mod equality;
pub mod golden;
pub mod rows;
pub mod workspace;

pub use cases::cases;
pub use equality::{assert_rows_eq, assert_rows_eq_in_order};
pub use rows::{Cell, Row, rows_of};
