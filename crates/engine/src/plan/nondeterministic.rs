//! Columns that depend on a row's place and not on its values: `rand`, row ids, the partition.

use std::{collections::HashMap, collections::HashSet, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

/// What a column holds; Spark's expressions of the same names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowFunction {
    /// Uniform in `[0, 1)`, seeded by this and the partition's number.
    Rand(i64),
    /// Normal deviates, seeded by this and the partition's number.
    Randn(i64),
    /// The partition's number in the upper 31 bits, the row's within it below.
    MonotonicallyIncreasingId,
    /// The partition's number.
    SparkPartitionId,
}

impl RowFunction {
    /// Type of the column; it is never null.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Rand(_) | Self::Randn(_) => DataType::Float64,
            Self::MonotonicallyIncreasingId => DataType::Int64,
            Self::SparkPartitionId => DataType::Int32,
        }
    }
}

/// Appends such columns: each row's are drawn once, here and nowhere else.
///
/// # Invariants
/// A node of its own, because an optimiser may evaluate a volatile expression twice or on other
/// rows: no filter passes this node (it would change which rows draw which number).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Nondeterministic {
    input: Arc<LogicalPlan>,
    columns: Vec<(RowFunction, String)>,
    schema: DFSchemaRef,
}

impl PartialOrd for Nondeterministic {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.columns).partial_cmp(&(&other.input, &other.columns))
    }
}

impl Nondeterministic {
    /// `input` with a column of the given name for each function.
    ///
    /// # Errors
    /// When a name is taken.
    pub fn plan(input: LogicalPlan, columns: Vec<(RowFunction, String)>) -> Result<LogicalPlan> {
        let node = Self::try_new(Arc::new(input), columns)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn try_new(input: Arc<LogicalPlan>, columns: Vec<(RowFunction, String)>) -> Result<Self> {
        let mut fields: Vec<_> =
            input.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field))).collect();
        fields.extend(
            columns
                .iter()
                .map(|(function, name)| (None, Arc::new(Field::new(name, function.data_type(), false)))),
        );
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Self { input, columns, schema })
    }

    /// Whether `name` is a column this node appends.
    pub fn draws(&self, name: &str) -> bool {
        self.columns.iter().any(|(_, own)| own == name)
    }

    /// The functions, in the order of their columns.
    pub fn functions(&self) -> impl Iterator<Item = RowFunction> + '_ {
        self.columns.iter().map(|(function, _)| *function)
    }
}

impl UserDefinedLogicalNodeCore for Nondeterministic {
    fn name(&self) -> &str {
        "Nondeterministic"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.schema.fields().iter().map(|field| field.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<String> =
            self.columns.iter().map(|(function, name)| format!("{name} = {function:?}")).collect();
        write!(f, "Nondeterministic {}", columns.join(", "))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input = inputs
            .into_iter()
            .next()
            .ok_or_else(|| internal_datafusion_err!("a nondeterministic node without input"))?;
        Self::try_new(Arc::new(input), self.columns.clone())
    }
}
