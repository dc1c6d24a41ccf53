//! The `compression` option of text formats: how written files are compressed.

use std::io::Write;

use super::Options;
use crate::{Result, SparkError};

/// A codec for whole files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Compression {
    /// As is.
    #[default]
    None,
    /// `.gz`
    Gzip,
    /// `.bz2`
    Bzip2,
    /// `.deflate`: a zlib stream, as in Hadoop.
    Deflate,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// The codec `compression` (or `codec`) names.
    pub(crate) fn of(options: &Options) -> Result<Self> {
        let Some(name) = options.get("compression").or(options.get("codec")) else { return Ok(Self::None) };
        Ok(match name.to_ascii_lowercase().as_str() {
            "none" | "uncompressed" => Self::None,
            "gzip" | "org.apache.hadoop.io.compress.gzipcodec" => Self::Gzip,
            "bzip2" | "org.apache.hadoop.io.compress.bzip2codec" => Self::Bzip2,
            "deflate" | "org.apache.hadoop.io.compress.deflatecodec" => Self::Deflate,
            "zstd" | "org.apache.hadoop.io.compress.zstandardcodec" => Self::Zstd,
            "lz4" | "snappy" => {
                return Err(SparkError::unsupported(format!("writing text files compressed with {name}")));
            }
            _ => {
                return Err(SparkError::new("CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION")
                    .with("codecName", name)
                    .with("availableCodecs", "bzip2, deflate, uncompressed, snappy, none, lz4, gzip, zstd"));
            }
        })
    }

    /// What a file name gets after the format's own end, dot included.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Gzip => ".gz",
            Self::Bzip2 => ".bz2",
            Self::Deflate => ".deflate",
            Self::Zstd => ".zst",
        }
    }

    /// The compressed form of the file that `pieces` are, one after the other.
    pub(crate) fn compress(self, pieces: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>> {
        let packed = match self {
            Self::None => return Ok(pieces),
            Self::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                write_to(&mut out, &pieces).and_then(|()| out.finish())
            }
            Self::Bzip2 => {
                let mut out = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
                write_to(&mut out, &pieces).and_then(|()| out.finish())
            }
            Self::Deflate => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
                write_to(&mut out, &pieces).and_then(|()| out.finish())
            }
            Self::Zstd => zstd::Encoder::new(Vec::new(), 3).and_then(|mut out| {
                write_to(&mut out, &pieces)?;
                out.finish()
            }),
        };
        packed.map(|packed| vec![packed]).map_err(|e| SparkError::internal("compression failed").caused_by(e))
    }
}

fn write_to(out: &mut impl Write, pieces: &[Vec<u8>]) -> std::io::Result<()> {
    pieces.iter().try_for_each(|piece| out.write_all(piece))
}
