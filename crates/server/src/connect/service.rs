//! The calls of `SparkConnectService`, each handed to where it is done.

use std::sync::Arc;

use millstream_engine::{Result as SparkResult, SparkError};
use spark_connect_proto as proto;
use tonic::{Request, Response, Status, Streaming};

use super::{
    analyze, artifacts, config, execute, generated::spark_connect_service_server::SparkConnectService,
    interrupt, status,
};
use crate::{
    operation::{OperationState, ResponseStream},
    server::Server,
    session::{Session, SessionKey},
};

type Answer<T> = Result<Response<T>, Status>;

/// Answers the calls for one [`Server`].
#[derive(Debug, Clone)]
pub struct ConnectService {
    server: Arc<Server>,
}

impl ConnectService {
    /// The service of `server`.
    pub fn new(server: Arc<Server>) -> Self {
        Self { server }
    }

    /// The session of a request, made if there is none.
    fn session(
        &self,
        user: Option<proto::UserContext>,
        id: String,
        observed: Option<&String>,
    ) -> Result<Arc<Session>, Status> {
        let key = key(user, id);
        self.server
            .sessions
            .get_or_create(key.clone(), observed.map(String::as_str))
            .map_err(|e| self.status(&key, &e))
    }

    /// The status of an error that may have no session to be kept in.
    fn status(&self, key: &SessionKey, error: &SparkError) -> Status {
        match self.server.sessions.find(key) {
            Some(session) => session.status(error),
            None => status::status(error, None),
        }
    }
}

/// Key of the session a request names.
fn key(user: Option<proto::UserContext>, session_id: String) -> SessionKey {
    SessionKey { user: user.unwrap_or_default().user_id, session_id }
}

/// An answer, or the error as a status the session remembers.
fn answer<T>(session: &Session, result: SparkResult<T>) -> Answer<T> {
    result.map(Response::new).map_err(|error| session.status(&error))
}

#[tonic::async_trait]
impl SparkConnectService for ConnectService {
    type ExecutePlanStream = ResponseStream;
    type ReattachExecuteStream = ResponseStream;

    async fn execute_plan(&self, request: Request<proto::ExecutePlanRequest>) -> Answer<ResponseStream> {
        let r = request.into_inner();
        let session = self.session(
            r.user_context.clone(),
            r.session_id.clone(),
            r.client_observed_server_side_session_id.as_ref(),
        )?;
        answer(&session, execute::execute(&self.server, &session, r))
    }

    async fn analyze_plan(
        &self,
        request: Request<proto::AnalyzePlanRequest>,
    ) -> Answer<proto::AnalyzePlanResponse> {
        let r = request.into_inner();
        let session = self.session(
            r.user_context.clone(),
            r.session_id.clone(),
            r.client_observed_server_side_session_id.as_ref(),
        )?;
        let result = match analyze::allowed(r.user_context.as_ref(), r.analyze.as_ref()) {
            Ok(()) => analyze::analyze(&self.server, &session, r.analyze).await,
            Err(refused) => Err(refused),
        };
        let result = result.map(|result| proto::AnalyzePlanResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            result: Some(result),
        });
        answer(&session, result)
    }

    async fn config(&self, request: Request<proto::ConfigRequest>) -> Answer<proto::ConfigResponse> {
        let r = request.into_inner();
        let session = self.session(
            r.user_context,
            r.session_id.clone(),
            r.client_observed_server_side_session_id.as_ref(),
        )?;
        let result = config::config(&session.conf, r.operation).map(|answer| proto::ConfigResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            pairs: answer.pairs,
            warnings: answer.warnings,
        });
        answer(&session, result)
    }

    async fn add_artifacts(
        &self,
        request: Request<Streaming<proto::AddArtifactsRequest>>,
    ) -> Answer<proto::AddArtifactsResponse> {
        let mut stream = request.into_inner();
        let Some(first) = stream.message().await? else {
            return Err(Status::invalid_argument("AddArtifacts without a message"));
        };
        let session = self.session(
            first.user_context.clone(),
            first.session_id.clone(),
            first.client_observed_server_side_session_id.as_ref(),
        )?;
        let session_id = first.session_id.clone();
        let mut upload = artifacts::Upload::new(&session.artifacts);
        let mut message = Some(first);
        while let Some(current) = message {
            upload.message(current).map_err(|error| session.status(&error))?;
            message = stream.message().await?;
        }
        let result = upload.finish().map(|artifacts| proto::AddArtifactsResponse {
            session_id,
            server_side_session_id: session.server_side_id.clone(),
            artifacts,
        });
        answer(&session, result)
    }

    async fn artifact_status(
        &self,
        request: Request<proto::ArtifactStatusesRequest>,
    ) -> Answer<proto::ArtifactStatusesResponse> {
        let r = request.into_inner();
        let session = self.session(
            r.user_context,
            r.session_id.clone(),
            r.client_observed_server_side_session_id.as_ref(),
        )?;
        let statuses = r.names.into_iter().map(|name| {
            let exists = session.artifacts.exists(&name);
            (name, proto::artifact_statuses_response::ArtifactStatus { exists })
        });
        Ok(Response::new(proto::ArtifactStatusesResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            statuses: statuses.collect(),
        }))
    }

    async fn interrupt(&self, request: Request<proto::InterruptRequest>) -> Answer<proto::InterruptResponse> {
        let r = request.into_inner();
        let session = self.session(
            r.user_context.clone(),
            r.session_id.clone(),
            r.client_observed_server_side_session_id.as_ref(),
        )?;
        let result = interrupt::interrupt(&session, &r).map(|interrupted_ids| proto::InterruptResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            interrupted_ids,
        });
        answer(&session, result)
    }

    async fn reattach_execute(
        &self,
        request: Request<proto::ReattachExecuteRequest>,
    ) -> Answer<ResponseStream> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id);
        let observed = r.client_observed_server_side_session_id.as_deref();
        let session = self.server.sessions.get(&key, observed).map_err(|e| self.status(&key, &e))?;
        answer(
            &session,
            execute::reattach(&self.server, &session, &r.operation_id, r.last_response_id.as_deref()),
        )
    }

    async fn release_execute(
        &self,
        request: Request<proto::ReleaseExecuteRequest>,
    ) -> Answer<proto::ReleaseExecuteResponse> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id.clone());
        let observed = r.client_observed_server_side_session_id.as_deref();
        let session = self.server.sessions.get(&key, observed).map_err(|e| self.status(&key, &e))?;
        let result = execute::release(&session, &r.operation_id, r.release.as_ref());
        let result = result.map(|operation_id| proto::ReleaseExecuteResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            operation_id,
        });
        answer(&session, result)
    }

    async fn release_session(
        &self,
        request: Request<proto::ReleaseSessionRequest>,
    ) -> Answer<proto::ReleaseSessionResponse> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id.clone());
        let server_side_session_id =
            self.server.close_session(&key, r.allow_reconnect).await.unwrap_or_default();
        Ok(Response::new(proto::ReleaseSessionResponse { session_id: r.session_id, server_side_session_id }))
    }

    async fn fetch_error_details(
        &self,
        request: Request<proto::FetchErrorDetailsRequest>,
    ) -> Answer<proto::FetchErrorDetailsResponse> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id.clone());
        let observed = r.client_observed_server_side_session_id.as_deref();
        let session = self.server.sessions.get(&key, observed).map_err(|e| self.status(&key, &e))?;
        let details = session.take_error(&r.error_id).map(|error| status::error_details(&error));
        Ok(Response::new(proto::FetchErrorDetailsResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            ..details.unwrap_or_default()
        }))
    }

    async fn clone_session(
        &self,
        request: Request<proto::CloneSessionRequest>,
    ) -> Answer<proto::CloneSessionResponse> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id.clone());
        let (source, clone) = self
            .server
            .sessions
            .clone_session(
                &key,
                r.client_observed_server_side_session_id.as_deref(),
                r.new_session_id.as_deref(),
            )
            .map_err(|e| self.status(&key, &e))?;
        Ok(Response::new(proto::CloneSessionResponse {
            session_id: r.session_id,
            server_side_session_id: source.server_side_id.clone(),
            new_session_id: clone.key.session_id.clone(),
            new_server_side_session_id: clone.server_side_id.clone(),
        }))
    }

    async fn get_status(
        &self,
        request: Request<proto::GetStatusRequest>,
    ) -> Answer<proto::GetStatusResponse> {
        let r = request.into_inner();
        let key = key(r.user_context, r.session_id.clone());
        let observed = r.client_observed_server_side_session_id.as_deref();
        let session = self.server.sessions.get(&key, observed).map_err(|e| self.status(&key, &e))?;
        let states = r.operation_status.map(|asked| session.operations.states(&asked.operation_ids));
        let operation_statuses = states.unwrap_or_default().into_iter().map(|(operation_id, state)| {
            let state = operation_state(state) as i32;
            proto::get_status_response::OperationStatus { operation_id, state, ..Default::default() }
        });
        Ok(Response::new(proto::GetStatusResponse {
            session_id: r.session_id,
            server_side_session_id: session.server_side_id.clone(),
            operation_statuses: operation_statuses.collect(),
            ..Default::default()
        }))
    }
}

fn operation_state(
    state: Option<OperationState>,
) -> proto::get_status_response::operation_status::OperationState {
    use proto::get_status_response::operation_status::OperationState as Proto;
    match state {
        None => Proto::Unknown,
        Some(OperationState::Running) => Proto::Running,
        Some(OperationState::Succeeded) => Proto::Succeeded,
        Some(OperationState::Failed) => Proto::Failed,
        Some(OperationState::Cancelled) => Proto::Cancelled,
    }
}
