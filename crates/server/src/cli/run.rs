//! `millstream run app.py`: the engine and the script as one program. A pipeline's specification
//! (`spark-pipeline.yml`) is run by PySpark's own command, a SQL file by [`super::run_sql`].

use std::{
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

use super::{
    args::RunArgs,
    interpreter,
    serve::{Running, base_conf},
    signals::{Received, Signals},
};
use crate::runtime::Runtimes;

/// Prepares PySpark, then runs the script.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// Runs the script and answers with its exit code.
///
/// # Errors
/// When there is no script, no interpreter, or no port.
pub fn run(args: &RunArgs) -> Result<ExitCode> {
    super::log_to_stderr("error,millstream_server=warn,millstream_engine=warn,millstream_spark=warn", true);
    check_script(&args.script)?;
    if has_extension(&args.script, &["sql"]) {
        return super::run_sql::run(args);
    }
    let python = interpreter::find()?;
    let conf = base_conf(&args.conf)?;
    let runtimes = Runtimes::start()?;
    let code = runtimes.network.block_on(async {
        let mut signals = Signals::listen()?;
        let Some(remote) = &args.remote else {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
            let running = Running::start(&runtimes, address, conf).await?;
            let remote = format!("sc://{}", running.address);
            let ended = wait(start(&python, args, &remote, "{}".to_string())?, &mut signals).await?;
            // A second Ctrl-C does not wait for queries.
            tokio::select! {
                () = running.stop() => {}
                _ = signals.next() => {}
            }
            return Ok(ended);
        };
        super::remote::check(remote).await?;
        // Settings go to the remote session with the first getOrCreate.
        let given: serde_json::Map<_, _> =
            args.conf.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
        let given = serde_json::Value::Object(given).to_string();
        wait(start(&python, args, remote, given)?, &mut signals).await
    });
    runtimes.engine.shutdown_background();
    runtimes.network.shutdown_background();
    code
}

fn check_script(script: &Path) -> Result<()> {
    if !script.is_file() {
        bail!("{}: no such script", script.display());
    }
    Ok(())
}

fn has_extension(script: &Path, wanted: &[&str]) -> bool {
    script.extension().is_some_and(|e| wanted.iter().any(|wanted| e.eq_ignore_ascii_case(wanted)))
}

fn start(python: &Path, args: &RunArgs, remote: &str, conf: String) -> Result<Child> {
    let mut command = Command::new(python);
    if has_extension(&args.script, &["yml", "yaml"]) {
        // The specification of a pipeline: PySpark's own `spark-pipelines`, which needs no JVM for this.
        let dry = args.args.iter().any(|arg| arg == "--dry-run");
        let rest = args.args.iter().filter(|arg| *arg != "--dry-run");
        command.args(["-m", "pyspark.pipelines.cli", if dry { "dry-run" } else { "run" }, "--spec"]);
        command.arg(&args.script).args(rest);
    } else {
        command.arg("-c").arg(BOOTSTRAP).arg(&args.script).args(&args.args);
    }
    command
        .env("SPARK_REMOTE", remote)
        .env("MILLSTREAM_CONF", conf)
        .env_remove("SPARK_LOCAL_REMOTE")
        .env_remove("SPARK_API_MODE")
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("cannot start {}", python.display()))
}

/// Waits for the script. Ctrl-C reaches it through the terminal; other signals are passed on.
/// The second signal kills it.
async fn wait(mut script: Child, signals: &mut Signals) -> Result<ExitCode> {
    let mut signalled = false;
    loop {
        tokio::select! {
            status = script.wait() => return Ok(exit_code(status.context("lost the script")?)),
            received = signals.next() => {
                if signalled {
                    script.kill().await.context("cannot end the script")?;
                    return Ok(ExitCode::from(received.exit_code()));
                }
                signalled = true;
                if let Some(pid) = script.id() {
                    pass_on(received, pid).await;
                }
            }
        }
    }
}

/// Sends the script the signal that we got. Ctrl-C in a terminal goes to both of us, so the
/// script is interrupted only if it is not in the terminal's foreground group.
async fn pass_on(received: Received, pid: u32) {
    let name = match received {
        Received::Terminate => "-TERM",
        Received::Interrupt if std::io::IsTerminal::is_terminal(&std::io::stdin()) => return,
        Received::Interrupt => "-INT",
    };
    let _ = Command::new("kill").arg(name).arg(pid.to_string()).status().await;
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
