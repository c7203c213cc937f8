//! The folder and the server of a case.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use baton_core::NanoUsd;
use serde_json::Value;
use tokio::process::Command;

use super::cases::{Case, Limit, On};
use crate::children::Server;
use crate::client::{Client, Outcome};
use crate::house::{LABELS, models, provider, serve, write};

/// A case, and what it runs on.
pub(super) struct House<'a> {
    pub(super) baton: &'a Path,
    pub(super) folder: &'a Path,
    pub(super) sim: SocketAddr,
    pub(super) case: &'static Case,
}

/// A server that runs.
pub(super) struct Open {
    pub(super) server: Server,
    pub(super) place: PathBuf,
    /// What calls are made with; empty without keys.
    pub(super) key: String,
    case: &'static Case,
}

/// A limit as configuration and command line take it.
fn amount(limit: Limit, amount: u64) -> String {
    if limit == Limit::Money { NanoUsd(amount.cast_signed()).to_string() } else { amount.to_string() }
}

impl House<'_> {
    /// Writes the folder, with this limit, and starts the server.
    pub(super) async fn open(&self, limit: u64) -> Result<Open> {
        let Case { name, limit: what, on, models: all, hedges, .. } = *self.case;
        let place = self.folder.join(name.replace([' ', ','], "-"));
        let budget = format!("{} = {}\n", what.key(), amount(what, limit.min(i64::MAX as u64)));
        let mut house = provider("sim", self.sim);
        for model in all {
            let usd = if *model == "free" { ["0", "0"] } else { ["1", "2"] };
            let price = format!("{{ input = \"{} USD/M\", output = \"{} USD/M\" }}", usd[0], usd[1]);
            house += &format!("[models.{model}]\nid = \"sim/{model}\"\nprice = {price}\n\n");
        }
        if on == On::Team {
            house += &format!("[teams.default]\n{budget}");
        }
        if on == On::Key {
            // Keys have no metrics of their own: their team, whose only key this is, stands for it.
            house += "[teams.default]\nusd_per_day = 1_000_000\n";
        }
        let names: Vec<String> = all.iter().map(|model| (*model).to_owned()).collect();
        let mut intent = models(&names);
        intent += "stream_unverified = true\n[params]\nmax_tokens = 16\n[objective]\nlatency_ms = 60000\n";
        intent += &format!("[hedge]\nmax_share = {}\n{LABELS}", if hedges > 0 { "1.0" } else { "0.0" });
        if on == On::Intent {
            intent += &format!("[budget]\n{budget}");
        }
        write(&place.join("baton.toml"), &house)?;
        write(&place.join("intents/sort/intent.toml"), &intent)?;
        let key = if on == On::Key { self.key(&place, limit).await? } else { String::new() };
        let server = self.serve(&place).await?;
        Ok(Open { server, place, key, case: self.case })
    }

    pub(super) async fn serve(&self, place: &Path) -> Result<Server> {
        serve(self.baton, place, self.folder).await
    }

    /// A key with this limit.
    async fn key(&self, place: &Path, limit: u64) -> Result<String> {
        let flag = format!("--{}", self.case.limit.key().replace('_', "-"));
        let limit = amount(self.case.limit, limit);
        let command = ["keys", "create", "--team", "default", "--allow", "call,read,operate", &flag, &limit];
        let made = self.said(place, &command).await?;
        Ok(made.trim().to_owned())
    }

    /// What a command says.
    async fn said(&self, place: &Path, command: &[&str]) -> Result<String> {
        let out = Command::new(self.baton).args(command).arg("--dir").arg(place).output().await?;
        if !out.status.success() {
            bail!("baton {} ended with {}: {}", command[0], out.status, String::from_utf8_lossy(&out.stderr));
        }
        Ok(String::from_utf8(out.stdout)?)
    }

    /// What was spent today, as `baton report` says.
    pub(super) async fn reported(&self, place: &Path) -> Result<NanoUsd> {
        if self.case.limit != Limit::Money {
            return Ok(NanoUsd(0));
        }
        let report: Value = serde_json::from_str(&self.said(place, &["report", "--json"]).await?)?;
        let of = match self.case.on {
            On::Key => "key",
            On::Team => "team",
            On::Intent | On::Nobody => "intent",
        };
        let budgets = report["budgets"].as_array().into_iter().flatten();
        let spent = budgets.filter(|budget| budget["of"] == of).find_map(|budget| budget["spent_today_usd"].as_str());
        let spent = spent.with_context(|| format!("the report has no budget: {}", report["budgets"]))?;
        Ok(spent.parse()?)
    }
}

impl Open {
    pub(super) async fn execute(&self, client: &Client, to: SocketAddr, call: Value) -> Outcome {
        execute(client, to, call, &self.key).await
    }

    pub(super) async fn spent(&self, client: &Client, to: SocketAddr) -> Result<NanoUsd> {
        spent(client, to, &self.key, self.case).await
    }
}

/// A call with this key, where there is one.
pub(super) async fn execute(client: &Client, to: SocketAddr, call: Value, key: &str) -> Outcome {
    let headers = if key.is_empty() { vec![] } else { vec![("x-api-key", key)] };
    client.execute_with(to, &call, &headers).await
}

/// What was spent today, as the ledger of the server says in its metrics.
pub(super) async fn spent(client: &Client, to: SocketAddr, key: &str, case: &Case) -> Result<NanoUsd> {
    if case.limit != Limit::Money {
        return Ok(NanoUsd(0));
    }
    let text = client.get_bytes(to, "/metrics", key).await?;
    let text = std::str::from_utf8(&text)?;
    let dollars = |line: &str| line.rsplit(' ').next().and_then(|usd| usd.parse::<f64>().ok());
    let spent = text.lines().find(|line| line.starts_with("baton_budget_spent_usd{"));
    let spent = spent.and_then(dollars).with_context(|| format!("no budget in the metrics:\n{text}"))?;
    // Far below 2^53 nano-dollars: exact.
    Ok(NanoUsd((spent * 1e9).round() as i64))
}
