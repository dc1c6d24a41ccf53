//! `StreamingQuery.status`: what the query is doing right now, in Spark's words.

use serde_json::{Value, json};

/// Spark's `StreamingQueryStatus`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamingQueryStatus {
    /// One of Spark's messages; scripts compare them verbatim.
    pub message: String,
    /// Whether there is data that no batch has read yet.
    pub is_data_available: bool,
    /// Whether a trigger is being worked on.
    pub is_trigger_active: bool,
}

impl StreamingQueryStatus {
    /// Before the query's task has done anything.
    pub(crate) fn initial() -> Self {
        Self {
            message: "Initializing StreamExecution".to_string(),
            is_data_available: false,
            is_trigger_active: false,
        }
    }

    /// Spark's JSON.
    pub fn json(&self) -> Value {
        json!({
            "message": self.message,
            "isDataAvailable": self.is_data_available,
            "isTriggerActive": self.is_trigger_active,
        })
    }
}
