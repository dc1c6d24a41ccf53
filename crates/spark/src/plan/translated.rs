//! The result of translation.

use std::{collections::HashMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{FieldRef, Schema, SchemaRef},
    logical_expr::{Expr, LogicalPlan},
};

/// A translated plan and what the user sees of it.
///
/// # Invariants
/// Column `i` of `plan` is named `columns[i].id` and has the type of `columns[i].field`.
#[derive(Debug, Clone)]
pub struct Translated {
    /// The plan over internal column ids.
    pub plan: LogicalPlan,
    /// The output columns, in order.
    pub columns: Vec<OutputColumn>,
    /// The user's names of all columns that have been under some id.
    pub column_names: HashMap<String, String>,
    /// Whether it reads a stream.
    pub is_streaming: bool,
    /// How the user asked the rows to be split, if the last such wish still holds.
    pub partitioning: Option<Partitioning>,
    /// `Some(n)`: only the last `n` rows are wanted (`tail`), in order.
    pub tail: Option<usize>,
}

/// One output column.
#[derive(Debug, Clone, PartialEq)]
pub struct OutputColumn {
    /// Name inside the plan.
    pub id: String,
    /// The user's name (which may repeat), type, nullability and metadata.
    pub field: FieldRef,
}

/// A wish for the number of partitions, which becomes the number of files of a write.
#[derive(Debug, Clone, PartialEq)]
pub enum Partitioning {
    /// `coalesce(n)`: at most `n`.
    Coalesce(usize),
    /// `repartition(n)`: exactly `n`, rows dealt out in turn.
    RoundRobin(usize),
    /// `repartition(n, columns)`: exactly `n`, equal keys together.
    Hash(usize, Vec<Expr>),
    /// `repartitionByRange(n, columns)`: exactly `n`, in order of the keys.
    Range(usize, Vec<Expr>),
}

impl Partitioning {
    /// The number asked for.
    pub fn count(&self) -> usize {
        match self {
            Self::Coalesce(n) | Self::RoundRobin(n) | Self::Hash(n, _) | Self::Range(n, _) => *n,
        }
    }
}

impl OutputColumn {
    /// The user's name.
    pub fn name(&self) -> &str {
        self.field.name()
    }
}

impl Translated {
    /// The schema as the user sees it: names may repeat.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(|c| Arc::clone(&c.field)).collect::<Vec<_>>()))
    }
}
