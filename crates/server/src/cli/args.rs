//! What can be written on the command line.

use std::{net::IpAddr, path::PathBuf};

use clap::{Parser, Subcommand};

/// The port of Spark Connect.
pub const DEFAULT_PORT: u16 = 15002;

/// Run PySpark streaming scripts without a JVM.
///
/// millstream is a native engine that speaks Spark Connect: PySpark programs run on it
/// as they are, with Spark's options, errors, file layouts and checkpoints.
#[derive(Debug, Parser)]
#[command(name = "millstream", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  millstream run app.py                                 run a script on the engine
  millstream run app.py --remote sc://cluster:15002     run the same script on a Spark cluster
  millstream run app.py -- --verbose input/             give the script its own options
  millstream run pipeline.sql                           run SQL statements, also a declarative pipeline, without Python
  millstream run spark-pipeline.yml                     run a declarative pipeline with SQL and Python files
  millstream server                                     serve notebooks and several clients

A script needs `pyspark-client` (or `pyspark`) 4.x in its Python environment.
Logs go to stderr; RUST_LOG=info shows more of them.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a PySpark script, a SQL file or a pipeline: start the engine, run it, stop the engine
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Serve Spark Connect clients until interrupted
    Server(ServerArgs),
}

const RUN_HELP: &str = "\
The interpreter is $PYSPARK_PYTHON, else the python3 of the active environment.
Relative paths in the script mean the folder where millstream was started.
Ctrl-C interrupts the script and stops its queries cleanly; a second Ctrl-C ends everything at once.
The exit code is the script's.

A SQL file runs statement by statement. Its CREATE STREAMING TABLE, CREATE MATERIALIZED VIEW and CREATE FLOW
make one pipeline, which runs where the last of them stands; the options of `spark-pipelines run` may follow
the file: --full-refresh a,b  --full-refresh-all  --refresh a,b, and --dry-run, --storage URI.";

/// `millstream run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// The script: app.py, pipeline.sql, or spark-pipeline.yml
    pub script: PathBuf,
    /// Arguments of the script; put `--` before those that millstream knows too
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<String>,
    /// Set a Spark setting, as `spark.conf.set` would; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub conf: Vec<(String, String)>,
    /// Port for the engine, on the loopback interface; 0 takes a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Run the script on this Spark Connect server instead of the engine
    #[arg(long, value_name = "sc://HOST:PORT", conflicts_with = "port", value_parser = remote)]
    pub remote: Option<String>,
}

/// `millstream server`.
#[derive(Debug, clap::Args)]
pub struct ServerArgs {
    /// Port to listen on; 0 takes a free one
    #[arg(long, default_value_t = DEFAULT_PORT, env = "MILLSTREAM_PORT")]
    pub port: u16,
    /// Address to listen on; only loopback addresses for now
    #[arg(long, default_value = "127.0.0.1", value_parser = loopback)]
    pub host: IpAddr,
    /// Set a Spark setting for every session; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub conf: Vec<(String, String)>,
}

/// Options of `run` that are also taken after the script.
const RUN_OPTIONS: &[&str] = &["--conf", "--port", "--remote"];

/// Puts the options of `run` before the script, whose own arguments then follow untouched.
/// After a `--` everything is the script's.
pub fn reorder(args: Vec<String>) -> Vec<String> {
    let mut rest = args.into_iter();
    let mut front: Vec<String> = rest.by_ref().take(2).collect();
    if front.get(1).is_none_or(|command| command != "run") {
        front.extend(rest);
        return front;
    }
    let mut script: Option<String> = None;
    let mut script_args = Vec::new();
    while let Some(arg) = rest.next() {
        let name = arg.split('=').next().unwrap_or_default();
        if arg == "--" {
            script_args.extend(rest);
            break;
        } else if RUN_OPTIONS.contains(&name) {
            let has_value = arg.contains('=');
            front.push(arg);
            if !has_value {
                front.extend(rest.next());
            }
        } else if script.is_some() {
            script_args.push(arg);
        } else if arg.starts_with('-') {
            front.push(arg);
        } else {
            script = Some(arg);
        }
    }
    if script.is_some() || !script_args.is_empty() {
        front.push("--".to_string());
        front.extend(script);
        front.extend(script_args);
    }
    front
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_string(), value.to_string())),
        _ => Err("write it as KEY=VALUE, for example spark.sql.ansi.enabled=false".to_string()),
    }
}

fn remote(text: &str) -> Result<String, String> {
    if text.starts_with("sc://") && text.len() > "sc://".len() {
        Ok(text.to_string())
    } else {
        Err("write it as sc://HOST:PORT".to_string())
    }
}

fn loopback(text: &str) -> Result<IpAddr, String> {
    let address = match text {
        "localhost" => IpAddr::from([127, 0, 0, 1]),
        other => other.parse().map_err(|_| "not an IP address".to_string())?,
    };
    if address.is_loopback() {
        return Ok(address);
    }
    Err("only loopback addresses are served until tokens and TLS exist: anyone who could connect could \
         read and write your files. To reach it from another machine, forward the port with ssh -L"
        .to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_args(args: &[&str]) -> RunArgs {
        let args = ["millstream", "run"].iter().chain(args).map(ToString::to_string).collect();
        match Args::try_parse_from(reorder(args)).unwrap().command {
            Command::Run(run) => run,
            Command::Server(_) => unreachable!(),
        }
    }

    #[test]
    fn our_options_are_taken_after_the_script_unless_dashes_precede_them() {
        let run = run_args(&["app.py", "--remote", "sc://h:1", "--verbose", "x", "--conf", "a=b=c"]);
        assert_eq!(run.remote.as_deref(), Some("sc://h:1"));
        assert_eq!(run.args, ["--verbose", "x"]);
        assert_eq!(run.conf, [("a".to_string(), "b=c".to_string())]);
        let run = run_args(&["app.py", "--", "--conf", "x"]);
        assert_eq!(run.args, ["--conf", "x"]);
        assert!(run.conf.is_empty());
        let run = run_args(&["--port=7", "app.py", "--help", "--", "a", "--", "b"]);
        assert_eq!((run.port, run.args), (7, ["--help", "a", "--", "b"].map(String::from).to_vec()));
    }

    #[test]
    fn only_loopback_is_served() {
        for host in ["127.0.0.1", "::1", "localhost"] {
            assert!(loopback(host).is_ok(), "{host}");
        }
        assert!(loopback("0.0.0.0").unwrap_err().contains("TLS"));
        assert!(Args::try_parse_from(["millstream", "server", "--host", "10.0.0.1"]).is_err());
    }
}
