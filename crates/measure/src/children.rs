//! Processes that a measure starts. Each ends with it: on success, on an error, on Ctrl-C.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::LazyLock;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::report::progress;

/// A server has so long to say its address, and to end when it is asked to. LiteLLM's proxy loads for a
/// minute where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(180);

/// Runs a measure on a runtime of its own. Ctrl-C and SIGTERM end it as an error does, so that
/// what it started ends with it.
pub(crate) fn block_on<T>(measure: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            done = measure => done,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

/// Builds the binary `baton` in the profile that this measure was built in, and says where it is.
pub(crate) async fn baton() -> Result<PathBuf> {
    let me = std::env::current_exe().context("where is this program?")?;
    let folder = me.parent().context("this program is in no folder")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--package", "baton-cli", "--bin", "baton"]);
    build.arg("--manifest-path").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml"));
    build.args(["--profile", profile()]);
    build.arg("--target-dir").arg(folder.parent().context("no target folder")?);
    progress(&format!("building baton ({})", profile()));
    if !build.status().await.context("cannot start cargo")?.success() {
        bail!("baton does not build");
    }
    Ok(folder.join("baton"))
}

/// The profile that baton and this measure are built in.
pub(crate) fn profile() -> &'static str {
    static PROFILE: LazyLock<String> = LazyLock::new(|| {
        // Cargo names the folder after the profile, but for `dev`.
        let program = std::env::current_exe().unwrap_or_default();
        let folder = program.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        if folder == "debug" { "dev".into() } else { folder.into_owned() }
    });
    &PROFILE
}

/// A server process; dropping it kills it.
pub(crate) struct Server {
    name: String,
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its standard error.
    log: PathBuf,
    /// Held, so that what it prints later has somewhere to go.
    _stdout: Option<BufReader<ChildStdout>>,
}

impl Server {
    /// Starts a server that prints `http://ADDRESS` as its first line. Its standard error is added
    /// to `NAME.log` in `folder`.
    pub(crate) async fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self> {
        let (mut child, log) = spawn(name, command.stdout(Stdio::piped()), folder)?;
        let mut stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        let read = timeout(PATIENCE, stdout.read_line(&mut line)).await;
        let address = line.trim().strip_prefix("http://").and_then(|address| address.parse().ok());
        let (Ok(Ok(_)), Some(address)) = (read, address) else {
            bail!("{name} said `{}` instead of its address\n{}", line.trim(), tail(&log));
        };
        Ok(Self { name: name.to_owned(), child, address, log, _stdout: Some(stdout) })
    }

    /// Starts a server whose address was chosen for it, and waits until it takes connections.
    pub(crate) async fn start_at(
        name: &str,
        command: &mut Command,
        folder: &Path,
        address: SocketAddr,
    ) -> Result<Self> {
        let (mut child, log) = spawn(name, command.stdout(Stdio::null()), folder)?;
        let connects = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let listens = tokio::select! {
            done = timeout(PATIENCE, connects) => done.is_ok(),
            _ = child.wait() => false,
        };
        if !listens {
            bail!("{name} does not listen on {address}\n{}", tail(&log));
        }
        Ok(Self { name: name.to_owned(), child, address, log, _stdout: None })
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Result<u32> {
        self.child.id().with_context(|| format!("{} has ended\n{}", self.name, tail(&self.log)))
    }

    /// Ends it with SIGKILL.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.pid()?;
        self.child.kill().await.with_context(|| format!("cannot kill {}", self.name))
    }

    /// Asks it to end with SIGTERM, and waits.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let pid = self.pid()?.to_string();
        // The standard library can only send SIGKILL.
        let told = Command::new("kill").args(["-TERM", &pid]).status().await.context("cannot start `kill`")?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        if !told.success() || !matches!(ended, Ok(Ok(_))) {
            bail!("{} did not end when asked to\n{}", self.name, tail(&self.log));
        }
        Ok(())
    }
}

fn spawn(name: &str, command: &mut Command, folder: &Path) -> Result<(Child, PathBuf)> {
    let log = folder.join(format!("{name}.log"));
    let stderr = std::fs::File::options().create(true).append(true).open(&log);
    let stderr = stderr.with_context(|| format!("cannot write {}", log.display()))?;
    command.stdin(Stdio::null()).stderr(stderr).kill_on_drop(true);
    let child =
        command.spawn().with_context(|| format!("cannot start {name} ({:?})", command.as_std().get_program()))?;
    Ok((child, log))
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}
