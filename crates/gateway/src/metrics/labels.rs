//! The labels of the figures. What there is none of is the empty label, as Prometheus has it.

use std::fmt;

use baton_core::{AttemptOutcome, ErrorCode, IntentName, ModelId, Status, Via};
use prometheus_client::encoding::{EncodeLabel as _, EncodeLabelSet, LabelSetEncoder};

macro_rules! labels {
    ($($type:ident { $($field:ident: $kind:ty = $text:expr),* })*) => {$(
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(super) struct $type { $(pub(super) $field: $kind,)* }

        impl EncodeLabelSet for $type {
            fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
                $(
                    let text: fn(&$kind) -> &str = $text;
                    (stringify!($field), text(&self.$field)).encode(encoder.encode_label())?;
                )*
                Ok(())
            }
        }
    )*};
}

fn intent(intent: &Option<IntentName>) -> &str {
    intent.as_ref().map_or("", |intent| intent.as_str())
}

labels! {
    ByOutcome {
        intent: Option<IntentName> = intent,
        model: Option<ModelId> = |model| model.as_ref().map_or("", |model| model.as_str()),
        via: Option<Via> = |via| via.map_or("", Via::as_str),
        status: Status = |status| status.as_str()
    }
    ByIntent { intent: Option<IntentName> = intent }
    ByIntentAndModel { intent: Option<IntentName> = intent, model: ModelId = ModelId::as_str }
    ByAttempt { model: ModelId = ModelId::as_str, outcome: AttemptOutcome = |outcome| outcome.as_str() }
    ByCode { intent: Option<IntentName> = intent, code: ErrorCode = |code| code.as_str() }
    ByWatch { team: String = String::as_str, intent: Option<IntentName> = intent }
    ByRollout {
        team: String = String::as_str,
        intent: Option<IntentName> = intent,
        from: ModelId = ModelId::as_str,
        to: ModelId = ModelId::as_str,
        stage: String = String::as_str
    }
    ByLook { intent: Option<IntentName> = intent, outcome: String = String::as_str }
    ByBudget { kind: String = String::as_str, name: String = String::as_str }
    ByBudgetLimit {
        kind: String = String::as_str,
        name: String = String::as_str,
        limit: String = String::as_str
    }
    ByTokens { model: ModelId = ModelId::as_str, kind: TokenKind = |kind| kind.as_str() }
}

/// A model, with one of its provider's keys by number, where it has several.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ByLane {
    pub(super) model: ModelId,
    pub(super) key: Option<u32>,
}

impl EncodeLabelSet for ByLane {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), fmt::Error> {
        ("model", self.model.as_str()).encode(encoder.encode_label())?;
        let key = self.key.map(|key| ("key", key));
        key.map_or(Ok(()), |key| key.encode(encoder.encode_label()))
    }
}

/// What tokens were for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum TokenKind {
    Input,
    Output,
    Cached,
    Reasoning,
}

impl TokenKind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Cached => "cached",
            Self::Reasoning => "reasoning",
        }
    }
}
