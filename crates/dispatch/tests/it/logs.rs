use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::rig::{Message, Rig, http, open};
use crate::sink::{Answer, Sink, status};

/// Keeps events as their fields; the message is the field `message`.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "hookaido"
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        fields.0.insert("level".to_owned(), event.metadata().level().to_string());
        self.0.lock().push(fields.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Log {
    /// The fields of the events of this name.
    fn of(&self, name: &str) -> Vec<BTreeMap<String, String>> {
        self.0.lock().iter().filter(|event| event["message"] == name).cloned().collect()
    }
}

fn event(fields: &[(&str, &str)]) -> BTreeMap<String, String> {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[tokio::test]
async fn deliveries_are_logged_with_what_became_of_them() {
    let log = Log::default();
    let _default = tracing::subscriber::set_default(log.clone());
    let sink = Sink::start(|_, n| match n {
        0 => Answer { headers: vec![("retry-after", "1".to_owned())], ..status(503) },
        1 => status(200),
        _ => status(404),
    });
    let (mut rig, sink) = (Rig::start(), sink.await);
    let url = sink.url("/in");
    rig.push(open(), 1, vec![http(&url)]).await;
    rig.publish(&url, Message { id: Some("e1"), ..Message::default() }).await;
    sink.got(2).await;
    rig.publish(&url, Message { id: Some("e2"), ..Message::default() }).await;
    sink.got(3).await;
    rig.stop().await;
    let common = [("route", "/hooks/a"), ("target", url.as_str())];
    let of = |name, fields: &[(&'static str, &'static str)]| {
        assert_eq!(log.of(name), [event(&[&common[..], fields, &[("message", name)]].concat())]);
    };
    of(
        "delivery_retry",
        &[
            ("level", "INFO"),
            ("attempt", "1"),
            ("delay", "1000000000"),
            ("event_id", "e1"),
            ("status", "503"),
            ("retry_after", "1000000000"),
        ],
    );
    of("delivery_ok", &[("level", "INFO"), ("status", "200"), ("attempt", "2"), ("event_id", "e1")]);
    of(
        "delivery_dead",
        &[("level", "WARN"), ("status", "404"), ("attempt", "1"), ("reason", "no_retry"), ("event_id", "e2")],
    );
}
