//! The server: sessions, the engine's threads, and the socket.

use std::{future::Future, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use millstream_engine::time::{Clock, SystemClock};
use tokio::{net::TcpListener, runtime::Handle};
use tokio_stream::wrappers::TcpListenerStream;

use crate::{
    connect::{ConnectService, SparkConnectServiceServer},
    session::{SessionKey, SessionManager, conf::BaseConf},
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
    engine: Handle,
}

impl Server {
    /// A server whose queries run on `engine`; sessions start with `base`.
    pub fn new(engine: Handle, base: BaseConf) -> Arc<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        Arc::new(Self { sessions: SessionManager::new(clock, base), engine })
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
        let result = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(60)))
            .tcp_nodelay(true)
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
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

/// Binds a loopback address.
///
/// # Errors
/// When the port is taken.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}
