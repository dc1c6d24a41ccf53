//! The root of a plan, decompressed if need be.

use std::borrow::Cow;

use millstream_engine::{Result, SparkError};
use prost::Message;
use spark_connect_proto::{
    Command, CompressionCodec, Plan, Relation,
    plan::{CompressedOperation, OpType, compressed_operation::OpType as CompressedType},
};

use crate::connect::codec::too_deep;

/// Largest plan after decompression: the limit of a message.
const MAX_PLAN_BYTES: usize = crate::server::MAX_MESSAGE_BYTES;

/// What a plan is.
#[expect(clippy::large_enum_variant, reason = "one lives at a time")]
#[derive(Debug)]
pub enum Root<'a> {
    /// Rows to be answered.
    Relation(Cow<'a, Relation>),
    /// Something to be done.
    Command(Cow<'a, Command>),
}

/// The relation or command of `plan`.
///
/// # Errors
/// `CONNECT_INVALID_PLAN.*` for an empty or damaged plan.
pub fn unpack(plan: Option<&Plan>) -> Result<Root<'_>> {
    match plan.and_then(|p| p.op_type.as_ref()) {
        Some(OpType::Root(relation)) => Ok(Root::Relation(Cow::Borrowed(relation))),
        Some(OpType::Command(command)) => Ok(Root::Command(Cow::Borrowed(command))),
        Some(OpType::CompressedOperation(compressed)) => decompress(compressed),
        None => {
            Err(SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
                .with("message", "the plan is empty"))
        }
    }
}

/// The relation of a plan that is asked about.
///
/// # Errors
/// As [`unpack`]; a command where a relation is needed.
pub fn relation(plan: Option<&Plan>) -> Result<Cow<'_, Relation>> {
    match unpack(plan)? {
        Root::Relation(relation) => Ok(relation),
        Root::Command(_) => Err(SparkError::new("CONNECT_INVALID_PLAN.ASSERTION_FAILURE")
            .with("message", "a command cannot be analysed; a relation is needed")),
    }
}

fn decompress(compressed: &CompressedOperation) -> Result<Root<'static>> {
    let cannot = |text: String| SparkError::new("CONNECT_INVALID_PLAN.CANNOT_PARSE").with("errorMsg", text);
    if compressed.compression_codec() != CompressionCodec::Zstd {
        return Err(cannot("unknown compression codec".to_string()));
    }
    let bytes = inflate(&compressed.data).map_err(|e| cannot(e.to_string()))?;
    if too_deep(&bytes) {
        return Err(cannot("the plan is nested too deeply".to_string()));
    }
    match compressed.op_type() {
        CompressedType::Relation => {
            let relation = Relation::decode(bytes.as_slice()).map_err(|e| cannot(e.to_string()))?;
            Ok(Root::Relation(Cow::Owned(relation)))
        }
        CompressedType::Command => {
            let command = Command::decode(bytes.as_slice()).map_err(|e| cannot(e.to_string()))?;
            Ok(Root::Command(Cow::Owned(command)))
        }
        CompressedType::Unspecified => Err(cannot("neither relation nor command".to_string())),
    }
}

/// Inflates at most [`MAX_PLAN_BYTES`].
fn inflate(data: &[u8]) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    let limit = MAX_PLAN_BYTES as u64 + 1;
    zstd::stream::read::Decoder::new(data)?.take(limit).read_to_end(&mut out)?;
    if out.len() > MAX_PLAN_BYTES {
        return Err(std::io::Error::other(format!("the plan is larger than {MAX_PLAN_BYTES} bytes")));
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use spark_connect_proto::{Range, relation::RelType};

    use super::*;

    fn compressed(data: Vec<u8>) -> Plan {
        let mut operation = CompressedOperation { data: data.into(), ..Default::default() };
        operation.set_op_type(CompressedType::Relation);
        operation.set_compression_codec(CompressionCodec::Zstd);
        Plan { op_type: Some(OpType::CompressedOperation(operation)) }
    }

    #[test]
    fn compressed_plans_are_read() {
        let range = Relation {
            rel_type: Some(RelType::Range(Range { end: 7, step: 1, ..Default::default() })),
            ..Default::default()
        };
        let plan = compressed(zstd::encode_all(range.encode_to_vec().as_slice(), 1).unwrap());
        assert_eq!(relation(Some(&plan)).unwrap().as_ref(), &range);
    }

    #[test]
    fn damaged_plans_are_refused() {
        let plan = compressed(vec![1, 2, 3]);
        assert_eq!(unpack(Some(&plan)).unwrap_err().class(), "CONNECT_INVALID_PLAN.CANNOT_PARSE");
        let bomb = compressed(
            zstd::encode_all(std::io::Read::take(std::io::repeat(0), MAX_PLAN_BYTES as u64 + 10), 1).unwrap(),
        );
        assert_eq!(unpack(Some(&bomb)).unwrap_err().class(), "CONNECT_INVALID_PLAN.CANNOT_PARSE");
        assert!(unpack(None).is_err());
    }
}
