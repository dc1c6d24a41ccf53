//! Relations: Connect plans into DataFusion plans and engine nodes.
//!
//! 1. [`references`] lists what a plan needs from outside (pure).
//! 2. The server resolves the list through the engine into a [`ResolvedSet`] (I/O).
//! 3. [`translate`] turns plan and set into a [`Translated`] (pure).
//!
//! Inside a translated plan every column has a unique id made by translation (`#12`);
//! the names, nullability and metadata a user sees are kept beside the plan, in
//! [`Translated::columns`], and are the truth.

mod attribute;
mod identifier;
mod observed_metrics;
mod references;
mod resolved;
mod scope;
mod show;
mod translated;
mod translator;

mod below;
mod call;

mod aggregate;
mod collect_metrics;
mod columns;
mod deduplicate;
mod describe;
mod expand;
mod extension;
mod filter;
mod generate;
mod grouping_sets;
mod join;
mod limit;
mod local_relation;
mod missing_values;
mod pivot;
mod project;
mod range;
mod read;
mod repartition;
mod sample;
mod semantics;
mod set_op;
mod sort;
mod subquery;
mod to_schema;
mod unpivot;
mod watermark;
mod window_function;

pub use attribute::quote_parts;
pub use identifier::parse_identifier;
pub use observed_metrics::observed_metrics;
pub use references::{Reference, SourceReference, TableReference, references};
pub use resolved::{ResolvedSet, ResolvedSource, ResolvedTable};
pub use show::{ShowRequest, show_request};
pub use translated::{OutputColumn, Partitioning, Translated};
pub use translator::{MAX_DEPTH, translate};

#[cfg(test)]
mod tests;
