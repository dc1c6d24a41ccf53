//! A server and a client for it.

use std::net::SocketAddr;

use millstream_server::{
    server::{Server, bind},
    session::conf::BaseConf,
};
use spark_connect_proto::{
    Command, ConfigRequest, ExecutePlanRequest, ExecutePlanResponse, KeyValue, MlCommand, Plan,
    ReattachOptions, UserContext,
    command::CommandType,
    config_request::{self, operation::OpType},
    execute_plan_request::{RequestOption, request_option},
    ml_command, plan,
    spark_connect_service_client::SparkConnectServiceClient,
};
use tonic::{Status, Streaming, transport::Channel};

/// A session at a server of its own.
pub struct Client {
    pub rpc: SparkConnectServiceClient<Channel>,
    pub session_id: String,
}

impl Client {
    pub async fn start() -> Self {
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new(tokio::runtime::Handle::current(), BaseConf::default());
        tokio::spawn(server.serve(listener, std::future::pending()));
        let rpc = SparkConnectServiceClient::connect(format!("http://{address}")).await.unwrap();
        Self { rpc, session_id: uuid() }
    }

    pub fn user(&self) -> Option<UserContext> {
        Some(UserContext { user_id: "tester".to_string(), ..Default::default() })
    }

    pub async fn config(&mut self, operation: OpType) -> Result<Vec<KeyValue>, Status> {
        let request = ConfigRequest {
            session_id: self.session_id.clone(),
            user_context: self.user(),
            operation: Some(config_request::Operation { op_type: Some(operation) }),
            ..Default::default()
        };
        Ok(self.rpc.config(request).await?.into_inner().pairs)
    }

    /// A request that needs no engine: cleaning the cache of models.
    pub fn clean_cache(&self, operation_id: Option<&str>) -> ExecutePlanRequest {
        let clean = ml_command::Command::CleanCache(ml_command::CleanCache::default());
        self.request(CommandType::MlCommand(MlCommand { command: Some(clean) }), operation_id)
    }

    pub fn request(&self, command: CommandType, operation_id: Option<&str>) -> ExecutePlanRequest {
        let command = Command { command_type: Some(command) };
        self.plan(plan::OpType::Command(command), operation_id)
    }

    pub fn plan(&self, plan: plan::OpType, operation_id: Option<&str>) -> ExecutePlanRequest {
        let reattach = request_option::RequestOption::ReattachOptions(ReattachOptions { reattachable: true });
        ExecutePlanRequest {
            session_id: self.session_id.clone(),
            user_context: self.user(),
            operation_id: operation_id.map(str::to_string),
            plan: Some(Plan { op_type: Some(plan) }),
            request_options: vec![RequestOption { request_option: Some(reattach) }],
            ..Default::default()
        }
    }
}

pub fn uuid() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Reads a stream to its end.
pub async fn all(mut stream: Streaming<ExecutePlanResponse>) -> Result<Vec<ExecutePlanResponse>, Status> {
    let mut responses = Vec::new();
    while let Some(response) = stream.message().await? {
        responses.push(response);
    }
    Ok(responses)
}
