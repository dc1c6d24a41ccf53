//! The micro-batch loop: against real Spark, against failures, against misuse.

mod durability;
mod failures;
mod foreach;
mod golden;
mod lifecycle;
mod reexecution;
mod triggers;
mod unsupported;
