//! Relations that only SQL text has, as extension messages of our own.

use millstream_engine::{Result, SparkError};

use super::translator::{Frame, Translator};

impl Translator<'_> {
    pub(super) fn extension(&self, any: &prost_types::Any) -> Result<Frame> {
        Err(SparkError::unsupported(format!("the extension {}", any.type_url)))
    }
}
