//! What most products begin with: a direct call, a time limit, two retries.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use baton_config::{IntentKind, PromptRole, Snapshot};
use baton_core::{IntentName, Prices};
use baton_provider::Provider;
use baton_wire::{ChatRequest, Message, Role, Transport};
use serde_json::{Value, json};

use super::line::Side;
use crate::exit::Exit;
use crate::setup::unix_us;

const RETRIES: u32 = 2;
const TIMEOUT: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(200);

/// A client of one model at a time.
pub(super) struct Plain {
    provider: Provider,
    prices: BTreeMap<String, Prices>,
    intents: BTreeMap<IntentName, Arc<baton_config::Plan>>,
}

impl Plain {
    pub(super) fn new(snapshot: &Snapshot, transport: Arc<dyn Transport>) -> Result<Self, Exit> {
        let missing = || Exit::outside("the example has no simulated provider");
        let spec = snapshot.providers.get("sim").ok_or_else(missing)?;
        let provider = Provider::new(spec, transport).map_err(|error| Exit::outside(error.to_string()))?;
        let priced = |model: &baton_config::ModelSpec| Some((model.id.name().to_owned(), model.price.clone()?));
        let prices = snapshot.models.iter().filter_map(priced).collect();
        Ok(Self { provider, prices, intents: snapshot.intents.clone() })
    }

    /// Asks until there is an answer, or the retries are used up.
    pub(super) async fn ask(&self, model: &str, intent: &str, input: &Value) -> Side {
        let Some(plan) = self.intents.get(&IntentName::new(intent)) else { return Side::default() };
        let messages = plan.messages(input).unwrap_or_default();
        let messages = messages.into_iter().map(|(role, text)| {
            let role = match role {
                PromptRole::System => Role::System,
                PromptRole::User => Role::User,
                PromptRole::Assistant => Role::Assistant,
            };
            Message::text(role, text)
        });
        let request = ChatRequest { model: model.into(), messages: messages.collect(), ..ChatRequest::default() };
        let mut side = Side::default();
        for attempt in 0..=RETRIES {
            if attempt > 0 {
                tokio::time::sleep(PAUSE).await;
            }
            match tokio::time::timeout(TIMEOUT, self.provider.complete(&request)).await {
                Err(_) => side.error = Some("timeout".into()),
                Ok(Err(error)) => side.error = Some(error.message),
                Ok(Ok(reply)) => {
                    let usage = reply.completion.usage.unwrap_or_default();
                    side.cost +=
                        self.prices.get(model).and_then(|price| price.cost(&usage, unix_us())).unwrap_or_default();
                    side.usage = Some(usage);
                    side.error = None;
                    side.output = Some(parse(&plan.kind, &reply.completion.text()));
                    break;
                }
            }
        }
        side
    }
}

/// As one writes it in a hurry: what parses is believed.
fn parse(kind: &IntentKind, text: &str) -> Value {
    match kind {
        IntentKind::Generation => json!({ "text": text }),
        IntentKind::Extraction => serde_json::from_str(text).unwrap_or_else(|_| json!({ "text": text })),
        IntentKind::Classification(_) => match serde_json::from_str::<Value>(text) {
            Ok(Value::Object(fields)) => Value::Object(fields),
            _ => json!({ "label": text.trim() }),
        },
    }
}
