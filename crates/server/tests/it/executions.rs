//! Executions: responses, reattaching, releasing, interrupting.

use spark_connect_proto::{
    GetStatusRequest, InterruptRequest, ReattachExecuteRequest, ReleaseExecuteRequest,
    StreamingQueryManagerCommand,
    command::CommandType,
    execute_plan_response::ResponseType,
    get_status_response::operation_status::OperationState,
    interrupt_request::InterruptType,
    release_execute_request::{Release, ReleaseAll, ReleaseUntil},
    streaming_query_manager_command,
};

use crate::client::{Client, all, uuid};

fn reattach(client: &Client, operation: &str, last: Option<&str>) -> ReattachExecuteRequest {
    ReattachExecuteRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        operation_id: operation.to_string(),
        last_response_id: last.map(str::to_string),
        ..Default::default()
    }
}

fn release(client: &Client, operation: &str, release: Release) -> ReleaseExecuteRequest {
    ReleaseExecuteRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        operation_id: operation.to_string(),
        release: Some(release),
        ..Default::default()
    }
}

#[tokio::test]
async fn responses_can_be_read_again_until_they_are_released() {
    let mut client = Client::start().await;
    let id = uuid();
    let request = client.clean_cache(Some(&id));
    let responses = all(client.rpc.execute_plan(request).await.unwrap().into_inner()).await.unwrap();
    assert_eq!(responses.len(), 2);
    assert!(
        matches!(responses[1].response_type, Some(ResponseType::ResultComplete(_))),
        "{:?}",
        responses[1]
    );
    assert!(responses.iter().all(|r| r.operation_id == id && r.session_id == client.session_id));

    let request = reattach(&client, &id, None);
    let again = all(client.rpc.reattach_execute(request).await.unwrap().into_inner()).await.unwrap();
    assert_eq!(again, responses);
    let request = reattach(&client, &id, Some(&responses[0].response_id));
    let rest = all(client.rpc.reattach_execute(request).await.unwrap().into_inner()).await.unwrap();
    assert_eq!(rest, responses[1..]);

    let until = Release::ReleaseUntil(ReleaseUntil { response_id: responses[0].response_id.clone() });
    let released = client.rpc.release_execute(release(&client, &id, until)).await.unwrap().into_inner();
    assert_eq!(released.operation_id.as_deref(), Some(id.as_str()));
    let request = reattach(&client, &id, None);
    let status = all(client.rpc.reattach_execute(request).await.unwrap().into_inner()).await.unwrap_err();
    assert!(status.message().contains("INVALID_CURSOR.POSITION_NOT_AVAILABLE"), "{}", status.message());

    let everything = release(&client, &id, Release::ReleaseAll(ReleaseAll {}));
    client.rpc.release_execute(everything.clone()).await.unwrap();
    assert_eq!(client.rpc.release_execute(everything).await.unwrap().into_inner().operation_id, None);
    let request = reattach(&client, &id, None);
    let status = client.rpc.reattach_execute(request).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.OPERATION_NOT_FOUND"), "{}", status.message());
}

#[tokio::test]
async fn a_repeated_request_attaches_to_the_same_operation() {
    let mut client = Client::start().await;
    let id = uuid();
    let request = client.clean_cache(Some(&id));
    let first = all(client.rpc.execute_plan(request.clone()).await.unwrap().into_inner()).await.unwrap();
    let second = all(client.rpc.execute_plan(request.clone()).await.unwrap().into_inner()).await.unwrap();
    assert_eq!(first, second);
    let mut other = request;
    other.plan = None;
    let status = client.rpc.execute_plan(other).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.OPERATION_ALREADY_EXISTS"), "{}", status.message());
    let bad = client.clean_cache(Some("nonsense"));
    let status = client.rpc.execute_plan(bad).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.FORMAT"), "{}", status.message());
}

#[tokio::test]
async fn an_execution_that_is_not_reattachable_leaves_nothing_behind() {
    let mut client = Client::start().await;
    let id = uuid();
    let mut request = client.clean_cache(Some(&id));
    request.request_options.clear();
    let responses = all(client.rpc.execute_plan(request).await.unwrap().into_inner()).await.unwrap();
    assert_eq!(responses.len(), 1);
    let request = reattach(&client, &id, None);
    let status = client.rpc.reattach_execute(request).await.unwrap_err();
    assert!(status.message().contains("INVALID_HANDLE.OPERATION_NOT_FOUND"), "{}", status.message());
}

/// Waiting for any query to end, where there is none, goes on until it is told to end.
#[tokio::test]
async fn a_closed_stream_cancels_nothing_and_interrupt_does() {
    let mut client = Client::start().await;
    let id = uuid();
    let wait = StreamingQueryManagerCommand {
        command: Some(streaming_query_manager_command::Command::AwaitAnyTermination(Default::default())),
    };
    let mut request = client.request(CommandType::StreamingQueryManagerCommand(wait), Some(&id));
    request.tags = vec!["mine".to_string()];
    drop(client.rpc.execute_plan(request).await.unwrap().into_inner());

    let status = GetStatusRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        operation_status: Some(Default::default()),
        ..Default::default()
    };
    let states = client.rpc.get_status(status.clone()).await.unwrap().into_inner().operation_statuses;
    assert_eq!((states[0].operation_id.as_str(), states[0].state()), (id.as_str(), OperationState::Running));

    let mut interrupt = InterruptRequest {
        session_id: client.session_id.clone(),
        user_context: client.user(),
        ..Default::default()
    };
    interrupt.set_interrupt_type(InterruptType::Tag);
    interrupt.interrupt =
        Some(spark_connect_proto::interrupt_request::Interrupt::OperationTag("mine".to_string()));
    let interrupted = client.rpc.interrupt(interrupt.clone()).await.unwrap().into_inner().interrupted_ids;
    assert_eq!(interrupted, std::slice::from_ref(&id));
    assert!(client.rpc.interrupt(interrupt).await.unwrap().into_inner().interrupted_ids.is_empty());
    let request = reattach(&client, &id, None);
    let error = all(client.rpc.reattach_execute(request).await.unwrap().into_inner()).await.unwrap_err();
    assert!(error.message().contains("OPERATION_CANCELED"), "{}", error.message());
    let states = client.rpc.get_status(status).await.unwrap().into_inner().operation_statuses;
    assert_eq!(states[0].state(), OperationState::Cancelled);
}
