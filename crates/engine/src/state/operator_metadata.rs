//! Spark's operator metadata file, `state/<operator>/_metadata/metadata` (v1).

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{
    Result, SparkError,
    checkpoint::storage::{Storage, read_failed, write_failed},
};

/// Which operator a state directory belongs to: `v1`, newline, one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorMetadata {
    operator_info: OperatorInfo,
    state_store_info: Vec<StateStoreInfo>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct OperatorInfo {
    operator_id: usize,
    operator_name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StateStoreInfo {
    store_name: String,
    num_cols_prefix_key: usize,
    num_partitions: usize,
}

impl OperatorMetadata {
    /// An operator with one store; `partitions` is Spark's shuffle partition count, which
    /// decides how its readers expect the state to be split.
    pub fn new(operator_id: usize, operator_name: &str, partitions: usize) -> Self {
        let store = StateStoreInfo {
            store_name: "default".to_string(),
            num_cols_prefix_key: 0,
            num_partitions: partitions,
        };
        let operator_info = OperatorInfo { operator_id, operator_name: operator_name.to_string() };
        Self { operator_info, state_store_info: vec![store] }
    }

    /// The same operator with these stores (name, number of prefix columns of the key).
    #[must_use]
    pub fn with_stores(mut self, stores: &[(&str, usize)]) -> Self {
        let partitions = self.state_store_info.first().map_or(0, |s| s.num_partitions);
        let store = |(name, prefix): &(&str, usize)| StateStoreInfo {
            store_name: (*name).to_string(),
            num_cols_prefix_key: *prefix,
            num_partitions: partitions,
        };
        self.state_store_info = stores.iter().map(store).collect();
        self
    }

    /// Where the file stands under the operator's directory.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("_metadata").join("metadata")
    }

    /// The file's content.
    ///
    /// # Errors
    /// Never in practice: the fields always print.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_string(self)
            .map_err(|e| SparkError::internal(format!("operator metadata: {e}")))?;
        Ok(format!("v1\n{json}").into_bytes())
    }

    /// Writes the file if there is none.
    ///
    /// # Errors
    /// The storage's, as a Spark error.
    pub fn write_once(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = Self::path(dir);
        if storage.info(&path).map_err(|e| read_failed(&path, e))?.is_some() {
            return Ok(());
        }
        storage.write_atomic(&path, &self.encode()?).map_err(|e| write_failed(&path, e))
    }

    /// Reads the file of the operator in `dir`.
    ///
    /// # Errors
    /// The file is missing or damaged.
    pub fn read(storage: &dyn Storage, dir: &Path) -> Result<Self> {
        let path = Self::path(dir);
        let bytes = storage.read(&path).map_err(|e| read_failed(&path, e))?;
        Self::parse(&path, &bytes)
    }

    fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        let json = bytes.strip_prefix(b"v1\n").unwrap_or(bytes);
        serde_json::from_slice(json).map_err(|e| {
            SparkError::new("CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE")
                .with("fileToRead", path.display().to_string())
                .with("reason", format!("it does not parse: {e}"))
        })
    }

    /// Spark's name of the operator.
    pub fn operator_name(&self) -> &str {
        &self.operator_info.operator_name
    }

    /// Name, number of prefix columns and number of partitions of each store.
    pub fn stores(&self) -> impl Iterator<Item = (&str, usize, usize)> {
        let stores = self.state_store_info.iter();
        stores.map(|s| (s.store_name.as_str(), s.num_cols_prefix_key, s.num_partitions))
    }

    /// Compares with the file that is there, if one is.
    ///
    /// # Errors
    /// `STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA` when another operator
    /// wrote it: the query was changed.
    pub fn check(&self, storage: &dyn Storage, dir: &Path) -> Result<()> {
        let path = Self::path(dir);
        if storage.info(&path).map_err(|e| read_failed(&path, e))?.is_none() {
            return Ok(());
        }
        let stored = Self::read(storage, dir)?;
        if stored.operator_info != self.operator_info {
            let show = |o: &OperatorInfo| {
                format!("(OperatorId: {} -> OperatorName: {})", o.operator_id, o.operator_name)
            };
            return Err(SparkError::new("STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA")
                .with("OpsInMetadataSeq", show(&stored.operator_info))
                .with("OpsInCurBatchSeq", show(&self.operator_info)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_sparks() {
        let text =
            String::from_utf8(OperatorMetadata::new(0, "stateStoreSave", 3).encode().unwrap()).unwrap();
        assert_eq!(
            text,
            "v1\n{\"operatorInfo\":{\"operatorId\":0,\"operatorName\":\"stateStoreSave\"},\"stateStoreInfo\":[{\"storeName\":\"default\",\"numColsPrefixKey\":0,\"numPartitions\":3}]}"
        );
    }
}
