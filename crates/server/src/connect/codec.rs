//! The message codec of the service: prost with a limit on nesting.
//!
//! prost's own limit of 100 levels is off, because real plans are deeper; without any limit
//! a small hostile message would overflow the stack. So the wire bytes are measured before
//! they are decoded. Spark's own limit is 1024 levels
//! (`spark.connect.grpc.marshallerRecursionLimit`).
//!
//! # Invariants
//! The threads that decode, translate and drop messages have stacks that hold
//! [`MAX_NESTING`] levels (see [`crate::runtime`]).

use std::marker::PhantomData;

use bytes::Buf;
use prost::Message;
use tonic::{
    Code, Status,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder},
};
use tonic_prost::ProstEncoder;

/// Deepest nesting of messages that is decoded. A relation or an expression takes two or
/// three levels.
pub const MAX_NESTING: usize = 4096;

/// A nested message costs at least two bytes a level, so shorter ones cannot be too deep.
const SHORT: usize = 2 * MAX_NESTING;

/// [`tonic_prost::ProstCodec`] that refuses what is nested too deeply.
#[derive(Debug, Clone)]
pub struct ConnectCodec<T, U> {
    messages: PhantomData<(T, U)>,
}

impl<T, U> Default for ConnectCodec<T, U> {
    fn default() -> Self {
        Self { messages: PhantomData }
    }
}

impl<T, U> Codec for ConnectCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = ConnectDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstEncoder::new(BufferSettings::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ConnectDecoder { message: PhantomData }
    }
}

/// Decodes one message.
#[derive(Debug, Clone)]
pub struct ConnectDecoder<U> {
    message: PhantomData<U>,
}

impl<U: Message + Default> Decoder for ConnectDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // One contiguous copy of the frame; byte fields of the message are slices of it.
        let frame = buf.copy_to_bytes(buf.remaining());
        if too_deep(&frame) {
            return Err(Status::new(
                Code::InvalidArgument,
                format!("the message is nested more than {MAX_NESTING} levels deep"),
            ));
        }
        U::decode(frame).map(Some).map_err(|e| Status::new(Code::Internal, e.to_string()))
    }
}

/// Whether `frame` holds messages nested deeper than [`MAX_NESTING`].
///
/// The wire format does not tell messages from strings, so a length-delimited field counts
/// as a message when all of it reads as fields. Linear in the number of fields.
pub fn too_deep(frame: &[u8]) -> bool {
    if frame.len() < SHORT {
        return false;
    }
    let mut level = vec![frame];
    let mut depth = 0;
    while !level.is_empty() {
        depth += 1;
        if depth > MAX_NESTING {
            return true;
        }
        let mut next = Vec::new();
        for message in level {
            let found = next.len();
            if fields(message, &mut next).is_none() {
                next.truncate(found);
            }
        }
        level = next;
    }
    false
}

/// Pushes the length-delimited fields of `message`; `None` when it is no message.
fn fields<'a>(mut message: &'a [u8], out: &mut Vec<&'a [u8]>) -> Option<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        if tag >> 3 == 0 {
            return None;
        }
        match tag & 7 {
            0 => {
                varint(&mut message)?;
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let field = message.get(..length)?;
                if !field.is_empty() {
                    out.push(field);
                }
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use spark_connect_proto as proto;

    use super::*;

    /// `limit(limit(...))`, two levels of messages each.
    fn nested_limits(count: usize) -> Vec<u8> {
        let mut bytes = proto::Relation::default().encode_to_vec();
        for _ in 0..count {
            for tag in [0x0a, 0x42] {
                let mut outer = vec![tag];
                prost::encoding::encode_varint(bytes.len() as u64, &mut outer);
                outer.extend_from_slice(&bytes);
                bytes = outer;
            }
        }
        bytes
    }

    #[test]
    fn deep_messages_are_measured_before_decoding() {
        assert!(!too_deep(&nested_limits(MAX_NESTING / 2 - 2)));
        assert!(too_deep(&nested_limits(MAX_NESTING / 2 + 2)));
    }

    #[test]
    fn a_long_string_is_not_deep() {
        let sql = proto::Sql { query: "select 1 union all ".repeat(10_000), ..Default::default() };
        assert!(!too_deep(&sql.encode_to_vec()));
    }
}
