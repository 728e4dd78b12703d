//! One counted number, and the list of all of them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::Mutex;

/// Upper bounds of the buckets of every duration, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];

/// A number that only grows. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count(Arc<AtomicU64>);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that grows and shrinks, shown as zero while it is negative. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Level64(Arc<AtomicI64>);

impl Level64 {
    pub(crate) fn up(&self, n: u64) {
        self.0.fetch_add(i64::try_from(n).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Stops at zero: what was counted before a restart may be given back after it.
    pub(crate) fn down(&self, n: u64) {
        let n = i64::try_from(n).unwrap_or(i64::MAX);
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |at| Some(at.saturating_sub(n).max(0)));
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(i64::try_from(n).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        u64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0)
    }
}

/// Name and help text of a family.
#[derive(Clone, Copy)]
pub(crate) struct Family {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

pub(crate) const fn family(name: &'static str, help: &'static str) -> Family {
    Family { name, help }
}

/// Labels of a series: names are fixed, values come from the configuration or an enum.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

/// The Prometheus recorder and the cells that are copied into it.
pub(crate) struct Registry {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    counts: Mutex<Vec<(Count, Counter)>>,
    levels: Mutex<Vec<(Level64, Gauge)>>,
    /// Gauges whose cell is a plain count, such as a flag.
    flags: Mutex<Vec<(Count, Gauge)>>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        // The builder only refuses an empty list of buckets; without them durations would be exported as summaries.
        let builder = builder
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle, counts: Mutex::default(), levels: Mutex::default(), flags: Mutex::default() }
    }

    /// A counter that starts at zero and is exported from now on.
    pub(crate) fn count(&self, family: Family, labels: Labels<'_>) -> Count {
        let count = Count::default();
        self.export_count(family, labels, &count);
        count
    }

    /// Exports a counter that exists already.
    pub(crate) fn export_count(&self, family: Family, labels: Labels<'_>, count: &Count) {
        self.recorder.describe_counter(family.name.into(), None, family.help.into());
        let counter = self.recorder.register_counter(&key(family, labels), &METADATA);
        self.counts.lock().push((count.clone(), counter));
    }

    /// Adds to a counter that is looked up by its labels: for rare events only.
    pub(crate) fn add_to(&self, family: Family, labels: Labels<'_>, n: u64) {
        self.recorder.describe_counter(family.name.into(), None, family.help.into());
        self.recorder.register_counter(&key(family, labels), &METADATA).increment(n);
    }

    /// Exports a level that exists already.
    pub(crate) fn export_level(&self, family: Family, labels: Labels<'_>, level: &Level64) {
        let gauge = self.gauge(family, labels);
        self.levels.lock().push((level.clone(), gauge));
    }

    /// A gauge that shows a count as it is.
    pub(crate) fn flag(&self, family: Family) -> Count {
        let count = Count::default();
        let gauge = self.gauge(family, &[]);
        self.flags.lock().push((count.clone(), gauge));
        count
    }

    /// A gauge that its owner sets.
    pub(crate) fn gauge(&self, family: Family, labels: Labels<'_>) -> Gauge {
        self.recorder.describe_gauge(family.name.into(), None, family.help.into());
        self.recorder.register_gauge(&key(family, labels), &METADATA)
    }

    /// A histogram over [`SECONDS`].
    pub(crate) fn seconds(&self, family: Family, labels: Labels<'_>) -> Histogram {
        self.recorder.describe_histogram(family.name.into(), None, family.help.into());
        self.recorder.register_histogram(&key(family, labels), &METADATA)
    }

    /// Folds recorded durations into their buckets; without it every sample would be kept.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// The text format, families and series in the order of their names.
    pub(crate) fn render(&self) -> String {
        for (count, counter) in self.counts.lock().iter() {
            counter.absolute(count.get());
        }
        for (level, gauge) in self.levels.lock().iter() {
            gauge.set(to_f64(level.get()));
        }
        for (count, gauge) in self.flags.lock().iter() {
            gauge.set(to_f64(count.get()));
        }
        in_order(&self.handle.render())
    }
}

/// Numbers beyond 2^53 lose their last digits, as every gauge does.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating point numbers")]
pub(crate) fn to_f64(n: u64) -> f64 {
    n as f64
}

static METADATA: Metadata<'static> = Metadata::new("hookaido", Level::INFO, None);

fn key(family: Family, labels: Labels<'_>) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(family.name, labels)
}

/// The exporter hashes families and series; a stable order makes the page readable and comparable. Lines of a histogram keep theirs.
fn in_order(text: &str) -> String {
    let mut blocks: Vec<Vec<&str>> = text.split("\n\n").map(|block| block.lines().collect()).collect();
    blocks.retain(|block: &Vec<&str>| !block.is_empty());
    for block in &mut blocks {
        let (head, samples): (Vec<&str>, Vec<&str>) = block.iter().partition(|line| line.starts_with('#'));
        let mut samples = samples;
        if !head.iter().any(|line| line.ends_with(" histogram")) {
            samples.sort_unstable();
        }
        *block = head.into_iter().chain(samples).collect();
    }
    blocks.sort_by(|a, b| name_of(a).cmp(&name_of(b)));
    let mut out = String::with_capacity(text.len());
    for line in blocks.iter().flatten() {
        out.push_str(line);
        out.push('\n');
    }
    out
}

fn name_of<'a>(block: &[&'a str]) -> Option<&'a str> {
    block.iter().find(|line| line.starts_with("# TYPE ")).and_then(|line| line.split(' ').nth(2))
}
