//! Spark's `Expand`: each row once for each grouping set.

use std::{collections::HashMap, fmt, sync::Arc};

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{Column, DFSchema, DFSchemaRef, Result, internal_datafusion_err},
    logical_expr::{Expr, Extension, LogicalPlan, UserDefinedLogicalNodeCore},
};

/// Gives each row once for each grouping set, with the keys that are not in the set null, and
/// a column that tells the sets apart.
///
/// Rows of one set keep their order. Output: the input's columns under their names, the keys
/// nullable, and the set's id, a bigint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Expand {
    input: Arc<LogicalPlan>,
    keys: Vec<Column>,
    sets: Vec<GroupingSetRow>,
    id: String,
    schema: DFSchemaRef,
}

/// What one grouping set makes of a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupingSetRow {
    /// By key: whether it stays.
    pub kept: Vec<bool>,
    /// Tells the set from all others.
    pub id: i64,
}

impl PartialOrd for Expand {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        (&self.input, &self.keys, &self.id).partial_cmp(&(&other.input, &other.keys, &other.id))
    }
}

impl Expand {
    /// `input` expanded over `sets` of `keys`; the sets' ids go into the new column `id`.
    ///
    /// # Errors
    /// Keys that are not in `input`, names that repeat.
    pub fn plan(
        input: Arc<LogicalPlan>,
        keys: Vec<Column>,
        sets: Vec<GroupingSetRow>,
        id: String,
    ) -> Result<LogicalPlan> {
        let node = Self::try_new(input, keys, sets, id)?;
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
    }

    fn try_new(
        input: Arc<LogicalPlan>,
        keys: Vec<Column>,
        sets: Vec<GroupingSetRow>,
        id: String,
    ) -> Result<Self> {
        let places =
            keys.iter().map(|key| input.schema().index_of_column(key)).collect::<Result<Vec<_>>>()?;
        let fields = input.schema().iter().enumerate().map(|(i, (qualifier, field))| {
            let field = match places.contains(&i) {
                true => Arc::new(field.as_ref().clone().with_nullable(true)),
                false => Arc::clone(field),
            };
            (qualifier.cloned(), field)
        });
        let mut fields: Vec<_> = fields.collect();
        fields.push((None, Arc::new(Field::new(&id, DataType::Int64, false))));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
        Ok(Self { input, keys, sets, id, schema })
    }

    /// Places of the keys among the input's columns.
    ///
    /// # Errors
    /// Internal: the input lost a key.
    pub fn key_places(&self) -> Result<Vec<usize>> {
        self.keys.iter().map(|key| self.input.schema().index_of_column(key)).collect()
    }

    /// The sets, in the order in which their rows come.
    pub fn sets(&self) -> &[GroupingSetRow] {
        &self.sets
    }
}

impl UserDefinedLogicalNodeCore for Expand {
    fn name(&self) -> &str {
        "Expand"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |set: &GroupingSetRow| {
            let keys = self.keys.iter().zip(&set.kept).filter(|(_, kept)| **kept);
            format!("({})", keys.map(|(key, _)| key.name.as_str()).collect::<Vec<_>>().join(", "))
        };
        let sets: Vec<String> = self.sets.iter().map(named).collect();
        write!(f, "Expand: [{}], {}", sets.join(", "), self.id)
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let input =
            inputs.into_iter().next().ok_or_else(|| internal_datafusion_err!("expand without input"))?;
        Self::try_new(Arc::new(input), self.keys.clone(), self.sets.clone(), self.id.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let mut needed: Vec<usize> = output_columns.iter().copied().filter(|i| *i < width).collect();
        needed.extend(self.key_places().ok()?);
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
