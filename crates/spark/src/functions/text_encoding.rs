//! Text as bytes and bytes as text: charsets, Base64, URLs.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BinaryBuilder};
use millstream_engine::{Result, SparkError};

use super::{Args, Function, Output, kernel, string::map};
use crate::expression::Input;

use Input::{Binary, String as Str};

pub(super) const FUNCTIONS: &[Function] = &[
    kernel(&["base64"], &[Binary], 1, Output::String, base64),
    kernel(&["unbase64"], &[Str], 1, Output::Binary, unbase64),
    kernel(&["encode"], &[Str, Str], 2, Output::Binary, encode),
    kernel(&["decode"], &[Binary, Str], 2, Output::String, decode),
    kernel(&["url_encode"], &[Str], 1, Output::String, |args| map(args, url_encode)),
];

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(args: &Args) -> Result<ArrayRef> {
    let bytes = args.binaries(0)?;
    args.build_strings(|row, out| {
        for chunk in bytes.value(row).chunks(3) {
            let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte))
                << (8 * (3 - chunk.len()));
            for i in 0..4 {
                if i <= chunk.len() {
                    let digit = (group >> (18 - 6 * i)) & 63;
                    out.extend(BASE64.get(usize::try_from(digit).unwrap_or(0)).map(|b| char::from(*b)));
                } else {
                    out.push('=');
                }
            }
        }
        Ok(true)
    })
}

/// MIME decoding: characters outside of the alphabet are skipped.
fn unbase64(args: &Args) -> Result<ArrayRef> {
    let texts = args.strings(0)?;
    let mut out = BinaryBuilder::new();
    for text in &texts {
        let Some(text) = text else {
            out.append_null();
            continue;
        };
        let (mut bytes, mut bits, mut digits) = (Vec::new(), 0u32, 0);
        for byte in text.bytes().take_while(|b| *b != b'=') {
            let Some(digit) = BASE64.iter().position(|known| *known == byte) else { continue };
            bits = bits << 6 | u32::try_from(digit).unwrap_or(0);
            digits += 1;
            if digits % 4 != 1 {
                let shift = [0, 0, 4, 2][digits % 4];
                bytes.push((bits >> shift) as u8);
            }
        }
        if digits % 4 == 1 {
            return Err(SparkError::new("CONVERSION_INVALID_INPUT")
                .with("str", format!("'{text}'"))
                .with("fmt", "'BASE64'")
                .with("targetType", "\"BINARY\"")
                .with("suggestion", "`try_to_binary`"));
        }
        out.append_value(bytes);
    }
    Ok(Arc::new(out.finish()))
}

fn charset(name: &str, function: &str) -> Result<()> {
    if matches!(name.to_ascii_uppercase().as_str(), "UTF-8" | "UTF8" | "US-ASCII") {
        return Ok(());
    }
    Err(SparkError::unsupported(format!("the charset {name} of `{function}`")))
}

fn encode(args: &Args) -> Result<ArrayRef> {
    let (texts, charsets) = (args.strings(0)?, args.strings(1)?);
    let mut out = BinaryBuilder::new();
    for (text, name) in texts.iter().zip(charsets.iter()) {
        match text.zip(name) {
            Some((text, name)) => {
                charset(name, "encode")?;
                out.append_value(text.as_bytes());
            }
            None => out.append_null(),
        }
    }
    Ok(Arc::new(out.finish()))
}

fn decode(args: &Args) -> Result<ArrayRef> {
    let (bytes, charsets) = (args.binaries(0)?, args.strings(1)?);
    args.build_strings(|row, out| {
        charset(charsets.value(row), "decode")?;
        match std::str::from_utf8(bytes.value(row)) {
            Ok(text) => {
                out.push_str(text);
                Ok(true)
            }
            Err(_) => Err(SparkError::new("MALFORMED_CHARACTER_CODING")
                .with("function", "`decode`")
                .with("charset", charsets.value(row))),
        }
    })
}

fn url_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}
