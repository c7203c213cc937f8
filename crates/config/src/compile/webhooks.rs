//! `[[webhooks]]` of `baton.toml`.

use crate::diagnostics::{Place, Sink};
use crate::document::Document;
use crate::files::BatonFile;
use crate::webhooks::{Topic, WebhookSpec};

use super::House;

pub(crate) fn webhooks(
    document: &Document,
    file: Option<&BatonFile>,
    house: &House<'_>,
    sink: &mut Sink,
) -> Vec<WebhookSpec> {
    let mut all: Vec<WebhookSpec> = Vec::new();
    for (n, hook) in file.into_iter().flat_map(|file| &file.webhooks).enumerate() {
        let at = |key: &str| document.at(&format!("/webhooks/{n}/{key}"));
        let url = url(&hook.url, at("url"), sink);
        let secret = house.secret(&hook.secret, at("secret"), sink);
        if all.iter().any(|other| other.url == hook.url) {
            sink.error(at("url"), "another webhook has this URL", "write its events into one list");
        }
        let mut topics = hook.events.clone().unwrap_or_else(|| Topic::ALL.to_vec());
        topics.sort();
        topics.dedup();
        if let (Some(url), Some(secret)) = (url, secret) {
            all.push(WebhookSpec { url, secret, topics });
        }
    }
    all
}

fn url(url: &str, at: Place<'_>, sink: &mut Sink) -> Option<String> {
    let (plain, host) = match url.split_once("://") {
        Some(("https", rest)) => (false, rest),
        Some(("http", rest)) => (true, rest),
        _ => (false, ""),
    };
    let authority = host.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        sink.error(at, "a secret is written inline, in the URL", "receivers check the signature instead");
        return None;
    }
    if authority.is_empty() || url.contains('#') || url.contains(char::is_whitespace) || !url.is_ascii() {
        sink.error(at, "this is no URL that notices can be sent to", "write `https://host/path`");
        return None;
    }
    let loopback = ["localhost", "127.", "[::1]"].iter().any(|own| authority.starts_with(own));
    if plain && !loopback {
        sink.warn(at, "notices are sent in plain text", "write `https://`, so that nobody on the way reads them");
    }
    Some(url.to_owned())
}
