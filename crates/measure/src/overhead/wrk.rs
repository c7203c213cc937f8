//! The generator: wrk, closed loop, each request with another input.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::process::Command;

use crate::house;

/// What is sent: about 1 KB of chat, whose only variable part is a number that no other request
/// has. It names an intent for Baton; the others pass it on.
const TICKET: &str = "Since the update on Tuesday the weekly export stops halfway. We run it every Monday morning for \
the finance team, and until last week it took about four minutes for roughly nine thousand rows. Now the progress bar \
reaches 48 percent, stays there for ten minutes, and then the page says that something went wrong. I tried it in two \
browsers and from another account with the same rights, with the same result. When I choose a shorter period, two \
weeks or less, it works as before. The file that arrives by e-mail is complete up to the third column and then empty. \
Nothing in our set-up was changed, the template is the one that your colleague helped us with in spring, and the other \
reports run as they should. Please tell me whether this is known, and when we can expect the export to work again; the \
month ends on Friday and the figures are due then.";

/// One run.
pub(super) struct Load {
    pub(super) to: SocketAddr,
    /// The key of the caller.
    pub(super) key: String,
    pub(super) connections: usize,
    pub(super) duration: Duration,
    /// Makes the inputs of this run unlike those of all others.
    pub(super) run: String,
    /// Where the script is written.
    pub(super) folder: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Run {
    pub(super) requests: u64,
    duration_us: f64,
    /// Connections that failed, answers that did not come in time, and those of a status over 399.
    pub(super) errors: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
}

impl Run {
    /// Requests a second.
    pub(super) fn rate(&self) -> f64 {
        self.requests as f64 / (self.duration_us / 1e6)
    }
}

/// Its version, where it is installed.
pub(super) async fn version() -> Result<String> {
    let missing = "wrk is not there: install it (Debian: wrk)";
    let output = Command::new("wrk").arg("-v").output().await.context(missing)?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split(" [").next().unwrap_or_default().to_owned())
}

impl Load {
    /// A whole request, but for the digits of its number.
    fn halves(&self) -> (String, String) {
        const DIGITS: usize = "0-00000000".len();
        let before = format!(
            "{{\"model\":\"intent:classify\",\"messages\":[{{\"role\":\"user\",\"content\":\"Ticket {}-",
            self.run
        );
        let after = format!(": {TICKET}\"}}]}}");
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.to,
            self.key,
            before.len() + DIGITS + after.len()
        );
        (head + &before, after)
    }

    fn script(&self) -> String {
        let (before, after) = self.halves();
        format!(
            r#"-- Written by `bench overhead`.
local threads = 0
function setup(thread)
  thread:set("thread", threads)
  threads = threads + 1
end
local number = 0
function request()
  number = number + 1
  return {before:?} .. string.format("%d-%08d", thread, number) .. {after:?}
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{{"requests":%d,"duration_us":%d,"errors":%d,"p50_us":%d,"p99_us":%d}}\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#
        )
    }
}

/// Runs a load to its end.
pub(super) async fn run(load: &Load) -> Result<Run> {
    let script = load.folder.join("wrk.lua");
    house::write(&script, &load.script())?;
    let mut wrk = Command::new("wrk");
    wrk.kill_on_drop(true).arg("--threads=1").arg(format!("--connections={}", load.connections));
    wrk.arg(format!("--duration={}s", load.duration.as_secs())).arg("--script").arg(&script);
    let output = wrk.arg(format!("http://{}", load.to)).output().await.context("cannot start wrk")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let last = said.lines().next_back().unwrap_or_default();
    match serde_json::from_str(last) {
        Ok(run) => Ok(run),
        Err(_) => bail!("wrk ended with {}: {said}{}", output.status, String::from_utf8_lossy(&output.stderr)),
    }
}
