//! Generates the server half of `SparkConnectService`.
//!
//! The official proto crate generates messages and a client only; the calls are listed here
//! and their types come from there, so there is no `.proto` file of our own.

use tonic_build::manual::{Builder, Method, Service};

/// Rust name, route, request, response, client streams, server streams.
const CALLS: &[(&str, &str, &str, &str, bool, bool)] = &[
    ("execute_plan", "ExecutePlan", "ExecutePlanRequest", "ExecutePlanResponse", false, true),
    ("analyze_plan", "AnalyzePlan", "AnalyzePlanRequest", "AnalyzePlanResponse", false, false),
    ("config", "Config", "ConfigRequest", "ConfigResponse", false, false),
    ("add_artifacts", "AddArtifacts", "AddArtifactsRequest", "AddArtifactsResponse", true, false),
    (
        "artifact_status",
        "ArtifactStatus",
        "ArtifactStatusesRequest",
        "ArtifactStatusesResponse",
        false,
        false,
    ),
    ("interrupt", "Interrupt", "InterruptRequest", "InterruptResponse", false, false),
    ("reattach_execute", "ReattachExecute", "ReattachExecuteRequest", "ExecutePlanResponse", false, true),
    ("release_execute", "ReleaseExecute", "ReleaseExecuteRequest", "ReleaseExecuteResponse", false, false),
    ("release_session", "ReleaseSession", "ReleaseSessionRequest", "ReleaseSessionResponse", false, false),
    (
        "fetch_error_details",
        "FetchErrorDetails",
        "FetchErrorDetailsRequest",
        "FetchErrorDetailsResponse",
        false,
        false,
    ),
    ("clone_session", "CloneSession", "CloneSessionRequest", "CloneSessionResponse", false, false),
    ("get_status", "GetStatus", "GetStatusRequest", "GetStatusResponse", false, false),
];

fn main() {
    let mut service = Service::builder().name("SparkConnectService").package("spark.connect");
    for &(name, route, input, output, client_streaming, server_streaming) in CALLS {
        let mut method = Method::builder()
            .name(name)
            .route_name(route)
            .input_type(format!("spark_connect_proto::{input}"))
            .output_type(format!("spark_connect_proto::{output}"))
            .codec_path("crate::connect::codec::ConnectCodec");
        if client_streaming {
            method = method.client_streaming();
        }
        if server_streaming {
            method = method.server_streaming();
        }
        service = service.method(method.build());
    }
    Builder::new().build_client(false).compile(&[service.build()]);
    println!("cargo:rerun-if-changed=build.rs");
}
