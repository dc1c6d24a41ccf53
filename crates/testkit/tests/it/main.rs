//! Tidy: the rules of the house that no compiler checks.

#![expect(clippy::unwrap_used, reason = "a tidy test that cannot read the repository has failed")]

mod architecture;
mod edges;
mod lock;
mod sources;
