//! Spark's meaning as pure translation: Connect messages and SQL text into DataFusion
//! plans and engine nodes.
//!
//! Two passes: [`plan::references`] lists the files, tables and cached relations a plan
//! needs; the server resolves them through the engine; translation then takes the resolved
//! set. Nothing here does I/O, awaits, or reads a clock.
//!
//! SQL text is parsed into the same Connect messages a DataFrame client sends, so there is
//! one translation for both.

pub mod conf;
pub mod expression;
pub mod functions;
pub mod plan;
pub mod sql;
pub mod types;

pub use conf::SessionConf;
