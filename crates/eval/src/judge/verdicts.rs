//! From a judge's output to a probability for each criterion.

use std::collections::BTreeMap;

use serde_json::Value;

/// By criterion, the probability in [0, 1] that the answer meets it: from the log-probabilities of
/// the verdict's own token where the provider gave them (`choices[0].logprobs` of OpenAI's chat
/// completions), else 1 for `pass` and 0 for `fail`. `None` where a criterion has no verdict.
#[must_use]
pub fn verdicts(output: &Value, logprobs: Option<&Value>) -> Option<BTreeMap<String, f64>> {
    let tokens = logprobs.and_then(Tokens::of);
    let said = output.as_object().filter(|said| !said.is_empty())?;
    let verdict = |(id, said): (&String, &Value)| {
        let sampled = match said.get("verdict")?.as_str()? {
            "pass" => 1.0,
            "fail" => 0.0,
            _ => return None,
        };
        let probability = tokens.as_ref().and_then(|tokens| tokens.verdict(id));
        Some((id.clone(), probability.unwrap_or(sampled)))
    };
    said.iter().map(verdict).collect()
}

/// The answer's tokens as they were written, each with its alternatives.
struct Tokens<'a> {
    text: String,
    /// Where each begins in `text`.
    starts: Vec<usize>,
    tokens: &'a [Value],
}

impl<'a> Tokens<'a> {
    fn of(logprobs: &'a Value) -> Option<Self> {
        let tokens = logprobs.get("content")?.as_array()?;
        let mut text = String::new();
        let mut starts = Vec::with_capacity(tokens.len());
        for token in tokens {
            starts.push(text.len());
            text.push_str(token.get("token")?.as_str()?);
        }
        Some(Self { text, starts, tokens })
    }

    /// The probability of `pass` against `fail` where this criterion's verdict was written.
    fn verdict(&self, id: &str) -> Option<f64> {
        let key = Value::from(id).to_string();
        // The last: reasoning may quote the form that is asked for.
        let of = self.text.rfind(&format!("{key}:")).or_else(|| self.text.rfind(&key))? + key.len();
        let field = of + self.text.get(of..)?.find("\"verdict\"")? + "\"verdict\"".len();
        let at = field + self.text.get(field..)?.find(['p', 'f'])?;
        let place = self.starts.partition_point(|start| *start <= at).checked_sub(1)?;
        // What stands before the word in the same token: a quote, as a rule.
        let before = self.text.get(self.starts[place]..at)?;
        let token = &self.tokens[place];
        let alternatives = token.get("top_logprobs").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (mut pass, mut fail) = (0.0, 0.0);
        for alternative in alternatives {
            let word = alternative.get("token")?.as_str()?.strip_prefix(before).unwrap_or_default();
            let probability = alternative.get("logprob")?.as_f64()?.exp();
            match word.trim_end_matches(['"', '}', ',', ' ']) {
                "" => {}
                word if "pass".starts_with(word) => pass += probability,
                word if "fail".starts_with(word) => fail += probability,
                _ => {}
            }
        }
        let sum = pass + fail;
        (sum > 0.0 && sum.is_finite()).then_some(pass / sum)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(verdict: &str) -> Value {
        json!({"right-team": {"reasoning": "…", "verdict": verdict}})
    }

    #[test]
    fn without_log_probabilities_the_sampled_word_counts() {
        assert_eq!(verdicts(&said("pass"), None), Some(BTreeMap::from([("right-team".into(), 1.0)])));
        assert_eq!(verdicts(&said("fail"), None), Some(BTreeMap::from([("right-team".into(), 0.0)])));
        assert_eq!(verdicts(&said("maybe"), None), None);
        assert_eq!(verdicts(&json!({"right-team": {"reasoning": "…"}}), None), None);
        assert_eq!(verdicts(&json!({}), None), None);
        assert_eq!(verdicts(&json!("pass"), None), None);
    }

    #[test]
    fn with_them_the_verdicts_own_probability_counts() {
        let token = |token: &str, top: Value| json!({"token": token, "logprob": -0.1, "top_logprobs": top});
        let logprobs = json!({"content": [
            token("{\"right-team\":", json!([])),
            token(" {\"reasoning\": \"a \\\"verdict\\\" of pass\", ", json!([])),
            token("\"verdict\": ", json!([])),
            token("\"pass", json!([
                {"token": "\"pass", "logprob": 0.6_f64.ln()},
                {"token": "\"fail", "logprob": 0.2_f64.ln()},
                {"token": " \"", "logprob": 0.2_f64.ln()},
            ])),
            token("\"}}", json!([])),
        ]});
        let scores = verdicts(&said("pass"), Some(&logprobs)).unwrap();
        assert!((scores["right-team"] - 0.75).abs() < 1e-9, "{scores:?}");
    }

    #[test]
    fn log_probabilities_that_say_nothing_are_left_aside() {
        for logprobs in [json!(null), json!({"content": []}), json!({"content": [{"token": 1}]}), json!([1])] {
            assert!(verdicts(&said("fail"), Some(&logprobs)).unwrap()["right-team"] <= 0.0);
        }
    }
}
