//! Errors as a client sees them.

use spark_connect_proto::{
    FetchErrorDetailsRequest,
    config_request::{Get, operation::OpType},
};

use crate::client::Client;

/// The value after `name` in the packed ErrorInfo, found by its shape.
fn error_id(details: &[u8]) -> String {
    let text = String::from_utf8_lossy(details);
    let after = text.split("errorId").nth(1).unwrap();
    after.chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').take(36).collect()
}

#[tokio::test]
async fn details_of_an_error_can_be_fetched_once() {
    let mut client = Client::start().await;
    let get = Get { keys: vec!["spark.sql.nosuch".to_string()] };
    let status = client.config(OpType::Get(get)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Internal);
    let request = FetchErrorDetailsRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        error_id: error_id(status.details()),
        ..Default::default()
    };
    let details = client.rpc.fetch_error_details(request.clone()).await.unwrap().into_inner();
    assert_eq!(details.root_error_idx, Some(0));
    let error = &details.errors[0];
    assert_eq!(error.error_type_hierarchy[0], "org.apache.spark.SparkNoSuchElementException");
    let throwable = error.spark_throwable.as_ref().unwrap();
    assert_eq!(throwable.error_class.as_deref(), Some("SQL_CONF_NOT_FOUND"));
    assert_eq!(throwable.sql_state.as_deref(), Some("42K0I"));
    assert_eq!(throwable.message_parameters["sqlConf"], "\"spark.sql.nosuch\"");
    let again = client.rpc.fetch_error_details(request).await.unwrap().into_inner();
    assert_eq!(again.root_error_idx, None);
}
