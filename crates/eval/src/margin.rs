//! Log-probabilities of an answer: how much more probable its label is than the next.

use serde_json::Value;

/// One token of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenProbability {
    /// Its text.
    pub token: String,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// What could have stood there, with the same.
    pub top: Vec<(String, f64)>,
}

/// Reads `choices[0].logprobs.content` of OpenAI's chat completions; empty where it is not of that
/// form.
#[must_use]
pub fn token_probabilities(content: &Value) -> Vec<TokenProbability> {
    let one = |value: &Value| Some((value["token"].as_str()?.to_owned(), value["logprob"].as_f64()?));
    let token = |value: &Value| {
        let (token, logprob) = one(value)?;
        let top = value["top_logprobs"].as_array().map(|top| top.iter().filter_map(one).collect()).unwrap_or_default();
        Some(TokenProbability { token, logprob, top })
    };
    content.as_array().and_then(|tokens| tokens.iter().map(token).collect::<Option<Vec<_>>>()).unwrap_or_default()
}

/// The least difference of probability, over the tokens that spell the label, between what stands
/// there and the most probable token that would begin another label. What is not listed is at most as
/// probable as the last that is.
///
/// `None` where the tokens do not have the label or list nothing else.
pub(crate) fn margin<'l>(
    tokens: &[TokenProbability],
    label: &str,
    labels: impl Iterator<Item = &'l str> + Clone,
) -> Option<f64> {
    let text: String = tokens.iter().map(|token| token.token.as_str()).collect();
    let start = text.rfind(label)?;
    let (mut at, mut least) = (0, None::<f64>);
    for token in tokens {
        let (from, to) = (at, at + token.token.len());
        at = to;
        if to <= start || from >= start + label.len() || token.top.is_empty() {
            continue;
        }
        // What of the label stands before this token, and what of the token before the label.
        let before = &label[..from.saturating_sub(start)];
        let skip = start.saturating_sub(from);
        let rivals = token.top.iter().filter(|(other, _)| *other != token.token).filter(|(other, _)| {
            let Some(other) = other.get(skip..).filter(|other| !other.is_empty()) else { return false };
            labels.clone().filter(|name| *name != label).any(|name| {
                name.strip_prefix(before)
                    .is_some_and(|rest| rest.starts_with(other) || (!rest.is_empty() && other.starts_with(rest)))
            })
        });
        let listed = token.top.iter().map(|(_, logprob)| logprob.exp()).fold(1.0, f64::min);
        let unlisted = listed.min(1.0 - token.logprob.exp()).max(0.0);
        let rival = rivals.map(|(_, logprob)| logprob.exp()).fold(unlisted, f64::max);
        let here = token.logprob.exp() - rival;
        // Where the label is decided already, nothing else can follow.
        let decided = labels.clone().filter(|name| *name != label).all(|name| !name.starts_with(before));
        if !decided {
            least = Some(least.map_or(here, |least| least.min(here)));
        }
    }
    least.filter(|margin| margin.is_finite()).map(|margin| margin.clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_margin_is_to_the_next_label() {
        let content = json!([
            { "token": "bill", "logprob": (0.6_f64).ln(), "top_logprobs": [
                { "token": "bill", "logprob": (0.6_f64).ln() }, { "token": "the", "logprob": (0.25_f64).ln() },
                { "token": "tech", "logprob": (0.1_f64).ln() }, { "token": "x", "logprob": (0.01_f64).ln() },
            ] },
            { "token": "ing", "logprob": (0.999_f64).ln(), "top_logprobs": [{ "token": "ing", "logprob": (0.999_f64).ln() }] },
        ]);
        let tokens = token_probabilities(&content);
        let labels = ["billing", "technical", "other"];
        let found = margin(&tokens, "billing", labels.into_iter()).unwrap();
        assert!((found - 0.5).abs() < 1e-9, "{found}");
        // `the` begins no label, and what is not listed is at most 1 %.
        let found = margin(&tokens, "billing", ["billing", "other"].into_iter()).unwrap();
        assert!((found - 0.59).abs() < 1e-9, "{found}");
        assert_eq!(margin(&tokens, "technical", labels.into_iter()), None);
        assert_eq!(token_probabilities(&json!({ "a": 1 })), vec![]);
    }
}
