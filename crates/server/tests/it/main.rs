//! The service as a client sees it: a server on a free port, the official generated client.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail them")]

mod client;
mod config;
mod errors;
mod executions;
mod sessions;
