//! Sums and histograms by attributes, with a bound on how many.

use std::collections::HashMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, number_data_point,
};
use prost::Message as _;

use crate::attributes::Attributes;

/// Sets of attributes of one instrument; what is beyond is added up in one. The specification's
/// default ("Metrics SDK", cardinality limits).
const SETS_MAX: usize = 2000;

/// One instrument of the conventions.
pub(crate) struct Instrument {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) description: &'static str,
    /// The upper bounds of a histogram's buckets; a counter has none.
    pub(crate) bounds: Option<&'static [f64]>,
}

/// What was measured with one instrument.
pub(crate) struct Measured {
    pub(crate) instrument: &'static Instrument,
    /// By the encoded attributes.
    points: HashMap<Vec<u8>, Point>,
}

#[derive(Clone, Default)]
struct Point {
    attributes: Vec<KeyValue>,
    count: u64,
    sum: f64,
    min: f64,
    max: f64,
    buckets: Vec<u64>,
}

impl Measured {
    pub(crate) fn new(instrument: &'static Instrument) -> Self {
        Self { instrument, points: HashMap::new() }
    }

    pub(crate) fn record(&mut self, attributes: &[KeyValue], value: f64) {
        let mut key = encoded(attributes);
        let mut attributes = attributes.to_vec();
        if self.points.len() >= SETS_MAX && !self.points.contains_key(&key) {
            let mut overflow = Attributes::default();
            overflow.flag("otel.metric.overflow", true);
            (key, attributes) = (encoded(&overflow.0), overflow.0);
        }
        let bounds = self.instrument.bounds.unwrap_or_default();
        let point = self.points.entry(key).or_insert_with(|| Point {
            attributes,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            buckets: vec![0; bounds.len() + 1],
            ..Point::default()
        });
        point.count += 1;
        point.sum += value;
        point.min = point.min.min(value);
        point.max = point.max.max(value);
        // A bound belongs to the bucket below it.
        let bucket = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = point.buckets.get_mut(bucket) {
            *count += 1;
        }
    }

    /// As OTLP has it, of what was measured `since` then; `None` where nothing was. Differences are
    /// given once.
    pub(crate) fn take(&mut self, (since, now): (u64, u64), delta: bool) -> Option<Metric> {
        if self.points.is_empty() {
            return None;
        }
        let temporality = if delta { AggregationTemporality::Delta } else { AggregationTemporality::Cumulative };
        let points: Vec<Point> = if delta {
            self.points.drain().map(|(_, point)| point).collect()
        } else {
            self.points.values().cloned().collect()
        };
        let data = match self.instrument.bounds {
            Some(bounds) => Data::Histogram(Histogram {
                data_points: points.into_iter().map(|point| distribution(point, bounds, (since, now))).collect(),
                aggregation_temporality: temporality.into(),
            }),
            None => Data::Sum(Sum {
                data_points: points.into_iter().map(|point| total(point, (since, now))).collect(),
                aggregation_temporality: temporality.into(),
                is_monotonic: true,
            }),
        };
        Some(Metric {
            name: self.instrument.name.into(),
            unit: self.instrument.unit.into(),
            description: self.instrument.description.into(),
            data: Some(data),
            ..Metric::default()
        })
    }
}

fn distribution(point: Point, bounds: &[f64], (since, now): (u64, u64)) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: since,
        time_unix_nano: now,
        count: point.count,
        sum: Some(point.sum),
        min: Some(point.min),
        max: Some(point.max),
        bucket_counts: point.buckets,
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

fn total(point: Point, (since, now): (u64, u64)) -> NumberDataPoint {
    #[expect(clippy::cast_possible_truncation, reason = "tokens are whole, and far below 2^53")]
    let sum = point.sum as i64;
    NumberDataPoint {
        attributes: point.attributes,
        start_time_unix_nano: since,
        time_unix_nano: now,
        value: Some(number_data_point::Value::AsInt(sum)),
        ..NumberDataPoint::default()
    }
}

/// What tells one set of attributes from another. Those of one instrument come in one order.
fn encoded(attributes: &[KeyValue]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for pair in attributes {
        // The length goes before the message: no two lists look alike.
        let written = pair.encode_length_delimited(&mut bytes);
        debug_assert!(written.is_ok(), "a vector grows");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    static SECONDS: Instrument = Instrument { name: "t", unit: "s", description: "", bounds: Some(&[0.1, 1.0]) };
    static TOKENS: Instrument = Instrument { name: "n", unit: "{token}", description: "", bounds: None };

    fn named(name: &str) -> Vec<KeyValue> {
        let mut attributes = Attributes::default();
        attributes.text("a", name);
        attributes.0
    }

    fn points(metric: Metric) -> Vec<HistogramDataPoint> {
        match metric.data.unwrap() {
            Data::Histogram(histogram) => histogram.data_points,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_bound_belongs_to_the_bucket_below() {
        let mut measured = Measured::new(&SECONDS);
        for value in [0.05, 0.1, 0.5, 1.0, 2.0] {
            measured.record(&named("x"), value);
        }
        let point = points(measured.take((1, 2), false).unwrap()).remove(0);
        assert_eq!(point.bucket_counts, [2, 2, 1]);
        assert_eq!((point.count, point.min, point.max), (5, Some(0.05), Some(2.0)));
    }

    #[test]
    fn sums_go_on_and_differences_begin_anew() {
        let mut measured = Measured::new(&TOKENS);
        let value = |metric: Metric| match metric.data.unwrap() {
            Data::Sum(sum) => sum.data_points[0].value.unwrap(),
            other => panic!("{other:?}"),
        };
        measured.record(&named("x"), 5.0);
        assert_eq!(value(measured.take((1, 2), false).unwrap()), number_data_point::Value::AsInt(5));
        measured.record(&named("x"), 2.0);
        assert_eq!(value(measured.take((1, 3), true).unwrap()), number_data_point::Value::AsInt(7));
        assert_eq!(measured.take((3, 4), true), None);
    }

    #[test]
    fn sets_of_attributes_have_a_bound() {
        let mut measured = Measured::new(&SECONDS);
        for n in 0..SETS_MAX + 50 {
            measured.record(&named(&n.to_string()), 0.5);
        }
        let points = points(measured.take((1, 2), false).unwrap());
        assert_eq!(points.len(), SETS_MAX + 1);
        let beyond = points.iter().find(|point| point.attributes[0].key == "otel.metric.overflow").unwrap();
        assert_eq!(beyond.count, 50);
    }
}
