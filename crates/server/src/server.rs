//! The server: sessions, the engine's threads, and the socket.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use datafusion::execution::{SessionState, runtime_env::RuntimeEnv};
use millstream_engine::{
    checkpoint::LocalStorage,
    query::QueryEnvironment,
    session::{runtime_env, session_state},
    time::{Clock, SystemClock},
};
use parking_lot::{Mutex, RwLock};
use tokio::{net::TcpListener, runtime::Handle};
use tonic::transport::server::TcpIncoming;

use crate::{
    connect::{ConnectService, SparkConnectServiceServer},
    session::{
        Session, SessionKey, SessionManager,
        conf::BaseConf,
        queries::{Queries, forward_events},
        views::Views,
    },
};

/// Largest gRPC message, as Spark's `spark.connect.grpc.maxInboundMessageSize`.
pub const MAX_MESSAGE_BYTES: usize = 128 << 20;
/// How often expired sessions and abandoned operations are looked for.
const MAINTENANCE: Duration = Duration::from_secs(30);

/// Everything the service needs.
#[derive(Debug)]
pub struct Server {
    /// All sessions.
    pub sessions: SessionManager,
    /// Views of `global_temp`, which all sessions see.
    pub global_views: RwLock<Views>,
    engine: Handle,
    /// Made when the first plan runs: an idle server has no engine.
    lazy: Mutex<Lazy>,
}

#[derive(Debug, Default)]
struct Lazy {
    runtime: Option<Arc<RuntimeEnv>>,
    state: Option<Arc<SessionState>>,
    environment: Option<Arc<QueryEnvironment>>,
}

impl Server {
    /// A server whose queries run on `engine`; sessions start with `base`.
    pub fn new(engine: Handle, base: BaseConf) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Arc::new(Self {
            sessions: SessionManager::new(clock, base),
            global_views: RwLock::default(),
            engine,
            lazy: Mutex::default(),
        })
    }

    /// The DataFusion session of batch queries.
    ///
    /// # Errors
    /// When there is no room for spilling.
    pub fn session_state(&self) -> millstream_engine::Result<Arc<SessionState>> {
        let mut lazy = self.lazy.lock();
        if let Some(state) = &lazy.state {
            return Ok(Arc::clone(state));
        }
        let partitions = std::thread::available_parallelism().map_or(1, usize::from);
        let state = Arc::new(session_state(partitions, lazy.runtime()?));
        lazy.state = Some(Arc::clone(&state));
        Ok(state)
    }

    /// The streaming queries of a session.
    ///
    /// # Errors
    /// When there is no room for spilling.
    pub fn queries(&self, session: &Arc<Session>) -> millstream_engine::Result<Arc<Queries>> {
        let environment = {
            let mut lazy = self.lazy.lock();
            match &lazy.environment {
                Some(environment) => Arc::clone(environment),
                None => {
                    let clock = Arc::clone(self.clock());
                    let storage = Arc::new(LocalStorage);
                    let environment = Arc::new(QueryEnvironment::new(
                        clock,
                        storage,
                        lazy.runtime()?,
                        std::env::temp_dir(),
                    ));
                    lazy.environment = Some(Arc::clone(&environment));
                    environment
                }
            }
        };
        Ok(Arc::clone(session.queries.get_or_init(|| {
            let queries = Arc::new(Queries::new(environment));
            forward_events(session, &queries, &self.engine);
            queries
        })))
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.sessions.clock()
    }

    /// The threads that queries run on.
    pub fn engine(&self) -> &Handle {
        &self.engine
    }

    /// Closes a session and stops its queries; returns its server-side id if there was one.
    pub async fn close_session(&self, key: &SessionKey, allow_reconnect: bool) -> Option<String> {
        let session = self.sessions.remove(key, allow_reconnect)?;
        if let Some(queries) = session.queries.get() {
            for id in queries.stop_all().await {
                tracing::info!("query {id} stopped with session {key}");
            }
        }
        session.listeners.close();
        tracing::info!("session {key} closed");
        Some(session.server_side_id.clone())
    }

    /// Closes all sessions.
    pub async fn close(&self) {
        for session in self.sessions.all() {
            self.close_session(&session.key, false).await;
        }
    }

    /// Serves `listener` until `stop` completes.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) -> Result<()> {
        let maintenance = tokio::spawn(Arc::clone(&self).maintain());
        let service = SparkConnectServiceServer::new(ConnectService::new(Arc::clone(&self)))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(usize::MAX);
        // The builder's own setting does not reach a listener that is handed over. Without it an
        // answer in two pieces waits up to 40 ms for the client's acknowledgement of the first.
        let connections = TcpIncoming::from(listener).with_nodelay(Some(true));
        let result = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .add_service(service)
            .serve_with_incoming_shutdown(connections, stop)
            .await
            .context("the server's socket failed");
        maintenance.abort();
        result
    }

    async fn maintain(self: Arc<Self>) {
        loop {
            self.clock().sleep(MAINTENANCE).await;
            self.sessions.abandon_operations();
            for key in self.sessions.expired() {
                tracing::info!("session {key} was not used for an hour and is closed");
                self.close_session(&key, false).await;
            }
        }
    }
}

impl Lazy {
    fn runtime(&mut self) -> millstream_engine::Result<Arc<RuntimeEnv>> {
        if let Some(runtime) = &self.runtime {
            return Ok(Arc::clone(runtime));
        }
        let runtime = runtime_env()?;
        self.runtime = Some(Arc::clone(&runtime));
        Ok(runtime)
    }
}

/// Binds a loopback address.
///
/// # Errors
/// When the port is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
