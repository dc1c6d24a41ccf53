//! `--remote`: whether anybody listens there, asked before the script starts.
//!
//! PySpark itself tries a silent server again for ten minutes and more.

use std::{env, time::Duration};

use anyhow::{Result, bail};
use millstream_engine::time::{Clock, SystemClock};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(10);
/// Spark Connect's default.
const PORT: u16 = 15002;
/// With one of these gRPC does not connect to the server itself.
const PROXIES: [&str; 4] = ["grpc_proxy", "https_proxy", "http_proxy", "HTTPS_PROXY"];

/// Tries to connect to the server that `url` (`sc://host:port/;parameters`) names.
///
/// # Errors
/// When the URL names no server, or nothing answers.
pub(super) async fn check(url: &str) -> Result<()> {
    let (host, port) = address(url)?;
    if PROXIES.iter().any(|name| env::var_os(name).is_some()) {
        return Ok(());
    }
    tokio::select! {
        connected = TcpStream::connect((host.as_str(), port)) => match connected {
            Ok(_) => Ok(()),
            Err(error) => bail!("no Spark Connect server at {host}:{port}: {error}"),
        },
        () = SystemClock::new().sleep(PATIENCE) => {
            bail!("no Spark Connect server at {host}:{port}: no answer in {} s", PATIENCE.as_secs())
        }
    }
}

/// Host and port of a Spark Connect URL.
///
/// # Errors
/// A URL that names no server.
pub(super) fn address(url: &str) -> Result<(String, u16)> {
    let Some(rest) = url.strip_prefix("sc://") else {
        bail!("{url}: a Spark Connect URL is sc://host:port");
    };
    let authority = rest.split(['/', ';']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => match port.parse() {
            Ok(port) => (host, port),
            Err(_) => bail!("{url}: {port} is no port"),
        },
        _ => (authority, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        bail!("{url}: a Spark Connect URL is sc://host:port");
    }
    Ok((host.to_string(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_of_a_url() {
        let found = |url| address(url).map_err(|e| e.to_string());
        let at = |host: &str, port| Ok((host.to_string(), port));
        assert_eq!(found("sc://127.0.0.1:99"), at("127.0.0.1", 99));
        assert_eq!(found("sc://cluster"), at("cluster", 15002));
        assert_eq!(found("sc://cluster:1/;token=a:b;use_ssl=true"), at("cluster", 1));
        assert_eq!(found("sc://[::1]:7"), at("::1", 7));
        assert_eq!(found("sc://[::1]"), at("::1", 15002));
        for wrong in ["local[*]", "sc://", "sc://:1", "sc://host:port"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
    }
}
