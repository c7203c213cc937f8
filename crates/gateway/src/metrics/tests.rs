//! Money adds up exactly; what is no more is not told.

use baton_core::{NanoUsd, RolloutBasis, RolloutStage, RolloutState};
use baton_engine::RolloutInForce;

use super::*;

#[test]
fn nano_dollars_are_added_as_integers() {
    let metrics = Metrics::new();
    let labels = ByIntentAndModel { intent: Some("a".into()), model: "p/m".into() };
    for _ in 0..1_000_000 {
        metrics.costs.get_or_create(&labels).add(NanoUsd(1));
    }
    let text = metrics.text();
    assert!(text.contains("baton_cost_usd_total{intent=\"a\",model=\"p/m\"} 0.001\n"), "{text}");
}

#[test]
fn a_rollout_is_its_candidates_share_and_its_stage() {
    let metrics = Metrics::new();
    let check = |stage, line: Option<&str>| {
        let state = RolloutState {
            began_us: 1,
            from: "p/old".into(),
            to: "p/new".into(),
            margin: 0.02,
            steps: vec![0.05, 0.25],
            basis: RolloutBasis::Labels,
            stage,
        };
        metrics.rollouts.read(&[RolloutInForce { team: "t".into(), intent: "a".into(), state: Arc::new(state) }]);
        let text = metrics.text();
        let told: Vec<&str> = text.lines().filter(|line| line.starts_with("baton_rollout_share{")).collect();
        assert_eq!(told, line.into_iter().collect::<Vec<_>>());
    };
    let of = r#"baton_rollout_share{team="t",intent="a",from="p/old",to="p/new",stage="#;
    check(RolloutStage::Running { step: 1 }, Some(&format!("{of}\"running\"}} 0.25")));
    check(RolloutStage::RolledBack, Some(&format!("{of}\"rolled_back\"}} 0.0")));
    check(RolloutStage::Released, None);
}
