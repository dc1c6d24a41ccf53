//! Temporary views.

use std::collections::BTreeMap;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::Relation;

/// Named relations. Names are compared without case.
#[derive(Debug, Clone, Default)]
pub struct Views {
    by_name: BTreeMap<String, View>,
}

/// A view: the plan it was made from.
#[derive(Debug, Clone)]
pub struct View {
    /// Its name as given.
    pub name: String,
    /// Its plan.
    pub relation: std::sync::Arc<Relation>,
}

impl Views {
    /// Creates a view, or replaces one.
    ///
    /// # Errors
    /// `TEMP_TABLE_OR_VIEW_ALREADY_EXISTS` when it exists and must not be replaced.
    pub fn create(&mut self, name: &str, relation: Relation, replace: bool) -> Result<()> {
        let key = name.to_lowercase();
        if !replace && self.by_name.contains_key(&key) {
            return Err(SparkError::new("TEMP_TABLE_OR_VIEW_ALREADY_EXISTS")
                .with("relationName", format!("`{name}`")));
        }
        self.by_name.insert(key, View { name: name.to_string(), relation: std::sync::Arc::new(relation) });
        Ok(())
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
}
