//! Artifacts of a session: today the cached pieces of local relations.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use millstream_engine::{Result, SparkError};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

/// Artifacts whose name says the SHA-256 of their content.
const CACHE: &str = "cache/";

/// Cached blobs by hash.
#[derive(Debug, Clone, Default)]
pub struct Artifacts {
    cached: Arc<Mutex<HashMap<String, Bytes>>>,
}

impl Artifacts {
    /// A copy that later changes of either do not touch.
    pub fn fork(&self) -> Self {
        Self { cached: Arc::new(Mutex::new(self.cached.lock().clone())) }
    }

    /// Whether an artifact is here, by its name (`cache/<sha256>`).
    pub fn exists(&self, name: &str) -> bool {
        name.strip_prefix(CACHE).is_some_and(|hash| self.cached.lock().contains_key(hash))
    }

    /// A cached blob.
    ///
    /// # Errors
    /// `CONNECT_INVALID_PLAN.CANNOT_FIND_CACHED_LOCAL_RELATION`.
    pub fn cached(&self, hash: &str) -> Result<Bytes> {
        self.cached.lock().get(hash).cloned().ok_or_else(|| {
            SparkError::new("CONNECT_INVALID_PLAN.CANNOT_FIND_CACHED_LOCAL_RELATION").with("hash", hash)
        })
    }

    /// Stores an artifact.
    ///
    /// # Errors
    /// Names outside `cache/` are not supported yet (Python files, jars, archives); a blob
    /// that does not have the hash of its name is refused.
    pub fn add(&self, name: &str, data: Bytes) -> Result<()> {
        let Some(hash) = name.strip_prefix(CACHE) else {
            return Err(SparkError::unsupported(format!("the artifact `{name}` (addArtifacts of files)")));
        };
        let actual: String = Sha256::digest(&data).iter().map(|b| format!("{b:02x}")).collect();
        if actual != hash {
            return Err(SparkError::new("INVALID_ARTIFACT_PATH").with("name", name));
        }
        self.cached.lock().insert(hash.to_string(), data);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = "cache/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    #[test]
    fn blobs_are_kept_by_their_hash() {
        let artifacts = Artifacts::default();
        assert!(!artifacts.exists(HELLO));
        artifacts.add(HELLO, Bytes::from_static(b"hello")).unwrap();
        assert!(artifacts.exists(HELLO));
        assert_eq!(artifacts.cached(&HELLO["cache/".len()..]).unwrap(), "hello");
        let class = |r: Result<()>| r.unwrap_err().class();
        assert_eq!(class(artifacts.add(HELLO, Bytes::from_static(b"other"))), "INVALID_ARTIFACT_PATH");
        assert_eq!(class(artifacts.add("pyfiles/a.py", Bytes::new())), "UNSUPPORTED_FEATURE.MILLSTREAM");
        assert!(artifacts.cached("00").is_err());
    }
}
