//! `millstream server`, and the engine that `millstream run` starts in its own process.

use std::{collections::BTreeMap, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use millstream_engine::time::Clock;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{args::ServerArgs, signals::Signals};
use crate::{
    runtime::Runtimes,
    server::{Server, bind},
    session::conf::{BaseConf, Conf},
};

/// Clients that do not close their connections are not waited for longer than this.
const GOODBYE: Duration = Duration::from_secs(2);

/// Serves until a signal.
///
/// # Errors
/// When the address cannot be used.
pub fn serve(args: &ServerArgs) -> Result<ExitCode> {
    super::log_to_stderr("warn,millstream_server=info,millstream_engine=info,millstream_spark=info", false);
    let conf = base_conf(&args.conf)?;
    let runtimes = Runtimes::start()?;
    let code = runtimes.network.block_on(async {
        let mut signals = Signals::listen()?;
        let mut running = Running::start(&runtimes, SocketAddr::new(args.host, args.port), conf).await?;
        announce(running.address);
        let received = tokio::select! {
            received = signals.next() => received,
            failed = &mut running.task => {
                return Err(failed.context("the server stopped")?.err().unwrap_or_else(|| anyhow!("the server stopped")));
            }
        };
        tokio::select! {
            () = running.stop() => Ok(ExitCode::SUCCESS),
            _ = signals.next() => Ok(ExitCode::from(received.exit_code())),
        }
    });
    // Queries that do not end on their own must not keep the process.
    runtimes.engine.shutdown_background();
    runtimes.network.shutdown_background();
    code
}

#[expect(clippy::print_stdout, reason = "the line a person and a script wait for")]
fn announce(address: SocketAddr) {
    println!("millstream {} listening on sc://{address}", env!("CARGO_PKG_VERSION"));
}

/// A server that is listening.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    server: Arc<Server>,
    task: JoinHandle<Result<()>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Binds `address` and starts to serve.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub async fn start(runtimes: &Runtimes, address: SocketAddr, conf: BaseConf) -> Result<Self> {
        let listener = bind(address).await?;
        let address = listener.local_addr().context("the server has no address")?;
        let server = Server::new(runtimes.engine.handle().clone(), conf);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(Arc::clone(&server).serve(listener, async {
            let _ = stopped.await;
        }));
        Ok(Self { address, server, task, stop })
    }

    /// Stops queries and sessions, then the socket.
    pub async fn stop(self) {
        self.server.close().await;
        let _ = self.stop.send(());
        tokio::select! {
            _ = self.task => {}
            () = self.server.clock().sleep(GOODBYE) => {}
        }
    }
}

/// The settings every session starts with.
///
/// # Errors
/// A known setting with a value it cannot have.
pub fn base_conf(given: &[(String, String)]) -> Result<BaseConf> {
    let clock = millstream_engine::time::SystemClock::new();
    let mut base = BTreeMap::from([
        ("spark.app.id".to_string(), format!("local-{}", clock.now().0)),
        ("spark.app.name".to_string(), "millstream".to_string()),
        ("spark.master".to_string(), "local[*]".to_string()),
    ]);
    let mut check = Conf::new(BaseConf::default());
    for (key, value) in given {
        match check.set(key, value) {
            Err(error) if !error.class().starts_with("CANNOT_MODIFY") => {
                return Err(anyhow!("--conf {key}: {error}"));
            }
            _ => {}
        }
        base.insert(key.clone(), value.clone());
    }
    Ok(Arc::new(base))
}
