//! `AddArtifacts`: uploads, whole or in chunks, each with its checksum.

use bytes::{Bytes, BytesMut};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    AddArtifactsRequest,
    add_artifacts_request::{ArtifactChunk, Payload},
    add_artifacts_response::ArtifactSummary,
};

use crate::session::artifacts::Artifacts;

/// Largest artifact that is taken.
const MAX_ARTIFACT_BYTES: i64 = 4 << 30;

/// One `AddArtifacts` call.
///
/// # Invariants
/// An artifact is stored only when all of its chunks have arrived and every checksum fits.
#[derive(Debug)]
pub struct Upload<'a> {
    artifacts: &'a Artifacts,
    open: Option<Open>,
    summaries: Vec<ArtifactSummary>,
}

/// An artifact whose chunks are still coming.
#[derive(Debug)]
struct Open {
    name: String,
    total_bytes: i64,
    missing_chunks: i64,
    sound: bool,
    data: BytesMut,
}

impl<'a> Upload<'a> {
    /// An upload into `artifacts`.
    pub fn new(artifacts: &'a Artifacts) -> Self {
        Self { artifacts, open: None, summaries: Vec::new() }
    }

    /// Takes the next message.
    ///
    /// # Errors
    /// Chunks that do not belong together, and artifacts that cannot be stored.
    pub fn message(&mut self, message: AddArtifactsRequest) -> Result<()> {
        match message.payload {
            Some(Payload::Batch(batch)) => {
                self.none_open()?;
                for artifact in batch.artifacts {
                    let chunk = artifact.data.unwrap_or_default();
                    self.store(artifact.name, chunk.data.clone(), is_sound(&chunk))?;
                }
                Ok(())
            }
            Some(Payload::BeginChunk(begin)) => {
                self.none_open()?;
                if begin.total_bytes > MAX_ARTIFACT_BYTES {
                    return Err(protocol("the artifact is too large"));
                }
                self.open = Some(Open {
                    name: begin.name,
                    total_bytes: begin.total_bytes,
                    missing_chunks: begin.num_chunks,
                    sound: true,
                    data: BytesMut::new(),
                });
                self.chunk(&begin.initial_chunk.unwrap_or_default())
            }
            Some(Payload::Chunk(chunk)) => self.chunk(&chunk),
            None => Err(protocol("a message without a payload")),
        }
    }

    /// The summaries, in the order of upload.
    ///
    /// # Errors
    /// When an artifact is incomplete.
    pub fn finish(self) -> Result<Vec<ArtifactSummary>> {
        self.none_open()?;
        Ok(self.summaries)
    }

    fn chunk(&mut self, chunk: &ArtifactChunk) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Err(protocol("a chunk of no artifact"));
        };
        open.sound &= is_sound(chunk);
        open.data.extend_from_slice(&chunk.data);
        open.missing_chunks -= 1;
        if i64::try_from(open.data.len()).unwrap_or(i64::MAX) > open.total_bytes {
            return Err(protocol("an artifact is longer than announced"));
        }
        if open.missing_chunks > 0 {
            return Ok(());
        }
        let Some(Open { name, total_bytes, sound, data, .. }) = self.open.take() else {
            return Ok(());
        };
        if i64::try_from(data.len()).unwrap_or(i64::MAX) != total_bytes {
            return Err(protocol("an artifact is shorter than announced"));
        }
        self.store(name, data.freeze(), sound)
    }

    fn store(&mut self, name: String, data: Bytes, sound: bool) -> Result<()> {
        if sound {
            self.artifacts.add(&name, data)?;
        }
        self.summaries.push(ArtifactSummary { name, is_crc_successful: sound });
        Ok(())
    }

    fn none_open(&self) -> Result<()> {
        match &self.open {
            Some(open) => Err(protocol(&format!("the artifact {} is incomplete", open.name))),
            None => Ok(()),
        }
    }
}

fn is_sound(chunk: &ArtifactChunk) -> bool {
    i64::from(crc32fast::hash(&chunk.data)) == chunk.crc
}

fn protocol(what: &str) -> SparkError {
    SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE").with("message", format!("AddArtifacts: {what}"))
}

#[cfg(test)]
mod tests {
    use spark_connect_proto::add_artifacts_request::BeginChunkedArtifact;

    use super::*;

    const HELLO: &str = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";

    fn chunk(data: &'static [u8]) -> ArtifactChunk {
        ArtifactChunk { data: Bytes::from_static(data), crc: i64::from(crc32fast::hash(data)) }
    }

    fn begin(total_bytes: i64, num_chunks: i64, first: ArtifactChunk) -> AddArtifactsRequest {
        let payload = Payload::BeginChunk(BeginChunkedArtifact {
            name: format!("cache/{HELLO}"),
            total_bytes,
            num_chunks,
            initial_chunk: Some(first),
        });
        AddArtifactsRequest { payload: Some(payload), ..Default::default() }
    }

    fn next(chunk: ArtifactChunk) -> AddArtifactsRequest {
        AddArtifactsRequest { payload: Some(Payload::Chunk(chunk)), ..Default::default() }
    }

    #[test]
    fn chunks_are_put_together() {
        let artifacts = Artifacts::default();
        let mut upload = Upload::new(&artifacts);
        upload.message(begin(5, 2, chunk(b"hel"))).unwrap();
        upload.message(next(chunk(b"lo"))).unwrap();
        assert!(upload.finish().unwrap()[0].is_crc_successful);
        assert_eq!(artifacts.cached(HELLO).unwrap(), "hello");
    }

    #[test]
    fn a_wrong_checksum_is_reported_and_nothing_is_stored() {
        let artifacts = Artifacts::default();
        let mut upload = Upload::new(&artifacts);
        upload.message(begin(5, 1, ArtifactChunk { crc: 1, ..chunk(b"hello") })).unwrap();
        assert!(!upload.finish().unwrap()[0].is_crc_successful);
        assert!(artifacts.cached(HELLO).is_err());
    }

    #[test]
    fn incomplete_artifacts_are_errors() {
        let artifacts = Artifacts::default();
        let mut upload = Upload::new(&artifacts);
        upload.message(begin(5, 2, chunk(b"hel"))).unwrap();
        assert!(upload.finish().is_err());
        let mut upload = Upload::new(&artifacts);
        assert!(upload.message(next(chunk(b"lo"))).is_err());
        assert!(upload.message(begin(9, 1, chunk(b"hello"))).is_err());
    }
}
