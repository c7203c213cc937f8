//! Money adds up exactly.

use baton_core::NanoUsd;

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
