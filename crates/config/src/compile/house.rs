//! What the intents share: providers, models and their lanes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use baton_core::{ModelId, NanoUsd, Price, PriceRow, Prices, Rates};

use crate::diagnostics::{Place, Sink};
use crate::document::Document;
use crate::files::{BatonFile, ModelFile, ProviderFile, SecretFile, max_concurrency};
use crate::json::child;
use crate::load::Given;
use crate::plan::{ModelSpec, ProviderSpec, Secret};
use crate::price_file;
use crate::secrets::{INLINE_HELP, is_variable, looks_secret};
use crate::suggest::did_you_mean;
use crate::units;

/// One attempt at a provider takes at most this long, unless its model says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);
/// One attempt at `local`.
const TIMEOUT_LOCAL: Duration = Duration::from_secs(1);
/// The built-in model's name.
pub(crate) const LOCAL: &str = "local";

/// Providers, models and aliases, as far as they are known.
pub(crate) struct House<'a> {
    pub(crate) models: Vec<ModelSpec>,
    pub(crate) aliases: BTreeMap<String, ModelId>,
    pub(crate) providers: BTreeMap<String, ProviderSpec>,
    given: &'a Given<'a>,
    dir: &'a Path,
    special: BTreeMap<ModelId, (Option<PriceRow>, Option<Duration>)>,
    /// Names that `baton.toml` holds in a form that was refused: not to be reported again.
    refused: bool,
}

impl<'a> House<'a> {
    pub(crate) fn new(
        dir: &'a Path,
        given: &'a Given<'a>,
        document: &Document,
        file: Option<&BatonFile>,
        sink: &mut Sink,
    ) -> Self {
        let (models, aliases, providers, special) = Default::default();
        let before = sink.errors();
        let mut house = Self { models, aliases, providers, given, dir, special, refused: before > 0 };
        let Some(file) = file else { return house };
        for (name, provider) in &file.providers {
            if let Some(spec) = house.provider(document, name, provider, sink) {
                house.providers.insert(name.clone(), spec);
            }
        }
        house.refused |= sink.errors() > before;
        for (name, model) in &file.models {
            house.alias(document, name, model, sink);
        }
        house.refused |= sink.errors() > before;
        house
    }

    fn provider(&self, document: &Document, name: &str, file: &ProviderFile, sink: &mut Sink) -> Option<ProviderSpec> {
        let before = sink.errors();
        let pointer = child("/providers", name);
        let at = |key: &str| document.at(&child(&pointer, key));
        let known = self.given.known_providers;
        let kinds: Vec<&str> = known.iter().copied().chain(["openai-compatible", "simulated"]).collect();
        if name == LOCAL || name.is_empty() || name.contains('/') {
            sink.error(document.key(&pointer), format!("`{name}` cannot be a provider's name"), "choose another");
        }
        let kind = file.kind.as_deref().or_else(|| known.contains(&name).then_some(name));
        match kind {
            None => {
                let help = "add `kind = \"openai-compatible\"` and a `base_url`, or another provider's kind";
                sink.error(document.key(&pointer), format!("the provider `{name}` has no kind"), help);
            }
            Some(kind) if !kinds.contains(&kind) => {
                let near = did_you_mean(kind, kinds.iter().copied());
                let help = format!("{near}known kinds: {}", kinds.join(", "));
                sink.error(at("kind"), format!("there is no kind of provider `{kind}`"), help);
            }
            Some("openai-compatible") if file.base_url.is_none() => {
                let help = "add `base_url = \"https://…/v1\"`";
                sink.error(document.key(&pointer), format!("the provider `{name}` has no base_url"), help);
            }
            Some("simulated") if file.scenario.is_none() => {
                let help = "add `scenario = \"scenario.toml\"`: what the simulated models do";
                sink.error(document.key(&pointer), format!("the provider `{name}` has no scenario"), help);
            }
            Some(_) => {}
        }
        let simulated = kind == Some("simulated");
        let strange = [
            ("scenario", !simulated && file.scenario.is_some()),
            ("seed", !simulated && file.seed.is_some()),
            ("base_url", simulated && file.base_url.is_some()),
            ("api_key", simulated && file.api_key.is_some()),
            ("api_keys", simulated && !file.api_keys.is_empty()),
        ];
        for (key, _) in strange.iter().filter(|(_, strange)| *strange) {
            let of = kind.unwrap_or(name);
            sink.error(at(key), format!("`{key}` does nothing for a provider of kind `{of}`"), "remove it");
        }
        if file.api_key.is_some() && !file.api_keys.is_empty() {
            let message = format!("the provider `{name}` has `api_key` and `api_keys`");
            sink.error(at("api_keys"), message, "write all of its keys into `api_keys`");
        }
        let pool = file.api_keys.iter().enumerate().map(|(n, key)| (key, format!("{pointer}/api_keys/{n}")));
        let keys = file.api_key.iter().map(|key| (key, format!("{pointer}/api_key"))).chain(pool);
        let api_keys = keys.filter_map(|(key, pointer)| self.secret(key, document.at(&pointer), sink)).collect();
        let spec = ProviderSpec {
            name: name.to_owned(),
            kind: kind?.to_owned(),
            base_url: file.base_url.as_deref().and_then(|url| base_url(url, at("base_url"), sink)),
            api_keys,
            max_concurrency: file.max_concurrency,
            scenario: file.scenario.as_deref().and_then(|path| self.file(path, at("scenario"), sink)),
            seed: file.seed.unwrap_or(0),
        };
        (sink.errors() == before).then_some(spec)
    }

    fn file(&self, path: &str, at: Place<'_>, sink: &mut Sink) -> Option<PathBuf> {
        let file = self.dir.join(path);
        if file.is_file() {
            return Some(file);
        }
        sink.error(at, format!("there is no file `{path}`"), "paths are relative to the folder of baton.toml");
        None
    }

    /// A secret's place. That it is there is checked when it is needed: `baton check` runs where
    /// no secrets are.
    pub(super) fn secret(&self, key: &SecretFile, at: Place<'_>, sink: &mut Sink) -> Option<Secret> {
        let place = match key {
            SecretFile::Env(variable) => is_variable(variable).then(|| Secret::Env(variable.clone())),
            SecretFile::File(path) => {
                (!path.is_empty() && !looks_secret(path)).then(|| Secret::File(self.dir.join(path)))
            }
        };
        if place.is_none() {
            sink.error(
                at,
                "this names no variable or file; if it is the secret itself, it may not be here",
                INLINE_HELP,
            );
        }
        place
    }

    fn alias(&mut self, document: &Document, name: &str, file: &ModelFile, sink: &mut Sink) {
        let pointer = child("/models", name);
        if name == LOCAL || name.is_empty() || name.contains('/') || name.starts_with("intent:") {
            let help = "an alias is a word without a slash, and not `local`";
            sink.error(document.key(&pointer), format!("`{name}` cannot be an alias"), help);
            return;
        }
        let Some(id) = self.provided(&file.id, document.at(&child(&pointer, "id")), sink) else { return };
        let at = |key: &str| document.at(&format!("{pointer}/{key}"));
        let price =
            file.price.as_ref().and_then(|file| price_file::compile(file, document, &child(&pointer, "price"), sink));
        let timeout = file.timeout.as_deref().and_then(|text| match units::duration(text) {
            Ok(timeout) if !timeout.is_zero() => Some(timeout),
            _ => {
                sink.error(at("timeout"), format!("`{text}` is not a timeout"), "write `30s`, `2m`");
                None
            }
        });
        let special = self.special.entry(id.clone()).or_default();
        for (key, conflict) in [
            ("price", price.is_some() && special.0.is_some() && special.0 != price),
            ("timeout", timeout.is_some() && special.1.is_some() && special.1 != timeout),
        ] {
            if conflict {
                let message = format!("`{id}` has another {key} under another alias");
                sink.error(at(key), message, "a model has one: keep the right one");
            }
        }
        *special = (price.or_else(|| special.0.take()), timeout.or(special.1));
        self.aliases.insert(name.to_owned(), id);
    }

    /// Whether it is an alias.
    pub(crate) fn knows(&self, alias: &str) -> bool {
        self.aliases.contains_key(alias)
    }

    /// The model that a name of an intent stands for. `local` is not for here.
    pub(crate) fn resolve(&mut self, name: &str, at: Place<'_>, sink: &mut Sink) -> Option<ModelSpec> {
        let id = match self.aliases.get(name) {
            Some(id) => id.clone(),
            None => self.provided(name, at, sink)?,
        };
        Some(self.model(id))
    }

    /// A model, added where it is new.
    pub(crate) fn model(&mut self, id: ModelId) -> ModelSpec {
        if let Some(spec) = self.models.iter().find(|spec| spec.id == id && id.as_str() != LOCAL) {
            return spec.clone();
        }
        let (price, timeout) = self.special.get(&id).cloned().unwrap_or_default();
        let place = self.models.len();
        let spec = if id.as_str() == LOCAL {
            ModelSpec { price: Some(Prices::always(FREE)), timeout: TIMEOUT_LOCAL, id, place }
        } else {
            let price = self.price(&id, price);
            ModelSpec { price, timeout: timeout.unwrap_or(TIMEOUT), id, place }
        };
        self.models.push(spec.clone());
        spec
    }

    /// What is written wins; where it counts from a day on, the built-in price counts until then.
    fn price(&self, id: &ModelId, written: Option<PriceRow>) -> Option<Prices> {
        let listed = || (self.given.price)(id.as_str());
        let Some(written) = written else { return listed() };
        let before = listed().filter(|_| written.from.is_some());
        let rows = before.iter().flat_map(Prices::rows).cloned();
        Prices::new(rows.chain([written]).collect())
    }

    /// `provider/model` of a provider that is there.
    fn provided(&mut self, name: &str, at: Place<'_>, sink: &mut Sink) -> Option<ModelId> {
        let Some((provider, model)) = name.split_once('/') else {
            if !self.refused {
                let near = did_you_mean(name, self.aliases.keys().map(String::as_str).chain([LOCAL]));
                let help = format!("{near}write `provider/model`, or add [models.{name}] to baton.toml");
                sink.error(at, format!("unknown model `{name}`"), help);
            }
            return None;
        };
        if model.is_empty() || name.chars().any(|c| c.is_whitespace() || c.is_control()) {
            sink.error(at, format!("`{name}` is not a model"), "write `provider/model`");
            return None;
        }
        let known = self.given.known_providers;
        if !self.providers.contains_key(provider) {
            if !known.contains(&provider) {
                if !self.refused {
                    let names = known.iter().copied().chain(self.providers.keys().map(String::as_str));
                    let near = did_you_mean(provider, names);
                    let help = format!(
                        "{near}built in: {}; others need [providers.{provider}] in baton.toml with `kind` and `base_url`",
                        known.join(", ")
                    );
                    sink.error(at, format!("unknown provider `{provider}`"), help);
                }
                return None;
            }
            let (kind, provider) = (provider.to_owned(), provider.to_owned());
            let spec = ProviderSpec {
                name: provider.clone(),
                kind,
                base_url: None,
                api_keys: Vec::new(),
                max_concurrency: max_concurrency(),
                scenario: None,
                seed: 0,
            };
            self.providers.insert(provider, spec);
        }
        Some(ModelId::new(name))
    }
}

/// What `local` costs.
const FREE: Price = Price::flat(Rates::flat(NanoUsd(0), NanoUsd(0)));

fn base_url(url: &str, at: Place<'_>, sink: &mut Sink) -> Option<String> {
    let host = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let authority = host.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if authority.contains('@') {
        sink.error(at, "a secret is written inline, in the URL", "name it with `api_key = { env = \"NAME\" }`");
        return None;
    }
    let plain = !authority.is_empty() && !url.contains(['?', '#']) && !url.contains(char::is_whitespace);
    if !plain {
        sink.error(at, format!("`{url}` is not a base URL"), "write `https://host/v1` or `http://host:port/v1`");
        return None;
    }
    Some(url.trim_end_matches('/').to_owned())
}
