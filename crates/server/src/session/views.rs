//! Temporary views, and the tables of memory sinks.

use std::collections::BTreeMap;

use millstream_engine::{Result, SparkError, sink::MemorySink};
use millstream_spark::plan::ResolvedTable;

/// Named relations. Names are compared without case.
#[derive(Debug, Clone, Default)]
pub struct Views {
    by_name: BTreeMap<String, View>,
}

/// A view.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name as given.
    pub name: String,
    definition: Definition,
}

#[derive(Debug, Clone)]
enum Definition {
    Relation(ResolvedTable),
    Memory(MemorySink),
}

impl View {
    /// What a plan that refers to it gets.
    pub fn resolved(&self) -> ResolvedTable {
        match &self.definition {
            Definition::Relation(table) => table.clone(),
            Definition::Memory(sink) => {
                let columns = sink.schema();
                let names: Vec<String> = (0..columns.fields().len()).map(|i| format!("c{i}")).collect();
                ResolvedTable::Shown { provider: sink.table(&names), columns }
            }
        }
    }
}

impl Views {
    /// Creates a view, or replaces one.
    ///
    /// # Errors
    /// `TEMP_TABLE_OR_VIEW_ALREADY_EXISTS` when it exists and must not be replaced.
    pub fn create(&mut self, name: &str, table: ResolvedTable, replace: bool) -> Result<()> {
        if !replace && self.get(name).is_some() {
            return Err(SparkError::new("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS")
                .with("relationName", format!("`{name}`")));
        }
        self.put(name, Definition::Relation(table));
        Ok(())
    }

    /// Makes the table of a memory sink readable under its query's name.
    pub fn put_memory(&mut self, name: &str, sink: MemorySink) {
        self.put(name, Definition::Memory(sink));
    }

    /// The view called `name`.
    pub fn get(&self, name: &str) -> Option<&View> {
        self.by_name.get(&name.to_lowercase())
    }

    /// Drops a view; returns whether there was one.
    pub fn drop_view(&mut self, name: &str) -> bool {
        self.by_name.remove(&name.to_lowercase()).is_some()
    }

    /// All views, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &View> {
        self.by_name.values()
    }

    fn put(&mut self, name: &str, definition: Definition) {
        self.by_name.insert(name.to_lowercase(), View { name: name.to_string(), definition });
    }
}
