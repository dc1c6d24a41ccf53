//! The millstream binary: Spark Connect server, sessions, operations and command line.
//!
//! `cli` reads the command line; `server` owns sessions and the socket; `connect` answers
//! the calls of the protocol; `operation` keeps what an execution produces until the client
//! has it; `execute` runs plans and commands through `millstream-spark` (translation) and
//! `millstream-engine` (execution).

pub mod cli;
pub mod connect;
pub mod execute;
pub mod operation;
pub mod pipelines;
pub mod runtime;
pub mod server;
pub mod session;
