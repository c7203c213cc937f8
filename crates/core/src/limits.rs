//! What one call adds, and how it meets what the intent allows.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ErrorCode, Failure};

/// `config` of a call. Each field may tighten what the intent allows, never loosen it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CallConfig {
    /// The model to ask first: a candidate of the intent, or a model granted to the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_model: Option<String>,
    /// The model to ask when the first fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_model: Option<String>,
    /// All models to ask, in order. Instead of the two above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// Seconds for which a remembered answer may be given; 0 asks for a fresh one.
    #[serde(rename = "cacheTTL", skip_serializing_if = "Option::is_none")]
    pub cache_ttl: Option<u64>,
    /// Milliseconds to the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_latency_ms: Option<u64>,
    /// Retries on the same model, over the whole execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The share of answers to similar inputs that may differ from the model's; 0 asks for none of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub semantic_error_max: Option<f64>,
}

/// What an intent allows, the server's bounds where it is silent.
#[derive(Clone, Debug, PartialEq)]
pub struct Ceilings {
    /// The longest deadline.
    pub latency: Duration,
    /// The deadline of a call that names none.
    pub latency_default: Duration,
    /// The most retries.
    pub retries: u32,
    /// The retries of a call that names none.
    pub retries_default: u32,
    /// The longest time to live.
    pub ttl: Duration,
    /// The time to live of a call that names none; zero is no cache.
    pub ttl_default: Duration,
    /// The share of answers to similar inputs that may differ from the model's; `None`: the intent has no
    /// semantic cache.
    pub semantic_error: Option<f64>,
}

/// The server's ceilings and defaults, where an intent is silent: 120 s (30 s unless asked),
/// 5 retries (2 unless asked), 24 h (no cache unless asked).
pub const SERVER_CEILINGS: Ceilings = Ceilings {
    latency: Duration::from_secs(120),
    latency_default: Duration::from_secs(30),
    retries: 5,
    retries_default: 2,
    ttl: Duration::from_secs(24 * 3600),
    ttl_default: Duration::ZERO,
    semantic_error: None,
};

/// A call's limits after the meet with its intent.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// From the request fully read to the last byte of the answer.
    pub deadline: Duration,
    /// Retries over the whole execution.
    pub retries: u32,
    /// Zero: neither look up nor remember.
    pub ttl: Duration,
    /// The share of answers to similar inputs that may differ from the model's; `None`: none is given.
    pub semantic_error: Option<f64>,
    /// The candidates in the order to ask, as indices into the intent's candidates followed by the
    /// granted models; `None` where the call names none.
    pub models: Option<Vec<usize>>,
}

impl Limits {
    /// The meet of a call's limits with an intent's: times and counts the smaller, models a subset.
    ///
    /// `resolve` maps a model's name or alias to its index among the candidates and the models
    /// granted to the key.
    ///
    /// # Errors
    /// `override_not_permitted`, naming field and ceiling, where the call would loosen a limit.
    pub fn meet(
        call: &CallConfig,
        ceilings: &Ceilings,
        resolve: impl Fn(&str) -> Option<usize>,
    ) -> Result<Self, Failure> {
        let deadline = match call.max_latency_ms {
            None => ceilings.latency_default.min(ceilings.latency),
            Some(0) => return Err(refused("maxLatencyMs", "0", "at least 1 ms")),
            Some(ms) => within("maxLatencyMs", Duration::from_millis(ms), ceilings.latency, "ms", Duration::as_millis)?,
        };
        let ttl = match call.cache_ttl {
            None => ceilings.ttl_default.min(ceilings.ttl),
            Some(s) => within("cacheTTL", Duration::from_secs(s), ceilings.ttl, "s", |d| u128::from(d.as_secs()))?,
        };
        let retries = call.retries.unwrap_or(ceilings.retries_default.min(ceilings.retries));
        if retries > ceilings.retries {
            return Err(refused("retries", &retries.to_string(), &format!("at most {}", ceilings.retries)));
        }
        let semantic_error = semantic_error(call, ceilings)?;
        Ok(Self { deadline, retries, ttl, semantic_error, models: models(call, resolve)? })
    }
}

fn semantic_error(call: &CallConfig, ceilings: &Ceilings) -> Result<Option<f64>, Failure> {
    let refused = |asked: f64, ceiling: &str| Err(refused("semanticErrorMax", &asked.to_string(), ceiling));
    match (call.semantic_error_max, ceilings.semantic_error) {
        (None, ceiling) => Ok(ceiling),
        (Some(asked), _) if asked.is_nan() || asked < 0.0 => refused(asked, "at least 0"),
        (Some(0.0), _) => Ok(None),
        (Some(asked), Some(ceiling)) if asked <= ceiling => Ok(Some(asked)),
        (Some(asked), Some(ceiling)) => refused(asked, &format!("at most {ceiling}")),
        (Some(asked), None) => refused(asked, "0: it has no semantic cache"),
    }
}

fn within(
    field: &str,
    asked: Duration,
    ceiling: Duration,
    unit: &str,
    show: impl Fn(&Duration) -> u128,
) -> Result<Duration, Failure> {
    if asked <= ceiling {
        return Ok(asked);
    }
    Err(refused(field, &format!("{} {unit}", show(&asked)), &format!("at most {} {unit}", show(&ceiling))))
}

fn refused(field: &str, asked: &str, ceiling: &str) -> Failure {
    Failure::new(
        ErrorCode::OverrideNotPermitted,
        format!("config.{field} = {asked} is outside of what the intent allows ({ceiling})"),
    )
    .at(format!("/config/{field}"))
}

fn models(call: &CallConfig, resolve: impl Fn(&str) -> Option<usize>) -> Result<Option<Vec<usize>>, Failure> {
    let named: Vec<(&str, &String)> = match (&call.models, &call.primary_model, &call.fallback_model) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
            let both = "give config.models, or config.primaryModel and config.fallbackModel, not both";
            return Err(Failure::new(ErrorCode::InputInvalid, both).at("/config/models"));
        }
        (Some(models), None, None) if models.is_empty() => {
            return Err(Failure::new(ErrorCode::InputInvalid, "config.models is empty: name a model, or leave it out")
                .at("/config/models"));
        }
        (Some(models), None, None) => models.iter().map(|m| ("models", m)).collect(),
        (None, primary, fallback) => {
            let primary = primary.iter().map(|m| ("primaryModel", m));
            primary.chain(fallback.iter().map(|m| ("fallbackModel", m))).collect()
        }
    };
    let mut order = Vec::with_capacity(named.len());
    for (field, name) in named {
        let Some(index) = resolve(name) else {
            let allowed = "a candidate of the intent, or a model granted to the key";
            return Err(refused(field, &format!("`{name}`"), allowed));
        };
        if !order.contains(&index) {
            order.push(index);
        }
    }
    Ok((!order.is_empty()).then_some(order))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn meet(call: &CallConfig) -> Result<Limits, Failure> {
        let ceilings = Ceilings { latency: Duration::from_secs(2), retries: 2, ..SERVER_CEILINGS };
        Limits::meet(call, &ceilings, |name| ["local", "gpt-4", "claude-3-haiku"].iter().position(|m| *m == name))
    }

    #[test]
    fn the_call_that_started_the_project_is_within_its_limits() {
        let call: CallConfig = serde_json::from_str(
            r#"{"primaryModel":"gpt-4","fallbackModel":"claude-3-haiku","cacheTTL":3600,"maxLatencyMs":2000,"retries":2}"#,
        )
        .unwrap();
        let limits = meet(&call).unwrap();
        assert_eq!(limits.models, Some(vec![1, 2]));
        assert_eq!((limits.deadline, limits.retries), (Duration::from_secs(2), 2));
        assert_eq!(limits.ttl, Duration::from_secs(3600));
    }

    #[test]
    fn a_silent_call_gets_the_defaults_within_the_ceilings() {
        let limits = meet(&CallConfig::default()).unwrap();
        assert_eq!((limits.deadline, limits.retries, limits.ttl), (Duration::from_secs(2), 2, Duration::ZERO));
        assert_eq!(limits.models, None);
    }

    #[test]
    fn loosening_is_refused_with_field_and_ceiling() {
        for (json, field, says) in [
            (r#"{"maxLatencyMs":2001}"#, "/config/maxLatencyMs", "at most 2000 ms"),
            (r#"{"maxLatencyMs":0}"#, "/config/maxLatencyMs", "at least 1 ms"),
            (r#"{"retries":3}"#, "/config/retries", "at most 2"),
            (r#"{"cacheTTL":86401}"#, "/config/cacheTTL", "at most 86400 s"),
            (r#"{"primaryModel":"o9"}"#, "/config/primaryModel", "a candidate of the intent"),
        ] {
            let refused = meet(&serde_json::from_str(json).unwrap()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::OverrideNotPermitted);
            assert_eq!(refused.param.as_deref(), Some(field));
            assert!(refused.message.contains(says), "{}", refused.message);
        }
    }

    #[test]
    fn the_promise_of_the_semantic_cache_may_only_be_tightened() {
        let meet = |ceiling: Option<f64>, asked: Option<f64>| {
            let ceilings = Ceilings { semantic_error: ceiling, ..SERVER_CEILINGS };
            let call = CallConfig { semantic_error_max: asked, ..CallConfig::default() };
            Limits::meet(&call, &ceilings, |_| None).map(|limits| limits.semantic_error)
        };
        assert_eq!(meet(Some(0.02), None), Ok(Some(0.02)));
        assert_eq!(meet(Some(0.02), Some(0.01)), Ok(Some(0.01)));
        assert_eq!(meet(Some(0.02), Some(0.0)), Ok(None), "a fresh answer, or the same input's");
        assert_eq!(meet(None, Some(0.0)), Ok(None));
        for (ceiling, asked, says) in [
            (Some(0.02), 0.03, "at most 0.02"),
            (None, 0.01, "it has no semantic cache"),
            (Some(0.02), -0.01, "at least 0"),
            (Some(0.02), f64::NAN, "at least 0"),
        ] {
            let refused = meet(ceiling, Some(asked)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::OverrideNotPermitted);
            assert_eq!(refused.param.as_deref(), Some("/config/semanticErrorMax"));
            assert!(refused.message.contains(says), "{}", refused.message);
        }
    }

    #[test]
    fn an_unknown_limit_is_an_error() {
        let error = serde_json::from_str::<CallConfig>(r#"{"maxLatency":5}"#).unwrap_err().to_string();
        assert!(error.contains("maxLatencyMs"), "{error}");
    }

    fn ceilings() -> impl Strategy<Value = Ceilings> {
        let times = || (0..200_000_u64).prop_map(Duration::from_millis);
        let counts = || 0..10_u32;
        (times(), times(), counts(), counts(), times(), times()).prop_map(
            |(latency, latency_default, retries, retries_default, ttl, ttl_default)| Ceilings {
                latency,
                latency_default,
                retries,
                retries_default,
                ttl,
                ttl_default,
                semantic_error: None,
            },
        )
    }

    proptest! {
        #![proptest_config(crate::test_config(1000))]

        /// Whatever a call asks for, it gets exactly that or an error, never more than the ceiling.
        #[test]
        fn never_looser_than_the_ceilings(
            (ceilings, ms) in (ceilings(), proptest::option::of(prop_oneof![0..250_000_u64, Just(u64::MAX)])),
            (ttl, retries) in (proptest::option::of(prop_oneof![0..250_u64, Just(u64::MAX)]), proptest::option::of(0..12_u32)),
            names in proptest::option::of(proptest::collection::vec("[a-e]", 0..6)),
        ) {
            let call =
                CallConfig { max_latency_ms: ms, cache_ttl: ttl, retries, models: names.clone(), ..CallConfig::default() };
            let known = ["a", "b", "c", "d"];
            let met = Limits::meet(&call, &ceilings, |name| known.iter().position(|known| *known == name));
            let fits = ms.is_none_or(|ms| ms > 0 && Duration::from_millis(ms) <= ceilings.latency)
                && ttl.is_none_or(|s| Duration::from_secs(s) <= ceilings.ttl)
                && retries.is_none_or(|n| n <= ceilings.retries)
                && names.as_ref().is_none_or(|names| !names.is_empty() && names.iter().all(|name| name != "e"));
            prop_assert_eq!(met.is_ok(), fits, "{:?}", met);
            let Ok(limits) = met else { return Ok(()) };
            prop_assert!(limits.deadline <= ceilings.latency && limits.ttl <= ceilings.ttl);
            prop_assert!(limits.retries <= ceilings.retries);
            prop_assert!(ms.is_none_or(|ms| limits.deadline == Duration::from_millis(ms)));
            prop_assert!(ttl.is_none_or(|s| limits.ttl == Duration::from_secs(s)));
            prop_assert!(retries.is_none_or(|n| limits.retries == n));
            // In the order of the call, each once.
            let mut order: Vec<&str> = Vec::new();
            for name in names.iter().flatten() {
                if !order.contains(&name.as_str()) {
                    order.push(name);
                }
            }
            let named = limits.models.map(|models| models.into_iter().map(|i| known[i]).collect::<Vec<_>>());
            prop_assert_eq!(named, names.as_ref().map(|_| order));
        }
    }
}
