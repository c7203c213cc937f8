//! What a record does not say: where a provider is, and what an intent asks of its models.

use std::sync::Arc;

use baton_config::{Plan, Snapshot};
use baton_core::{ModelId, Record};
use http::Uri;

/// Where the configuration comes from. A record of another version than the one in force is told
/// without what only its own version knew.
#[derive(Clone)]
pub struct House {
    /// The configuration in force.
    pub snapshot: Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>,
    /// The address of a built-in provider, by its kind.
    pub address: fn(&str) -> Option<&'static str>,
}

/// A provider, as the conventions name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
}

/// One look at the house.
pub(crate) struct Rooms {
    snapshot: Arc<Snapshot>,
    address: fn(&str) -> Option<&'static str>,
}

impl House {
    pub(crate) fn look(&self) -> Rooms {
        Rooms { snapshot: (self.snapshot)(), address: self.address }
    }
}

/// Our kinds whose well-known value of `gen_ai.provider.name` is another word.
const NAMES: [(&str, &str); 3] = [("mistral", "mistral_ai"), ("xai", "x_ai"), ("gemini", "gcp.gemini")];

impl Rooms {
    pub(crate) fn provider(&self, model: &ModelId) -> Provider {
        let name = model.provider();
        if name == "local" {
            return Provider { name: "baton".into(), ..Provider::default() };
        }
        let spec = self.snapshot.providers.get(name);
        let kind = spec.map_or(name, |spec| spec.kind.as_str());
        let known = (self.address)(kind);
        let word = if known.is_some() { kind } else { name };
        let word = NAMES.iter().find(|(ours, _)| *ours == word).map_or(word, |(_, theirs)| theirs);
        let url = spec.and_then(|spec| spec.base_url.as_deref()).or(known);
        let uri = url.and_then(|url| url.parse::<Uri>().ok());
        let port = |uri: &Uri| uri.port_u16().or(Some(if uri.scheme_str() == Some("http") { 80 } else { 443 }));
        Provider {
            name: word.to_owned(),
            host: uri.as_ref().and_then(|uri| Some(uri.host()?.to_owned())),
            port: uri.as_ref().and_then(port),
        }
    }

    /// The intent as it was when this record was made.
    pub(crate) fn plan(&self, record: &Record) -> Option<&Plan> {
        let plan = self.snapshot.intents.get(record.intent.as_ref()?)?;
        (!record.version.is_empty() && plan.hashes.policy.starts_with(&record.version)).then_some(plan)
    }
}
