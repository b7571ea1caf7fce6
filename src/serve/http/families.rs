//! Metrics as values, and how they are written down.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// All metrics begin with this.
const PREFIX: &str = "raft_sentinel";

/// Whether a metric may go down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FamilyKind {
    /// It may.
    Gauge,
    /// It only grows while the process lives; its name gets `_total`.
    Counter,
}

type Labels = Vec<(&'static str, String)>;

/// A metric with all its label sets.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: FamilyKind,
    samples: Vec<(Labels, f64)>,
}

impl Family {
    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: FamilyKind::Gauge, samples: Vec::new() }
    }

    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self { name, help, kind: FamilyKind::Counter, samples: Vec::new() }
    }

    pub(super) fn add<const N: usize>(&mut self, labels: [(&'static str, &str); N], value: f64) {
        self.samples.push((labels.into_iter().map(|(key, value)| (key, value.to_owned())).collect(), value));
    }

    /// The metric with one more sample, without labels.
    pub(super) fn with(mut self, value: f64) -> Self {
        self.add([], value);
        self
    }

    /// The same, if there is a value.
    pub(super) fn with_some(self, value: Option<f64>) -> Self {
        match value {
            Some(value) => self.with(value),
            None => self,
        }
    }
}

/// One scrape.
#[derive(Debug)]
struct Scrape(Vec<Family>);

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.0.iter().filter(|family| !family.samples.is_empty()) {
            let metric_type = match family.kind {
                FamilyKind::Gauge => MetricType::Gauge,
                FamilyKind::Counter => MetricType::Counter,
            };
            let mut metric = encoder.encode_descriptor(family.name, family.help, None, metric_type)?;
            for (labels, value) in &family.samples {
                if labels.is_empty() {
                    encode_value(&mut metric, family.kind, *value)?;
                } else {
                    encode_value(&mut metric.encode_family(labels)?, family.kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn encode_value(metric: &mut MetricEncoder<'_>, kind: FamilyKind, value: f64) -> fmt::Result {
    match kind {
        FamilyKind::Gauge => metric.encode_gauge(&value),
        FamilyKind::Counter => metric.encode_counter::<NoLabelSet, _, f64>(&value, None),
    }
}

/// The text that Prometheus reads.
pub(super) fn encode(families: Vec<Family>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Scrape(families)));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry)?;
    Ok(text)
}
