//! Seeds: the same seed gives the same bytes, and shares come out as stated.

use std::time::Duration;

use baton_sim::{Behaviour, Scenario, Share, Sim};
use baton_wire::Transport;
use serde_json::json;

use crate::support::{TICKET, body, bytes_of, chat, content, read, sim};

const MIXED: &str = r#"
[models.gpt-4]
first_token_ms = { p50 = 320, p99 = 1200 }
tokens_per_second = 60
wrong = 0.2
errors = [{ status = 500, share = 0.1 }, { status = 429, share = 0.1, retry_after = 2 }]
faults = [{ kind = "cut_stream", share = 0.1, after_tokens = 1 }, { kind = "fenced", share = 0.1 }]
[models.other]
"#;

/// Everything that 100 calls send and when, as text.
async fn transcript(seed: u64, scenario: &str) -> Vec<String> {
    let scenario = Scenario::parse(scenario, std::path::Path::new("")).unwrap();
    let transport = Sim::new(scenario.cases(crate::support::tickets()).unwrap(), seed).transport();
    let start = tokio::time::Instant::now();
    let mut lines = Vec::new();
    for n in 0..100 {
        let response = transport.send(chat(body(TICKET, n % 2 == 0))).await.unwrap();
        let headers = format!("{:?}", response.headers);
        let (status, bytes, error) = read(response).await;
        lines.push(format!("{:?} {status} {headers} {} {error:?}", start.elapsed(), String::from_utf8(bytes).unwrap()));
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn a_seed_replays_to_the_byte() {
    let first = transcript(7, MIXED).await;
    assert_eq!(first, transcript(7, MIXED).await);
    let other = transcript(8, MIXED).await;
    assert!(first.iter().zip(&other).all(|(a, b)| a != b), "another seed, other bytes");
}

#[tokio::test(start_paused = true)]
async fn models_do_not_disturb_each_other() {
    let sim = sim(MIXED);
    let before = sim.script(&body(TICKET, false), 3, Duration::ZERO);
    let other = body(TICKET, false).to_vec();
    let other = String::from_utf8(other).unwrap().replace("gpt-4", "other");
    for _ in 0..10 {
        read(sim.transport().send(chat(other.clone().into())).await.unwrap()).await;
    }
    assert_eq!(sim.script(&body(TICKET, false), 3, Duration::ZERO), before);
}

/// `found` of `n` lies within 4.5 standard deviations of the share.
fn within(found: u64, n: u64, share: f64) {
    let (n, found) = (n as f64, found as f64);
    let deviation = (n * share * (1.0 - share)).sqrt();
    assert!((found - n * share).abs() <= 4.5 * deviation, "{found} of {n}, expected {}", n * share);
}

#[test]
fn faults_come_at_their_shares() {
    let sim = sim(MIXED);
    let request = body(TICKET, true);
    let n = 5_000;
    let faults: Vec<_> = (0..n).map(|call| sim.script(&request, call, Duration::ZERO).fault).collect();
    for (name, share) in [(Some("status"), 0.2), (Some("cut_stream"), 0.1), (Some("fenced"), 0.1), (None, 0.6)] {
        within(faults.iter().filter(|f| **f == name).count() as u64, n, share);
    }
}

#[test]
fn wrong_answers_come_at_their_share_and_stay() {
    let cases = |n: u64| {
        (0..n).map(|i| {
            (
                json!({"ticket": format!("ticket number {i:05}")}),
                json!({"label": if i % 2 == 0 { "bug" } else { "billing" }}),
            )
        })
    };
    let behaviour = Behaviour { wrong: Share::new(0.1).unwrap(), ..Behaviour::default() };
    let n = 1_000;
    let scenario = Scenario::default().model("gpt-4", behaviour).unwrap().cases(cases(n)).unwrap();
    let sim = Sim::new(scenario, 7);
    let mut wrong = 0;
    for (input, expected) in cases(n) {
        let request = body(input["ticket"].as_str().unwrap(), false);
        let scripts = [1, 2].map(|call| sim.script(&request, call, Duration::ZERO));
        let truth = scripts[0].truth.clone().unwrap();
        assert_eq!(truth.expected, expected);
        let said = content(&scripts[0]);
        assert_eq!(truth.wrong, json!({"label": said}) != expected);
        assert!(["bug", "billing"].contains(&said.as_str()), "a wrong label is still a label: {said}");
        assert_eq!(said, content(&scripts[1]), "the same model says the same to the same input");
        wrong += u64::from(truth.wrong);
    }
    within(wrong, n, 0.1);
}

#[test]
fn first_tokens_have_the_stated_quantiles() {
    let sim = sim("[models.gpt-4]\nfirst_token_ms = { p50 = 320, p99 = 1200 }");
    let request = body(TICKET, false);
    let mut ms: Vec<u128> =
        (0..5_000).map(|call| sim.script(&request, call, Duration::ZERO).body[0].at.as_millis()).collect();
    ms.sort_unstable();
    // Standard error of the median 3.2 ms, of the 99th percentile about 35 ms.
    assert!(ms[2_500].abs_diff(320) < 15, "p50 {}", ms[2_500]);
    assert!(ms[4_950].abs_diff(1_200) < 150, "p99 {}", ms[4_950]);
}

#[test]
fn an_id_belongs_to_one_call() {
    let sim = sim("[models.gpt-4]");
    let id = |call| bytes_of(&sim.script(&body(TICKET, false), call, Duration::ZERO));
    assert_eq!(id(0), id(0));
    assert_ne!(id(0), id(1));
}
