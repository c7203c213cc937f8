//! A counter of money: adds nano-dollars as integers, shows dollars.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use baton_core::NanoUsd;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

#[derive(Clone, Debug, Default)]
pub(super) struct Usd(Arc<AtomicU64>);

impl Usd {
    /// Costs are not negative; one that is counts as none.
    pub(super) fn add(&self, cost: NanoUsd) {
        self.0.fetch_add(u64::try_from(cost.0).unwrap_or(0), Ordering::Relaxed);
    }
}

impl TypedMetric for Usd {
    const TYPE: MetricType = MetricType::Counter;
}

impl EncodeMetric for Usd {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        #[expect(clippy::cast_precision_loss, reason = "Prometheus has floats only; the sum itself stays exact")]
        let nano = self.0.load(Ordering::Relaxed) as f64;
        encoder.encode_counter::<NoLabelSet, _, u64>(&(nano / 1e9), None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}
