//! `StateCodec`: how state files are compressed.

use std::{
    io::{Read, Write},
    path::Path,
};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

use super::state_file::damaged;
use crate::{Result, SparkError};

/// The setting that names the codec.
const KEY: &str = "spark.sql.streaming.stateStore.compression.codec";
/// State is written with each batch and hardly ever read.
const ZSTD_LEVEL: i32 = 1;

/// What `spark.sql.streaming.stateStore.compression.codec` says. A file states its own codec: one
/// that was chosen before does not matter to a restart.
///
/// Spark differs: it goes on with the codec that the checkpoint was begun with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StateCodec {
    /// LZ4 frames, as by default in Spark. Next to [`StateCodec::Zstd`], files are a quarter to a
    /// third larger and are made in a quarter of the time.
    #[default]
    Lz4,
    /// Zstandard.
    Zstd,
}

impl StateCodec {
    /// The codec a session asks for; LZ4 if it does not.
    ///
    /// # Errors
    /// `CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION` for a name that is none of Spark's, and
    /// `UNSUPPORTED_FEATURE` naming those of Spark's that are not there.
    pub fn named(name: Option<&str>) -> Result<Self> {
        let Some(name) = name else { return Ok(Self::default()) };
        match name.to_ascii_lowercase().as_str() {
            "lz4" => Ok(Self::Lz4),
            "zstd" => Ok(Self::Zstd),
            "lzf" | "snappy" => Err(SparkError::unsupported(format!("{KEY}={name}"))),
            _ => Err(SparkError::new("CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION")
                .with("codecName", name)
                .with("configKey", format!("\"{KEY}\""))
                .with("configVal", "\"LZ4\"")),
        }
    }

    /// Its name in a file's header.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }

    /// What `write` writes, compressed.
    ///
    /// # Errors
    /// `write`'s.
    pub(super) fn compress(self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<Vec<u8>> {
        let failed = |e: &dyn std::fmt::Display| SparkError::internal(format!("{}: {e}", self.name()));
        match self {
            Self::Lz4 => {
                // Blocks of their own, of this size: others were slower or not smaller.
                let frame =
                    FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max256KB);
                let mut encoder = FrameEncoder::with_frame_info(frame, Vec::new());
                write(&mut encoder)?;
                encoder.finish().map_err(|e| failed(&e))
            }
            Self::Zstd => {
                let mut encoder =
                    zstd::stream::Encoder::new(Vec::new(), ZSTD_LEVEL).map_err(|e| failed(&e))?;
                write(&mut encoder)?;
                encoder.finish().map_err(|e| failed(&e))
            }
        }
    }
}

/// `bytes` of the file at `path` as they were before the codec `name` compressed them.
///
/// # Errors
/// `CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE`: no codec has this name.
pub(super) fn reader<'a>(name: &str, bytes: &'a [u8], path: &Path) -> Result<Box<dyn Read + 'a>> {
    Ok(match name {
        "none" => Box::new(bytes),
        "lz4" => Box::new(FrameDecoder::new(bytes)),
        "zstd" => {
            let decoder = zstd::stream::Decoder::new(bytes);
            Box::new(decoder.map_err(|e| damaged(path, &format!("its body does not decompress: {e}")))?)
        }
        other => return Err(damaged(path, &format!("its body is compressed by the unknown codec {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sparks() {
        assert_eq!(StateCodec::named(None).unwrap(), StateCodec::Lz4);
        assert_eq!(StateCodec::named(Some("LZ4")).unwrap(), StateCodec::Lz4);
        assert_eq!(StateCodec::named(Some("zstd")).unwrap(), StateCodec::Zstd);
        let refused = |name| StateCodec::named(Some(name)).unwrap_err();
        assert_eq!(refused("zip").class(), "CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION");
        assert!(refused("snappy").to_string().contains(&format!("{KEY}=snappy")));
    }

    #[test]
    fn each_codec_reads_what_it_wrote() {
        let plain: Vec<u8> = (0..1_000_000u32).flat_map(|i| (i / 7).to_le_bytes()).collect();
        for codec in [StateCodec::Lz4, StateCodec::Zstd] {
            let compressed = codec
                .compress(|to| to.write_all(&plain).map_err(|e| SparkError::internal(e.to_string())))
                .unwrap();
            assert!(compressed.len() < plain.len() / 2, "{codec:?}: {}", compressed.len());
            let mut read = Vec::new();
            let path = Path::new("1.change");
            reader(codec.name(), &compressed, path).unwrap().read_to_end(&mut read).unwrap();
            assert!(read == plain, "{codec:?}");
        }
    }
}
