//! The operations of a session.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use millstream_engine::{Result, SparkError, time::Millis};
use parking_lot::Mutex;

use super::{Operation, OperationState};

/// How many ended operations are remembered for `GetStatus` and against double execution.
const REMEMBERED: usize = 1000;

/// The live operations of a session, and a memory of those that are gone.
#[derive(Debug, Default)]
pub struct Operations {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    live: BTreeMap<String, Arc<Operation>>,
    /// Oldest first.
    gone: VecDeque<Gone>,
}

#[derive(Debug)]
struct Gone {
    id: String,
    state: OperationState,
    abandoned: bool,
}

impl Operations {
    /// Adds a new operation.
    ///
    /// # Errors
    /// `INVALID_HANDLE.OPERATION_ALREADY_EXISTS`, or `.OPERATION_ABANDONED` when one with
    /// this id was given up: the client must not believe that it never ran.
    pub fn insert(&self, operation: Arc<Operation>) -> Result<()> {
        let mut inner = self.inner.lock();
        let refuse = |sub: &str| {
            Err(SparkError::new(&format!("INVALID_HANDLE.{sub}")).with("handle", operation.id.clone()))
        };
        if inner.live.contains_key(&operation.id) {
            return refuse("OPERATION_ALREADY_EXISTS");
        }
        if inner.gone.iter().any(|gone| gone.abandoned && gone.id == operation.id) {
            return refuse("OPERATION_ABANDONED");
        }
        inner.live.insert(operation.id.clone(), operation);
        Ok(())
    }

    /// A live operation.
    pub fn get(&self, id: &str) -> Option<Arc<Operation>> {
        self.inner.lock().live.get(id).cloned()
    }

    /// A live operation to attach to.
    ///
    /// # Errors
    /// `INVALID_HANDLE.OPERATION_NOT_FOUND` or `.OPERATION_ABANDONED`.
    pub fn find(&self, id: &str) -> Result<Arc<Operation>> {
        let inner = self.inner.lock();
        if let Some(operation) = inner.live.get(id) {
            return Ok(Arc::clone(operation));
        }
        let abandoned = inner.gone.iter().any(|gone| gone.abandoned && gone.id == id);
        let sub = if abandoned { "OPERATION_ABANDONED" } else { "OPERATION_NOT_FOUND" };
        Err(SparkError::new(&format!("INVALID_HANDLE.{sub}")).with("handle", id))
    }

    /// All live operations, sorted by id.
    pub fn live(&self) -> Vec<Arc<Operation>> {
        self.inner.lock().live.values().cloned().collect()
    }

    /// Removes an operation that is no longer needed, and cancels it if it still runs.
    pub fn remove(&self, id: &str) -> Option<Arc<Operation>> {
        self.take(id, false)
    }

    /// Gives up operations that nobody has read since `before`.
    pub fn abandon(&self, before: Millis) -> Vec<Arc<Operation>> {
        let detached =
            |operation: &Arc<Operation>| operation.detached_since().is_some_and(|since| since <= before);
        let found: Vec<_> = self.live().into_iter().filter(detached).collect();
        found.into_iter().filter_map(|operation| self.take(&operation.id, true)).collect()
    }

    /// Cancels and removes everything.
    pub fn clear(&self) {
        for operation in self.live() {
            self.take(&operation.id, true);
        }
    }

    /// States by id: of `ids`, or of all operations known when there are none.
    pub fn states(&self, ids: &[String]) -> Vec<(String, Option<OperationState>)> {
        let inner = self.inner.lock();
        let gone = inner.gone.iter().map(|gone| (gone.id.clone(), gone.state));
        let live = inner.live.values().map(|operation| (operation.id.clone(), operation.state()));
        let known: BTreeMap<_, _> = gone.chain(live).collect();
        if ids.is_empty() {
            return known.into_iter().map(|(id, state)| (id, Some(state))).collect();
        }
        ids.iter().map(|id| (id.clone(), known.get(id).copied())).collect()
    }

    fn take(&self, id: &str, abandoned: bool) -> Option<Arc<Operation>> {
        let operation = self.inner.lock().live.remove(id)?;
        operation.interrupt();
        let mut inner = self.inner.lock();
        inner.gone.push_back(Gone { id: operation.id.clone(), state: operation.state(), abandoned });
        if inner.gone.len() > REMEMBERED {
            inner.gone.pop_front();
        }
        drop(inner);
        Some(operation)
    }
}

#[cfg(test)]
mod tests {
    use spark_connect_proto::ExecutePlanRequest;

    use super::*;

    fn operation(id: &str, now: i64) -> Arc<Operation> {
        let request = Arc::new(ExecutePlanRequest::default());
        Arc::new(Operation::new(id.to_string(), request, true, "s".to_string(), Millis(now)))
    }

    #[test]
    fn abandoned_operations_are_not_run_again() {
        let operations = Operations::default();
        operations.insert(operation("a", 10)).unwrap();
        assert_eq!(
            operations.insert(operation("a", 10)).unwrap_err().class(),
            "INVALID_HANDLE.OPERATION_ALREADY_EXISTS"
        );
        assert!(operations.abandon(Millis(9)).is_empty());
        assert_eq!(operations.abandon(Millis(10)).len(), 1);
        assert_eq!(
            operations.insert(operation("a", 10)).unwrap_err().class(),
            "INVALID_HANDLE.OPERATION_ABANDONED"
        );
        assert_eq!(operations.find("a").unwrap_err().class(), "INVALID_HANDLE.OPERATION_ABANDONED");
        assert_eq!(operations.find("b").unwrap_err().class(), "INVALID_HANDLE.OPERATION_NOT_FOUND");
    }

    #[test]
    fn states_outlive_operations() {
        let operations = Operations::default();
        operations.insert(operation("a", 0)).unwrap();
        operations.insert(operation("b", 0)).unwrap();
        operations.remove("a");
        assert_eq!(
            operations.states(&[]),
            vec![
                ("a".to_string(), Some(OperationState::Cancelled)),
                ("b".to_string(), Some(OperationState::Running))
            ]
        );
        assert_eq!(operations.states(&["c".to_string()]), vec![("c".to_string(), None)]);
    }
}
