//! Sessions: isolation, release, clone.

use spark_connect_proto::{
    AnalyzePlanRequest, CloneSessionRequest, KeyValue, ReattachExecuteRequest, ReleaseSessionRequest,
    analyze_plan_request::{Analyze, SparkVersion},
    analyze_plan_response,
    config_request::{Get, Set, operation::OpType},
};

use crate::client::{Client, uuid};

fn get(key: &str) -> OpType {
    OpType::Get(Get { keys: vec![key.to_string()] })
}

#[tokio::test]
async fn the_version_is_sparks() {
    let mut client = Client::start().await;
    let request = AnalyzePlanRequest {
        session_id: client.session_id.clone(),
        analyze: Some(Analyze::SparkVersion(SparkVersion {})),
        ..Default::default()
    };
    match client.rpc.analyze_plan(request).await.unwrap().into_inner().result {
        Some(analyze_plan_response::Result::SparkVersion(v)) => {
            assert!(v.version.starts_with("4."), "{}", v.version)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_released_session_is_closed_for_good() {
    let mut client = Client::start().await;
    client.config(get("spark.sql.ansi.enabled")).await.unwrap();
    let release = ReleaseSessionRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        ..Default::default()
    };
    let released = client.rpc.release_session(release.clone()).await.unwrap().into_inner();
    assert!(!released.server_side_session_id.is_empty());
    assert!(client.rpc.release_session(release).await.is_ok());
    let status = client.config(get("spark.sql.ansi.enabled")).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.SESSION_CLOSED"), "{}", status.message());
}

#[tokio::test]
async fn unknown_sessions_and_bad_ids_are_told_apart() {
    let mut client = Client::start().await;
    let reattach = ReattachExecuteRequest { session_id: uuid(), operation_id: uuid(), ..Default::default() };
    let status = client.rpc.reattach_execute(reattach).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.SESSION_NOT_FOUND"), "{}", status.message());
    client.session_id = "nonsense".to_string();
    let status = client.config(get("spark.sql.ansi.enabled")).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.FORMAT"), "{}", status.message());
}

#[tokio::test]
async fn a_clone_has_the_settings_of_its_source() {
    let mut client = Client::start().await;
    let pair = KeyValue { key: "spark.my".to_string(), value: Some("1".to_string()) };
    client.config(OpType::Set(Set { pairs: vec![pair], silent: None })).await.unwrap();
    let request = CloneSessionRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        ..Default::default()
    };
    let clone = client.rpc.clone_session(request).await.unwrap().into_inner();
    assert_ne!(clone.new_session_id, client.session_id);
    client.session_id = clone.new_session_id;
    let got = client.config(get("spark.my")).await.unwrap();
    assert_eq!(got[0].value.as_deref(), Some("1"));
}
