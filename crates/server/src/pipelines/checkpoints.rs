//! Where flows keep their checkpoints: `<storage>/_checkpoints/<dataset>/<flow>/<n>`, as Spark.
//!
//! `<dataset>` is a folder for each part of its name. A full refresh begins the next `<n>`.

use std::path::PathBuf;

use millstream_engine::{
    Result, SparkError,
    checkpoint::{
        StorageRef,
        storage::{blocking, read_failed, write_failed},
    },
};

use super::graph::Flow;
use crate::execute::write_stream::local_path;

/// The checkpoints below a storage root.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    root: PathBuf,
    storage: StorageRef,
}

impl Checkpoints {
    /// The checkpoints of a run whose `storage` was given as a URI.
    ///
    /// # Errors
    /// `PIPELINE_STORAGE_ROOT_INVALID` for a path without a scheme; other schemes than `file:`.
    pub fn of(root: &str, storage: StorageRef) -> Result<Self> {
        let absolute =
            root.split_once(':').is_some_and(|(scheme, path)| !scheme.contains('/') && path.starts_with('/'));
        if !absolute {
            return Err(
                SparkError::new("PIPELINE_STORAGE_ROOT_INVALID").with("storage_root", format!("`{root}`"))
            );
        }
        Ok(Self { root: local_path(root)?.join("_checkpoints"), storage })
    }

    fn of_flow(&self, flow: &Flow) -> PathBuf {
        let mut folder = self.root.clone();
        folder.extend(flow.destination.parts());
        folder.join(&flow.name.table)
    }

    /// The newest checkpoint of a flow; the first is 0.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub async fn latest(&self, flow: &Flow) -> Result<PathBuf> {
        let (folder, number) = self.newest(flow).await?;
        Ok(folder.join(number.unwrap_or(0).to_string()))
    }

    /// Begins a new checkpoint for a flow that has one.
    ///
    /// # Errors
    /// The storage's.
    pub async fn reset(&self, flow: &Flow) -> Result<()> {
        let (folder, Some(number)) = self.newest(flow).await? else { return Ok(()) };
        let (next, storage) = (folder.join((number + 1).to_string()), self.storage.clone());
        blocking(move || storage.create_dir_all(&next).map_err(|e| write_failed(&next, e))).await
    }

    async fn newest(&self, flow: &Flow) -> Result<(PathBuf, Option<u64>)> {
        let (folder, storage) = (self.of_flow(flow), self.storage.clone());
        let listed = folder.clone();
        let found = blocking(move || storage.list(&listed).map_err(|e| read_failed(&listed, e))).await?;
        Ok((folder, found.iter().filter_map(|entry| entry.name.parse().ok()).max()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use millstream_engine::checkpoint::LocalStorage;

    use super::*;
    use crate::pipelines::identifier::{Identifier, QueryContext};

    #[tokio::test]
    async fn a_full_refresh_begins_the_next_number() {
        let folder = tempfile::tempdir().unwrap();
        let uri = format!("file://{}", folder.path().display());
        let checkpoints = Checkpoints::of(&uri, Arc::new(LocalStorage)).unwrap();
        let name = |text: &str| Identifier::parse(text).unwrap();
        let flow = Flow {
            name: name("c.d.f"),
            destination: name("c.d.t"),
            relation: Default::default(),
            conf: Default::default(),
            context: QueryContext { catalog: None, database: None },
        };
        checkpoints.reset(&flow).await.unwrap();
        let first = checkpoints.latest(&flow).await.unwrap();
        assert_eq!(first, folder.path().join("_checkpoints/c/d/t/f/0"));
        std::fs::create_dir_all(&first).unwrap();
        checkpoints.reset(&flow).await.unwrap();
        assert!(checkpoints.latest(&flow).await.unwrap().ends_with("f/1"));
        for bad in ["/tmp/x", "x", "", "tmp:x"] {
            assert_eq!(
                Checkpoints::of(bad, Arc::new(LocalStorage)).unwrap_err().class(),
                "PIPELINE_STORAGE_ROOT_INVALID",
                "{bad}"
            );
        }
    }
}
