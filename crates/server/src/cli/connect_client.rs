//! A Spark Connect client for SQL files: what it sends goes to the engine beside it or to a cluster.

use std::collections::HashMap;

use anyhow::{Context, Result, anyhow, bail};
use datafusion::arrow::{
    array::{AsArray, RecordBatch},
    ipc::reader::StreamReader,
};
use spark_connect_proto::{
    Command, ConfigRequest, ExecutePlanRequest, KeyValue, PipelineCommand, Plan, Relation,
    ReleaseSessionRequest, ShowString, Sql, SqlCommand, UserContext,
    command::CommandType,
    config_request::{Operation, Set, operation::OpType as ConfigOp},
    execute_plan_response::ResponseType,
    pipeline_command,
    pipeline_command_result::ResultType,
    plan::OpType,
    relation::RelType,
    spark_connect_service_client::SparkConnectServiceClient,
};
use tonic::{Code, Status, transport::Channel};
use uuid::Uuid;

use crate::server::MAX_MESSAGE_BYTES;

/// Rows of a result that are shown, and characters of a cell: as `show()`.
const SHOWN_ROWS: i32 = 20;

/// A session of a Connect server.
pub struct ConnectClient {
    service: SparkConnectServiceClient<Channel>,
    session_id: String,
    user: UserContext,
}

impl ConnectClient {
    /// Connects to `sc://host:port[/;user_id=..]` and sets `conf`.
    ///
    /// # Errors
    /// A URL that asks for what this client has not (TLS, tokens); nobody answers.
    pub async fn connect(url: &str, conf: &[(String, String)]) -> Result<Self> {
        let (host, port) = super::remote::address(url)?;
        let parameters: HashMap<&str, &str> =
            url.split(';').skip(1).filter_map(|pair| pair.split_once('=')).collect();
        if parameters.contains_key("token") || parameters.get("use_ssl").is_some_and(|v| *v == "true") {
            bail!("{url}: SQL files cannot be sent over TLS yet; use `spark-pipelines` with this server");
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let service = SparkConnectServiceClient::connect(format!("http://{host}:{port}"))
            .await
            .with_context(|| format!("cannot connect to {url}"))?
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        let user_id = parameters.get("user_id").map_or_else(|| "millstream".to_string(), ToString::to_string);
        let user = UserContext { user_name: user_id.clone(), user_id, extensions: Vec::new() };
        let mut client = Self { service, session_id: Uuid::new_v4().to_string(), user };
        client.configure(conf).await?;
        Ok(client)
    }

    async fn configure(&mut self, conf: &[(String, String)]) -> Result<()> {
        // A cluster would send the stack of its JVM with each error.
        let quiet = ("spark.sql.connect.serverStacktrace.enabled".to_string(), "false".to_string());
        let pair =
            |(key, value): &(String, String)| KeyValue { key: key.clone(), value: Some(value.clone()) };
        let pairs = std::iter::once(&quiet).chain(conf).map(pair).collect();
        let set = Set { pairs, silent: Some(true) };
        let request = ConfigRequest {
            session_id: self.session_id.clone(),
            user_context: Some(self.user.clone()),
            operation: Some(Operation { op_type: Some(ConfigOp::Set(set)) }),
            ..Default::default()
        };
        self.service.config(request).await.map_err(said)?;
        Ok(())
    }

    /// Runs a SQL statement; the text of its rows, if it is to be shown.
    ///
    /// # Errors
    /// The server's.
    pub async fn sql(&mut self, text: &str, show: bool) -> Result<Option<String>> {
        let sql = Relation {
            common: None,
            rel_type: Some(RelType::Sql(Sql { query: text.to_string(), ..Default::default() })),
        };
        let command = SqlCommand { input: Some(sql), ..Default::default() };
        let mut answer = None;
        self.execute(command_plan(CommandType::SqlCommand(command)), |response| {
            if let ResponseType::SqlCommandResult(result) = response {
                answer = result.relation;
            }
        })
        .await?;
        match answer {
            Some(relation) if show => self.show(relation).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn show(&mut self, input: Relation) -> Result<String> {
        let show =
            ShowString { input: Some(Box::new(input)), num_rows: SHOWN_ROWS, truncate: 20, vertical: false };
        let relation = Relation { common: None, rel_type: Some(RelType::ShowString(Box::new(show))) };
        let mut data = Vec::new();
        self.execute(Plan { op_type: Some(OpType::Root(relation)) }, |response| {
            if let ResponseType::ArrowBatch(batch) = response {
                data.push(batch.data);
            }
        })
        .await?;
        let mut text = String::new();
        for bytes in data {
            for batch in StreamReader::try_new(bytes.as_ref(), None)? {
                let batch: RecordBatch = batch?;
                let column = batch.columns().first().and_then(|column| column.as_string_opt::<i32>());
                text.extend(column.into_iter().flat_map(|column| column.iter().flatten()));
            }
        }
        Ok(text)
    }

    /// Runs a pipeline command; events are handed to `on_event` as they come.
    ///
    /// # Errors
    /// The server's.
    pub async fn pipeline(
        &mut self,
        command: pipeline_command::CommandType,
        mut on_event: impl FnMut(spark_connect_proto::PipelineEvent),
    ) -> Result<Option<ResultType>> {
        let command = PipelineCommand { command_type: Some(command) };
        let mut result = None;
        self.execute(command_plan(CommandType::PipelineCommand(command)), |response| match response {
            ResponseType::PipelineCommandResult(answer) => result = answer.result_type,
            ResponseType::PipelineEventResult(event) => event.event.into_iter().for_each(&mut on_event),
            _ => {}
        })
        .await?;
        Ok(result)
    }

    async fn execute(&mut self, plan: Plan, mut on_response: impl FnMut(ResponseType)) -> Result<()> {
        let request = ExecutePlanRequest {
            session_id: self.session_id.clone(),
            user_context: Some(self.user.clone()),
            plan: Some(plan),
            client_type: Some(format!("millstream/{}", env!("CARGO_PKG_VERSION"))),
            ..Default::default()
        };
        let mut stream = self.service.execute_plan(request).await.map_err(said)?.into_inner();
        while let Some(response) = stream.message().await.map_err(said)? {
            if let Some(response) = response.response_type {
                on_response(response);
            }
        }
        Ok(())
    }

    /// Ends the session: what it runs is stopped.
    pub async fn release(mut self) {
        let request = ReleaseSessionRequest {
            session_id: self.session_id.clone(),
            user_context: Some(self.user.clone()),
            ..Default::default()
        };
        if let Err(status) = self.service.release_session(request).await {
            tracing::debug!("the session was not released: {status}");
        }
    }
}

fn command_plan(command: CommandType) -> Plan {
    Plan { op_type: Some(OpType::Command(Command { command_type: Some(command) })) }
}

/// What a server says, without gRPC's own words where it is an error of Spark's.
fn said(status: Status) -> anyhow::Error {
    match status.code() {
        Code::Internal => anyhow!("{}", status.message()),
        code => anyhow!("{code}: {}", status.message()),
    }
}
