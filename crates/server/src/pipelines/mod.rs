//! Declarative pipelines: graphs of datasets and flows, defined by Connect calls or SQL text, and run.
//!
//! `handler` answers the calls. What a graph is, what makes it legal and in which order it runs
//! needs no gRPC: `graph`, `resolution`, `validation`, `graph_execution`.

mod analysis;
mod checkpoints;
mod context;
mod events;
mod flow_execution;
mod graph;
mod graph_execution;
mod handler;
mod identifier;
mod materialization;
mod refresh;
mod registry;
mod resolution;
mod schema;
mod sql_registration;
mod validation;

pub use context::{allow_analysis, in_definition};
pub use handler::command;
pub use registry::DataflowGraphs;
