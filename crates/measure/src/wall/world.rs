//! What stands around the wall: a real server, simulated models, and servers that answer nobody.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::caller::Client;
use super::cases::{Address, Case, Does};
use super::truth::Task;
use crate::children::{Server, baton};
use crate::house::{self, LABELS};

/// The model that stands behind each other one.
pub(crate) const FALLBACK: &str = "sim/good";
/// An intent names so many models, the fallback aside; it may name 32.
pub(crate) const WARD: usize = 30;
/// A connection to a listener whose queue is full does not open within this.
const STUCK: Duration = Duration::from_millis(300);

const EXTRACT: &str = "
[[checks]]
type = \"span-in-source\"
fields = [\"company\", \"total\"]
on_fail = \"gate\"
";

/// What a text must keep to, so that a caller of the wall need not wait for long.
const STREAM: &str = "
[stream]
first_token = \"1s\"
idle = \"1s\"
min_bytes_per_second = 20
grace = \"2s\"
";

/// Everything that runs.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) baton: PathBuf,
    pub(crate) sim: Server,
    pub(crate) steer: Client,
    pub(crate) gates: Gates,
}

/// See [`Address`].
pub(crate) struct Gates {
    refuses: SocketAddr,
    no_tls: SocketAddr,
    full: SocketAddr,
    /// Held, so that they stay as they are.
    _taken: (JoinHandle<()>, TcpListener, Vec<JoinHandle<()>>),
}

impl World {
    pub(crate) async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let baton = baton().await?;
        let tasks = [(Task::Classify, "tickets"), (Task::Extract, "receipts"), (Task::Reply, "letters")];
        for (task, name) in tasks {
            house::write(&folder.path().join(format!("{name}.jsonl")), &task.lines())?;
        }
        let files = json!(tasks.map(|(_, name)| format!("{name}.jsonl")));
        let file = folder.path().join("wall.toml");
        house::write(
            &file,
            &format!("truth = {files}\n[models.\"*\"]\nfirst_token_ms = {{ fixed = 10 }}\ntokens_per_second = 200\n"),
        )?;
        let mut command = tokio::process::Command::new(&baton);
        command.args(["sim", "--listen", "127.0.0.1:0", "--seed", "7"]).arg("--scenario").arg(&file);
        let sim = Server::start("sim", &mut command, folder.path()).await?;
        let steer = Client::new(sim.address)?;
        Ok(Self { folder, baton, steer, gates: Gates::open().await?, sim })
    }

    /// Writes the folder of a server whose intents may use these models, and starts it.
    pub(crate) async fn serve(&self, name: &str, models: &[String]) -> Result<(PathBuf, Server)> {
        let place = self.folder.path().join(name);
        let mut providers = house::provider("sim", self.sim.address);
        for (address, name) in PROVIDERS {
            providers += &format!(
                "[providers.{name}]\nkind = \"openai-compatible\"\nbase_url = \"{}\"\n\n",
                self.gates.url(address)
            );
        }
        house::write(&place.join("baton.toml"), &providers)?;
        for (ward, models) in models.chunks(WARD).enumerate() {
            intents(&place, ward, models)?;
        }
        let server = self.start_again(name, &place).await?;
        Ok((place, server))
    }

    /// Starts the server of a folder that is there.
    pub(crate) async fn start_again(&self, name: &str, place: &Path) -> Result<Server> {
        let mut command = tokio::process::Command::new(&self.baton);
        command.args(["serve", "--listen", "127.0.0.1:0"]).arg("--dir").arg(place);
        Server::start(name, &mut command, self.folder.path()).await
    }

    /// Where the provider of a model is asked.
    pub(crate) fn url_of(&self, model: &str) -> String {
        let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
        let gate = PROVIDERS.iter().find(|(_, name)| *name == provider);
        gate.map_or_else(|| format!("http://{}/v1", self.sim.address), |(address, _)| self.gates.url(*address))
    }

    /// Makes a simulated model misbehave; others always do.
    pub(crate) async fn spoil(&self, model: &str, does: &Does) -> Result<()> {
        match does {
            Does::Model(behaviour) => self.steer.steer(name_of(model), behaviour).await,
            Does::Address(_) => Ok(()),
        }
    }

    /// Makes it well again, where that can be.
    pub(crate) async fn heal(&self, model: &str, does: &Does) -> Result<()> {
        match does {
            Does::Model(_) => self.steer.steer(name_of(model), &healthy()).await,
            Does::Address(_) => Ok(()),
        }
    }
}

/// Writes an intent for each task.
fn intents(place: &Path, ward: usize, models: &[String]) -> Result<()> {
    let models = house::models(&[models, &[FALLBACK.to_owned()]].concat());
    let intent = |name: &str, file: &str| place.join(format!("intents/{name}-{ward}/{file}"));
    house::write(&intent("classify", "intent.toml"), &format!("{models}{LABELS}"))?;
    house::write(&intent("extract", "intent.toml"), &format!("{models}{EXTRACT}"))?;
    let fields = json!({
        "type": "object", "additionalProperties": false, "required": ["company", "total"],
        "properties": { "company": { "type": "string" }, "total": { "type": "string" } },
    });
    house::write(&intent("extract", "output.schema.json"), &fields.to_string())?;
    house::write(&intent("extract", "prompt.md"), "Read this receipt: {{ input }}\n")?;
    house::write(&intent("reply", "intent.toml"), &format!("{models}{STREAM}"))?;
    house::write(&intent("reply", "prompt.md"), "Answer this letter: {{ input }}\n")
}

/// What a model does when nothing is wrong.
pub(crate) fn healthy() -> Value {
    json!({ "first_token_ms": { "fixed": 10 }, "tokens_per_second": 200 })
}

const PROVIDERS: [(Address, &str); 4] = [
    (Address::Refuses, "refuses"),
    (Address::NoSuchName, "nobody"),
    (Address::NoTls, "no-tls"),
    (Address::Full, "full"),
];

/// The model of a case: one of its own, so that no case sees another's breaker.
pub(crate) fn model(number: usize, case: &Case) -> String {
    let provider = match case.does {
        Does::Model(_) => "sim",
        Does::Address(address) => PROVIDERS.iter().find(|(known, _)| *known == address).map_or("sim", |(_, name)| name),
    };
    format!("{provider}/case-{number}")
}

/// A model without its provider.
pub(crate) fn name_of(model: &str) -> &str {
    model.split_once('/').map_or(model, |(_, name)| name)
}

impl Gates {
    async fn open() -> Result<Self> {
        // Closed at once: connections to it are refused.
        let refuses = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let plain = TcpListener::bind("127.0.0.1:0").await?;
        let no_tls = plain.local_addr()?;
        let answers = tokio::spawn(async move {
            while let Ok((stream, _)) = plain.accept().await {
                tokio::spawn(plaintext(stream));
            }
        });
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener = socket.listen(1)?;
        let full = listener.local_addr()?;
        let mut waiting = Vec::new();
        while let Ok(Ok(stream)) = timeout(STUCK, TcpStream::connect(full)).await {
            waiting.push(tokio::spawn(async move {
                let _held = stream;
                std::future::pending::<()>().await;
            }));
        }
        Ok(Self { refuses, no_tls, full, _taken: (answers, listener, waiting) })
    }

    fn url(&self, address: Address) -> String {
        match address {
            Address::Refuses => format!("http://{}/v1", self.refuses),
            Address::NoSuchName => "http://nobody.invalid/v1".to_owned(),
            Address::NoTls => format!("https://{}/v1", self.no_tls),
            Address::Full => format!("http://{}/v1", self.full),
        }
    }
}

/// Answers whatever comes with HTTP, which is no TLS.
async fn plaintext(mut stream: TcpStream) {
    let mut hello = [0; 1024];
    let _read = stream.read(&mut hello).await;
    let _written = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
}
