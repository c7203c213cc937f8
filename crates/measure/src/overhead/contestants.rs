//! Who contends: each started once, all up through the whole bench, one under load at a time.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use super::nginx;
use super::wrk::Load;
use crate::children::Server;
use crate::client::Client;
use crate::house::{self, LABELS};

/// A server between the generator and the upstream, or the upstream itself.
pub(super) struct Contestant {
    pub(super) name: &'static str,
    /// What it does besides passing on.
    pub(super) on: &'static str,
    server: Server,
}

impl Contestant {
    pub(super) fn pid(&self) -> Result<u32> {
        self.server.pid()
    }
}

/// Everything that runs.
pub(super) struct Field {
    pub(super) contestants: Vec<Contestant>,
    key: String,
    folder: std::path::PathBuf,
}

const BATON: &str = "baton";

/// The intent: a classification with a gate check and a cache that always misses.
const INTENT: &str = "models = [\"small\"]

[params]
temperature = 0
max_tokens = 20

[objective]
latency_ms = 10000

[cache]
ttl = \"1h\"

[[checks]]
type = \"regex\"
field = \"/label\"
pattern = \"^[a-z-]+$\"
on_fail = \"gate\"
";

impl Field {
    pub(super) async fn start(baton: &Path, folder: &Path) -> Result<Self> {
        let upstream = nginx::upstream(folder).await?;
        let reverse = nginx::proxy(folder, upstream.address).await?;
        let mut trivial = Command::new(std::env::current_exe()?);
        trivial.args(["proxy", "--upstream", &upstream.address.to_string()]);
        let trivial = Server::start("proxy", &mut trivial, folder).await?;
        let house = folder.join("house");
        write(&house, upstream.address)?;
        let key = key(baton, &house).await?;
        let gateway = house::serve(baton, &house, folder).await?;
        let contestants = vec![
            Contestant { name: "nothing", on: "the upstream itself: nginx, one process, no log", server: upstream },
            Contestant { name: "nginx", on: "reverse proxy, one process, buffered access log", server: reverse },
            Contestant {
                name: "trivial proxy",
                on: "axum and reqwest, all processors; reads the body, passes it on; logs and knows nothing",
                server: trivial,
            },
            Contestant {
                name: BATON,
                on: "`intent:classify` through /v1/chat/completions with a key: authentication, limits, input, prompt, \
                     cache look-up that misses, flights, routing, deadline, label and regex checks, price, record \
                     journalled before the answer (durability = process) and taken over into SQLite, metrics, answer \
                     remembered",
                server: gateway,
            },
        ];
        Ok(Self { contestants, key, folder: folder.to_owned() })
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.contestants.iter().position(|contestant| contestant.name == name)
    }

    /// A load on a contestant; how much of it, and what makes it unlike others, is to be filled in.
    pub(super) fn load(&self, contestant: &Contestant) -> Load {
        Load {
            to: contestant.server.address,
            key: self.key.clone(),
            connections: 1,
            duration: Duration::from_secs(1),
            run: String::new(),
            folder: self.folder.clone(),
        }
    }

    /// Baton, and a load on it.
    pub(super) fn baton(&self, connections: usize, duration: Duration) -> (&Contestant, Load) {
        let contestant = &self.contestants[self.place(BATON).unwrap_or_default()];
        (contestant, Load { connections, duration, run: "p".into(), ..self.load(contestant) })
    }

    /// The median of what Baton says that it added to the last thousand calls, in microseconds;
    /// nothing of the others.
    pub(super) async fn own_overhead_us(&self, contestant: &Contestant) -> Result<Option<f64>> {
        if contestant.name != BATON {
            return Ok(None);
        }
        let page = "/v1/executions?limit=1000";
        let page = Client::new().get(contestant.server.address, page, &self.key).await?;
        let overhead = |execution: &Value| execution["latency"]["overheadMs"].as_f64();
        let all: Vec<f64> = page["executions"].as_array().into_iter().flatten().filter_map(overhead).collect();
        if all.is_empty() {
            bail!("baton has no executions: {page}");
        }
        Ok(Some(super::median(all.into_iter()) * 1000.0))
    }

    /// Ends everything in order.
    pub(super) async fn stop(self) -> Result<()> {
        for contestant in self.contestants.into_iter().rev() {
            contestant.server.stop().await?;
        }
        Ok(())
    }
}

fn write(house: &Path, upstream: std::net::SocketAddr) -> Result<()> {
    let model = "[models.small]\nid = \"up/small\"\nprice = { input = \"0.10 USD/M\", output = \"0.40 USD/M\" }\n\n";
    house::write(&house.join("baton.toml"), &(model.to_owned() + &house::provider("up", upstream)))?;
    house::write(&house.join("intents/classify/intent.toml"), &(INTENT.to_owned() + LABELS))
}

/// A key, made as a user would.
async fn key(baton: &Path, house: &Path) -> Result<String> {
    let mut command = Command::new(baton);
    command.args(["keys", "create", "--team", "bench", "--json", "--dir"]).arg(house);
    let output = command.output().await.context("cannot start baton")?;
    let said: Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("no key was made: {}", String::from_utf8_lossy(&output.stderr)))?;
    let key = said["key"].as_str().with_context(|| format!("no key in {said}"))?;
    Ok(key.to_owned())
}
