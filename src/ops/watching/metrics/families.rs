//! Metric families put together from readings, in the shape that the `prometheus` crate renders.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::event;

/// Families by name.
#[derive(Default)]
pub(super) struct Families(BTreeMap<String, MetricFamily>);

/// Label names and values, in order.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

impl Families {
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        self.total(name, help, labels, value as f64);
    }

    /// A counter of time.
    pub fn seconds(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: Duration) {
        self.total(name, help, labels, value.as_secs_f64());
    }

    fn total(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_counter(counter);
        self.add(name, help, MetricType::COUNTER, metric);
    }

    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_gauge(gauge);
        self.add(name, help, MetricType::GAUGE, metric);
    }

    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        reading: &event::Histogram,
    ) {
        let mut cumulative = 0;
        let buckets = event::BOUNDS_SECONDS.iter().zip(reading.buckets).map(|(bound, count)| {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(reading.count());
        histogram.set_sample_sum(reading.sum.as_secs_f64());
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        self.add(name, help, MetricType::HISTOGRAM, metric);
    }

    /// Adds families that others have put together.
    pub fn extend(&mut self, others: Vec<MetricFamily>) {
        self.0.extend(others.into_iter().map(|family| (family.name().to_owned(), family)));
    }

    pub fn into_sorted(self) -> Vec<MetricFamily> {
        self.0.into_values().collect()
    }

    fn add(&mut self, name: &'static str, help: &'static str, kind: MetricType, metric: Metric) {
        let family = self.0.entry(name.to_owned()).or_insert_with(|| {
            let mut family = MetricFamily::default();
            family.set_name(name.to_owned());
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            family
        });
        family.mut_metric().push(metric);
    }
}

fn pairs(labels: Labels<'_>) -> Vec<LabelPair> {
    let pairs = labels.iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    });
    pairs.collect()
}
