//! nginx, as the upstream that answers at once and as the reverse proxy to compare with.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::children::Server;
use crate::house;

/// Debian installs it where not every user's PATH looks.
const PLACES: &str = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin";

fn command() -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("nginx");
    command.env("PATH", format!("{path}:{PLACES}"));
    command
}

/// Its version, where it is installed.
pub(super) async fn version() -> Result<String> {
    let missing = "nginx is not there: install it (Debian: nginx-light)";
    let output = command().arg("-v").output().await.context(missing)?;
    Ok(String::from_utf8_lossy(&output.stderr).trim().trim_start_matches("nginx version: ").to_owned())
}

/// What a provider would answer, spaced as OpenAI does: about 1 KB, and a label for the intent.
const ANSWER: &str = r#"{
  "id": "chatcmpl-BpQ2x7kVYd0m8c1TnUeRzA4hLw9fs",
  "object": "chat.completion",
  "created": 1763000000,
  "model": "small-2026-01-15",
  "choices": [
    {
      "index": 0,
      "message": {
        "role": "assistant",
        "content": "bug",
        "refusal": null,
        "annotations": []
      },
      "logprobs": null,
      "finish_reason": "stop"
    }
  ],
  "usage": {
    "prompt_tokens": 312,
    "completion_tokens": 2,
    "total_tokens": 314,
    "prompt_tokens_details": {
      "cached_tokens": 0,
      "audio_tokens": 0
    },
    "completion_tokens_details": {
      "reasoning_tokens": 0,
      "audio_tokens": 0,
      "accepted_prediction_tokens": 0,
      "rejected_prediction_tokens": 0
    }
  },
  "service_tier": "default",
  "system_fingerprint": "fp_b54fe76834"
}"#;

/// The model that answers at once.
pub(super) async fn upstream(folder: &Path) -> Result<Server> {
    let answer = ANSWER.replace('\n', "\\n");
    let location = format!("default_type application/json; return 200 '{answer}';");
    start("upstream", folder, "", &location, "access_log off;").await
}

/// The reverse proxy, with its log of accesses.
pub(super) async fn proxy(folder: &Path, upstream: SocketAddr) -> Result<Server> {
    let pool = format!("upstream model {{ server {upstream}; keepalive 128; keepalive_requests 1000000000; }}");
    let location = "proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection '';";
    start("nginx", folder, &pool, location, "access_log access.log combined buffer=64k;").await
}

/// One process, which dies with its parent's handle: no master that leaves workers behind.
async fn start(name: &str, folder: &Path, outside: &str, location: &str, log: &str) -> Result<Server> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let prefix = folder.join(name);
    fs::create_dir_all(&prefix)?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {kind};\n"))
        .collect();
    let config = format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nerror_log stderr warn;\nevents {{ worker_connections 4096; }}\n\
         http {{\n{temporary}{log}\nkeepalive_requests 1000000000;\nkeepalive_timeout 300s;\n{outside}\n\
         server {{ listen {address} backlog=4096;\nlocation / {{ {location} }} }}\n}}\n"
    );
    house::write(&prefix.join("nginx.conf"), &config)?;
    // Before the configuration is read, it would write to the system's log.
    let mut command = command();
    command.arg("-e").arg("stderr").arg("-p").arg(&prefix).arg("-c").arg("nginx.conf");
    Server::start_at(name, &mut command, folder, address).await
}
