//! The two `google.rpc` messages that gRPC error details are made of.

use std::collections::HashMap;

/// `google.rpc.Status`: what the `grpc-status-details-bin` trailer holds.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RpcStatus {
    /// gRPC status code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The same text as in `grpc-message`.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Packed details.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<prost_types::Any>,
}

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ErrorInfo {
    /// Java class of the exception.
    #[prost(string, tag = "1")]
    pub reason: String,
    /// `org.apache.spark`.
    #[prost(string, tag = "2")]
    pub domain: String,
    /// `classes`, `sqlState`, `errorClass`, `messageParameters`, `errorId`.
    #[prost(map = "string, string", tag = "3")]
    pub metadata: HashMap<String, String>,
}

/// Type URL of a packed [`ErrorInfo`].
pub const ERROR_INFO_URL: &str = "type.googleapis.com/google.rpc.ErrorInfo";
