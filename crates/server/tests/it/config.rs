//! `spark.conf`.

use spark_connect_proto::{
    KeyValue,
    config_request::{Get, GetAll, GetOption, GetWithDefault, IsModifiable, Set, Unset, operation::OpType},
};

use crate::client::Client;

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_string(), value: Some(value.to_string()) }
}

fn keys(keys: &[&str]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn settings_are_set_read_and_unset() {
    let mut client = Client::start().await;
    let set = Set { pairs: vec![pair("spark.sql.ansi.enabled", "false")], silent: None };
    client.config(OpType::Set(set)).await.unwrap();
    let asked = keys(&["spark.sql.ansi.enabled", "spark.sql.streaming.checkpointLocation"]);
    let got = client.config(OpType::Get(Get { keys: asked.clone() })).await.unwrap();
    assert_eq!(got[0].value.as_deref(), Some("false"));
    assert_eq!(got[1].value, None);
    let all = client.config(OpType::GetAll(GetAll { prefix: Some("spark.sql.".to_string()) })).await.unwrap();
    assert_eq!(all, [pair("ansi.enabled", "false")]);
    client.config(OpType::Unset(Unset { keys: asked })).await.unwrap();
    let got = client
        .config(OpType::GetOption(GetOption { keys: keys(&["spark.sql.ansi.enabled", "x"]) }))
        .await
        .unwrap();
    assert_eq!((got[0].value.as_deref(), got[1].value.as_deref()), (Some("true"), None));
    let with_default = GetWithDefault { pairs: vec![pair("spark.x", "7")] };
    assert_eq!(client.config(OpType::GetWithDefault(with_default)).await.unwrap(), [pair("spark.x", "7")]);
    let modifiable = IsModifiable { keys: keys(&["spark.sql.ansi.enabled", "spark.sql.warehouse.dir"]) };
    let modifiable = client.config(OpType::IsModifiable(modifiable)).await.unwrap();
    assert_eq!(
        (modifiable[0].value.as_deref(), modifiable[1].value.as_deref()),
        (Some("true"), Some("false"))
    );
}

#[tokio::test]
async fn wrong_settings_fail_and_silent_ones_warn() {
    let mut client = Client::start().await;
    let wrong = vec![pair("spark.sql.ansi.enabled", "maybe")];
    let status = client.config(OpType::Set(Set { pairs: wrong.clone(), silent: None })).await.unwrap_err();
    assert!(status.message().starts_with("[INVALID_CONF_VALUE.TYPE_MISMATCH]"), "{}", status.message());
    let silent = Set { pairs: wrong, silent: Some(true) };
    assert!(client.config(OpType::Set(silent)).await.unwrap().is_empty());
    let status = client.config(OpType::Get(Get { keys: keys(&["spark.sql.nosuch"]) })).await.unwrap_err();
    assert!(status.message().contains("\"spark.sql.nosuch\" cannot be found"), "{}", status.message());
}
