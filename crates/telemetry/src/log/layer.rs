//! The runtime log: events of `tracing` as lines.
//!
//! The message of an event is its name (`"msg"`), its fields follow in the order they were written. Durations are recorded by callers as
//! integer nanoseconds. Events of other crates are shown from `warn` on.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use hookaido_model::Clock;
use hookaido_model::config::LogLevel;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::json;
use super::sink::Sink;

/// A line keeps no more memory than this between uses.
const KEPT: usize = 64 * 1024;

thread_local! {
    static LINE: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Where the runtime log goes at present.
#[derive(Debug)]
pub(crate) struct Runtime {
    pub(crate) sink: ArcSwap<Sink>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) dropped: AtomicU64,
    level: AtomicU8,
}

impl Runtime {
    pub(crate) fn new(sink: Arc<Sink>, level: LogLevel, clock: Arc<dyn Clock>) -> Self {
        let level = AtomicU8::new(level as u8);
        Self { sink: ArcSwap::new(sink), clock, dropped: AtomicU64::new(0), level }
    }

    /// Takes effect for every event from now on, also for those that were off before.
    pub(crate) fn set_level(&self, level: LogLevel) {
        self.level.store(level as u8, Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }

    fn filter(&self) -> LevelFilter {
        match self.level.load(Ordering::Relaxed) {
            level if level == LogLevel::Debug as u8 => LevelFilter::DEBUG,
            level if level == LogLevel::Info as u8 => LevelFilter::INFO,
            level if level == LogLevel::Warn as u8 => LevelFilter::WARN,
            level if level == LogLevel::Error as u8 => LevelFilter::ERROR,
            _ => LevelFilter::OFF,
        }
    }
}

/// Turns events into lines.
#[derive(Clone, Debug)]
pub struct JsonLayer(pub(crate) Arc<Runtime>);

impl<S: Subscriber> Layer<S> for JsonLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().starts_with("hookaido");
        metadata.is_event() && *metadata.level() <= self.0.filter() && (ours || *metadata.level() <= Level::WARN)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.0.filter())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        LINE.with(|scratch| {
            // Taken already only if formatting a field emits an event; that inner event is left out.
            let Ok(mut scratch) = scratch.try_borrow_mut() else { return };
            let (line, fields) = &mut *scratch;
            line.clear();
            fields.clear();
            json::head(line, self.0.clock.now(), level.as_str());
            let mut visitor = Fields { message: line, fields, named: false };
            event.record(&mut visitor);
            if !visitor.named {
                json::string(line, event.metadata().name());
            }
            line.extend_from_slice(fields);
            line.extend_from_slice(b"}\n");
            if !self.0.sink.load().push(line, level <= Level::WARN) {
                self.0.dropped.fetch_add(1, Ordering::Relaxed);
            }
            line.shrink_to(KEPT);
            fields.shrink_to(KEPT);
        });
    }
}

struct Fields<'a> {
    message: &'a mut Vec<u8>,
    fields: &'a mut Vec<u8>,
    named: bool,
}

impl Fields<'_> {
    /// Writes the name of a field; the value follows into what is returned.
    fn name(&mut self, field: &Field) -> &mut Vec<u8> {
        if field.name() == "message" && !self.named {
            self.named = true;
            return self.message;
        }
        self.fields.push(b',');
        json::string(self.fields, field.name().strip_prefix("r#").unwrap_or(field.name()));
        self.fields.push(b':');
        self.fields
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        json::display(self.name(field), format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        json::string(self.name(field), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        json::number(self.name(field), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        json::number(self.name(field), value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        json::number(self.name(field), value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        json::number(self.name(field), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        let out = self.name(field);
        if value.is_finite() { json::number(out, value) } else { json::display(out, value) }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        json::number(self.name(field), value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        json::display(self.name(field), value);
    }
}
