//! What a stateful aggregate keeps: types of keys and buffers, and how groups become final.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::{
    batch::Frame, buffer_set::BufferSet, groups::Groups, keyed_groups::KeyedGroups, pane_grid::PaneGrid,
    pane_groups::PaneGroups, session_groups::SessionGroups,
};
use crate::{
    Result,
    operators::{
        aggregate::AggregateCall,
        stateful::{StateDefinition, StateStore},
    },
    plan::EventTimeKey,
    query::{BatchId, OperatorWatermarks},
    sink::OutputMode,
    state::{StateLayout, StateSchema, spark_type_name},
    time::{Millis, WindowSpec},
};

/// The parts of a stateful aggregate that do not change from batch to batch.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// Keys without the fused window or the session.
    pub(super) key_types: Vec<DataType>,
    pub(super) key_names: Vec<String>,
    /// Place among the keys, and name, of the fused window or the session.
    pub(super) window_column: Option<(usize, String)>,
    pub(super) calls: Vec<AggregateCall>,
    pub(super) window: Option<WindowSpec>,
    /// How sessions merge, if a key is a session window.
    pub(super) sessions: Option<Sessions>,
    pub(super) event_time: Option<EventTimeKey>,
    pub(super) mode: OutputMode,
}

/// How sessions merge.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sessions {
    /// See [`SessionGroups`].
    pub(super) local_merge: bool,
}

impl StateDefinition for Spec {
    type State = Box<dyn Groups>;

    fn name(&self) -> &'static str {
        if self.sessions.is_some() { "sessionWindowStateStoreSaveExec" } else { "stateStoreSave" }
    }

    fn spark_stores(&self) -> Vec<(&'static str, usize)> {
        // Spark looks sessions up by their key without the start.
        vec![("default", if self.sessions.is_some() { self.key_types.len() } else { 0 })]
    }

    fn stores(&self) -> Result<Vec<StateStore>> {
        // All sessions of a key together replace those it had.
        let at_once = self.sessions.is_some();
        let (rows, schema) = (self.stored_schema()?, self.state_schema()?);
        Ok(vec![StateStore { directory: "", rows, schema, layout: self.layout(), at_once }])
    }

    fn create(&self) -> Result<Box<dyn Groups>> {
        Ok(match (self.window, self.sessions) {
            (Some(window), _) => Box::new(PaneGroups::new(self, PaneGrid::new(window))?),
            (None, Some(sessions)) => Box::new(SessionGroups::new(self, sessions.local_merge)?),
            (None, None) => Box::new(KeyedGroups::new(self)?),
        })
    }

    fn wants_batch(&self, previous: Millis, watermark: Millis) -> bool {
        // Whatever the keys: Spark runs it also where nothing can become final.
        self.mode != OutputMode::Complete && watermark > previous
    }
}

impl Spec {
    /// What the groups need to know of a batch.
    pub(super) fn frame(&self, batch: BatchId, watermarks: OperatorWatermarks) -> Frame {
        let event_time = self.event_time.is_some();
        let complete = self.mode == OutputMode::Complete;
        // In complete mode Spark takes late rows, but not those of sessions.
        let filters = event_time && (!complete || self.sessions.is_some());
        let evicts = event_time && !complete;
        Frame {
            batch: batch.0,
            mode: self.mode,
            late: filters.then(|| watermarks.late.as_micros()),
            evict: evicts.then(|| watermarks.eviction.as_micros()),
        }
    }

    /// What the stored rows mean to a reader.
    fn layout(&self) -> StateLayout {
        let finals = self.event_time.is_some() && self.mode != OutputMode::Complete;
        let (position, name) = self.window_column.clone().unwrap_or_default();
        match (self.window, self.sessions) {
            (Some(window), _) => StateLayout::Windows {
                duration: window.duration(),
                slide: window.slide(),
                start: window.start_time(),
                position,
                name,
                finals,
            },
            (None, Some(_)) => {
                // What the function makes is called so, until somebody names it.
                let name = if name == "window" { "session_window".to_string() } else { name };
                StateLayout::Sessions { position, name, finals }
            }
            (None, None) => {
                let final_by = match self.event_time {
                    Some(EventTimeKey::Column(index) | EventTimeKey::WindowColumn(index)) => Some(index),
                    _ => None,
                };
                StateLayout::Groups { final_by: final_by.filter(|_| finals) }
            }
        }
    }

    /// Columns of the stored rows: the pane number or the session if there is one, keys, buffers.
    pub(super) fn stored_schema(&self) -> Result<SchemaRef> {
        let mut fields: Vec<Arc<Field>> = Vec::new();
        if self.window.is_some() {
            fields.push(Arc::new(Field::new("pane", DataType::Int64, false)));
        }
        if self.sessions.is_some() {
            fields.push(Arc::new(Field::new("sessionStart", DataType::Int64, false)));
            fields.push(Arc::new(Field::new("sessionEnd", DataType::Int64, false)));
        }
        for (i, data_type) in self.key_types.iter().enumerate() {
            fields.push(Arc::new(Field::new(format!("key{i}"), data_type.clone(), true)));
        }
        fields.extend(BufferSet::fields(&self.calls)?);
        Ok(Arc::new(Schema::new(fields)))
    }

    /// What has to stay the same from run to run.
    pub(super) fn state_schema(&self) -> Result<StateSchema> {
        let mut keys: Vec<(String, String)> = Vec::new();
        if let Some(window) = self.window {
            let (duration, slide, start) = (window.duration(), window.slide(), window.start_time());
            keys.push(("window".to_string(), format!("panes<{duration} us,{slide} us,{start} us>")));
        }
        if self.sessions.is_some() {
            keys.push(("session_window".to_string(), "sessions".to_string()));
        }
        let named = self.key_names.iter().zip(&self.key_types);
        keys.extend(named.map(|(name, data_type)| (name.clone(), spark_type_name(data_type))));
        let buffers = BufferSet::fields(&self.calls)?;
        let values = buffers.iter().map(|f| (f.name().clone(), spark_type_name(f.data_type()))).collect();
        Ok(StateSchema { keys, values })
    }
}
