//! The service as a client sees it: a server on a free port, the official generated client.

mod client;
mod config;
mod errors;
mod executions;
mod sessions;
