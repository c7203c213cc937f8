//! `baton serve`: the gateway.

use std::net::SocketAddr;

use baton_gateway::{GatewayOptions, serve};
use clap::Args;

use crate::exit::{Exit, say, tell};
use crate::reload::Reloader;
use crate::setup::{Folder, Recording, listen, orchestrator};
use crate::telemetry::Telemetry;
use crate::transports::Fixtures;
use crate::{signals, watch};

/// Serve the intents over HTTP.
///
/// The first line printed is the address. Stops on Ctrl-C or SIGTERM: no new calls, open ones finish
/// first, for at most 30 s; the signal again cuts them.
///
/// A change of the folder is put in force as a whole, without a restart, or refused as a whole and
/// told; SIGHUP looks at once.
#[derive(Args)]
#[command(after_help = "\
Examples:
  baton serve                                  http://127.0.0.1:7700
  baton serve --listen 127.0.0.1:0             a free port
  baton serve --dir examples/helpdesk
  curl http://127.0.0.1:7700/v1/execute -d '{\"intent\":\"classify-ticket\",\"input\":{\"ticket\":\"…\"}}'

Without keys it listens on loopback only. Make one with `baton keys create --team NAME`.")]
pub(crate) struct Serve {
    /// Address and port; port 0 picks a free one
    #[arg(long, alias = "port", default_value = "127.0.0.1:7700", value_name = "ADDR", env = "BATON_LISTEN",
        value_parser = crate::setup::address)]
    listen: SocketAddr,
    #[command(flatten)]
    fixtures: Fixtures,
    #[command(flatten)]
    folder: Folder,
}

/// What to do where another process writes to the store.
const IN_USE: &str = "stop that one, or serve another folder with --dir";

/// What the results of jobs may take at the end.
const JOBS_GRACE: std::time::Duration = std::time::Duration::from_secs(5);

impl Serve {
    pub(crate) async fn run(self) -> Result<(), Exit> {
        let telemetry = Telemetry::read()?;
        let metrics = telemetry.metrics();
        let watched = Some((telemetry.observer(&metrics), telemetry.sampler));
        let recording = Recording::Store { in_use: IN_USE };
        let (baton, transports) = orchestrator(&self.folder, recording, &self.fixtures, watched).await?;
        let telemetry = telemetry.start(&baton)?;
        let keys = baton.store().any_keys().await.map_err(|error| Exit::outside(error.to_string()))?;
        if !keys && !self.listen.ip().is_loopback() {
            return Err(Exit::usage(format!(
                "there are no keys, and {} would let everybody in: make one with `baton keys create --team NAME`, \
                 or listen on 127.0.0.1",
                self.listen
            )));
        }
        // What a rollout promoted or rolled back holds from the first call on.
        baton.learn_routing().await.map_err(|error| Exit::outside(error.to_string()))?;
        let listener = listen(self.listen).await?;
        let address = listener.local_addr().map_err(|error| Exit::outside(error.to_string()))?;
        say!("http://{address}");
        let snapshot = baton.snapshot();
        let intents: Vec<&str> = snapshot.intents.keys().map(|name| name.as_str()).collect();
        tell!("intents: {}", if intents.is_empty() { "none".into() } else { intents.join(", ") });
        if !keys {
            tell!("no keys: open to this machine only");
        }
        let (store, learnt) = (baton.store().clone(), baton.clone());
        let maintained = baton.clone();
        let maintenance = tokio::spawn(async move { maintained.maintain().await });
        let learner = baton.clone();
        let learning = tokio::spawn(async move { learner.learn().await });
        let worker = baton.clone();
        let working = tokio::spawn(async move { worker.work().await });
        let reloader = Reloader::new(self.folder.clone(), baton.clone(), transports);
        let following = tokio::spawn(watch::follow(reloader));
        let stopping = baton.clone();
        let stop = async {
            signals::stop().await;
            tell!("stopping: open calls finish first; once more to cut them");
            tokio::spawn(signals::again());
            stopping.stop_work();
        };
        let served = serve(listener, baton, metrics, GatewayOptions::default(), stop).await;
        // Their executions have ended; what came of them is being kept.
        if tokio::time::timeout(JOBS_GRACE, working).await.is_err() {
            tell!("what some items of jobs were answered is found in their records at the next start");
        }
        maintenance.abort();
        learning.abort();
        following.abort();
        if let Err(error) = learnt.keep().await {
            tell!("the last that the semantic cache learnt could not be kept: {error}");
        }
        tokio::join!(store.close(), telemetry.finish());
        tell!("stopped; every record is written");
        served.map_err(|error| Exit::outside(error.to_string()))
    }
}
