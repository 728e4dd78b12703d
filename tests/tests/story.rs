//! What README.md tells a newcomer, on the configuration that `make run` serves: only the ports differ.

use e2e::client::Client;
use e2e::fail::{Attempt, Fail};
use e2e::rig::{PATIENCE, Rig, await_that, await_within};
use e2e::sink::Sink;
use serde_json::{Value, json};
use std::time::Duration;

/// `Hookaido.conf` with the ports of this test, and retries that do not take ten seconds.
fn config() -> Attempt<String> {
    let mut text = include_str!("../../Hookaido.conf").to_owned();
    let changes = [
        ("127.0.0.1:8080", "{{ingress}}"),
        ("127.0.0.1:9443", "{{pull}}"),
        ("127.0.0.1:2019", "{{admin}}"),
        ("127.0.0.1:9900", "{{metrics}}"),
        ("127.0.0.1:3000", "{{sink}}"),
        ("base 1s cap 10s", "base 20ms cap 100ms"),
    ];
    for (from, to) in changes {
        if !text.contains(from) {
            return Err(Fail(format!("Hookaido.conf no longer has {from}")));
        }
        text = text.replace(from, to);
    }
    Ok(text)
}

struct Cast {
    rig: Rig,
    provider: Client,
    worker: Client,
    operator: Client,
}

impl Cast {
    fn new() -> Attempt<Self> {
        let rig = Rig::started(&config()?)?;
        let (provider, worker, operator) = (rig.client("ingress")?, rig.client("pull")?, rig.client("admin")?);
        let worker = worker.token("dev-token");
        Ok(Self { rig, provider, worker, operator: operator.with("X-Hookaido-Audit-Reason", "demo") })
    }

    /// Starts again after an end; clients connect anew.
    fn again(&mut self) -> Attempt<()> {
        self.rig.start()?;
        self.provider = self.rig.client("ingress")?;
        self.worker = self.rig.client("pull")?.token("dev-token");
        self.operator = self.rig.client("admin")?.with("X-Hookaido-Audit-Reason", "demo");
        Ok(())
    }

    /// The items of a list of the admin API.
    fn items(&mut self, path: &str) -> Vec<Value> {
        let list = self.operator.get(path).ok().map(|(_, list)| list);
        list.and_then(|list| list.get("items")?.as_array().cloned()).unwrap_or_default()
    }
}

fn bodies(sink: &mut Sink, count: usize) -> Vec<String> {
    let taken = sink.take(count, PATIENCE, Duration::ZERO);
    taken.into_iter().map(|taken| String::from_utf8_lossy(&taken.raw).into_owned()).collect()
}

fn member<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[test]
fn a_webhook_goes_in_and_a_worker_takes_it_out() -> Attempt<()> {
    let mut cast = Cast::new()?;
    assert_eq!(cast.provider.post("/webhooks/github", r#"{"action":"opened"}"#)?, 202);
    let pulled = cast.worker.dequeue("/pull/github", 1, "30s", "0s")?;
    assert_eq!(pulled.iter().map(|one| one.body.as_str()).collect::<Vec<_>>(), [r#"{"action":"opened"}"#]);
    let (status, _) = cast.worker.ask("/pull/github/ack", &json!({"lease_id": pulled[0].lease}))?;
    assert_eq!(status, 204);
    assert_eq!(cast.worker.drain("/pull/github", "0s")?, Vec::<String>::new());
    assert_eq!(cast.items("/messages?route=/webhooks/github"), Vec::<Value>::new());
    let (status, health) = cast.operator.get("/healthz?details=1")?;
    assert_eq!((status, health.pointer("/ok")), (200, Some(&json!(true))), "{health}");
    let (status, metrics) = cast.rig.client("metrics")?.get("/metrics")?;
    assert_eq!(status, 200);
    assert!(metrics.as_str().is_some_and(|text| text.contains("hookaido_")), "{metrics}");
    Ok(())
}

#[test]
fn a_broken_receiver_leads_to_a_dead_letter_that_is_put_back() -> Attempt<()> {
    let mut cast = Cast::new()?;
    let mut receiver = cast.rig.sink(&json!([{"status": 200}]))?;
    assert_eq!(cast.provider.post("/webhooks/orders", r#"{"order":1}"#)?, 202);
    assert_eq!(bodies(&mut receiver, 1), [r#"{"order":1}"#]);

    drop(receiver);
    assert_eq!(cast.provider.post("/webhooks/orders", r#"{"order":2}"#)?, 202);
    let dead = await_that("a dead letter", || cast.items("/dlq?include_payload=1").into_iter().next())?;
    let id = member(&dead, "id").to_owned();
    assert_eq!(member(&dead, "dead_reason"), "max_retries", "{dead}");
    assert_eq!(dead.get("attempt"), Some(&json!(4)), "{dead}");
    let attempts = cast.items(&format!("/attempts?event_id={id}&limit=10"));
    let outcomes: Vec<&str> = attempts.iter().map(|attempt| member(attempt, "outcome")).collect();
    assert_eq!(outcomes, ["dead", "retry", "retry", "retry"], "newest first: {attempts:?}");

    let mut receiver = cast.rig.sink(&json!([{"status": 200}]))?;
    let (status, answer) = cast.operator.ask("/dlq/requeue", &json!({"ids": [id]}))?;
    assert_eq!((status, answer.get("requeued")), (200, Some(&json!(1))), "{answer}");
    assert_eq!(bodies(&mut receiver, 1), [r#"{"order":2}"#]);
    await_that("the dead-letter queue to be empty", || cast.items("/dlq").is_empty().then_some(()))?;
    let newest = |cast: &mut Cast| cast.items(&format!("/attempts?event_id={id}&limit=1"));
    await_that("the attempt that was acked", || {
        newest(&mut cast).first().is_some_and(|attempt| member(attempt, "outcome") == "acked").then_some(())
    })?;
    Ok(())
}

#[test]
fn what_is_published_is_pushed_or_pulled() -> Attempt<()> {
    let mut cast = Cast::new()?;
    let mut receiver = cast.rig.sink(&json!([{"status": 200}]))?;
    for route in ["/notify", "/jobs"] {
        let item = json!({"id": format!("demo{}", route.replace('/', "-")), "route": route, "payload_b64": "aGVsbG8="});
        let (status, answer) = cast.operator.ask("/messages/publish", &json!({"items": [item]}))?;
        assert_eq!((status, answer.get("published")), (200, Some(&json!(1))), "{answer}");
    }
    let taken = receiver.take(1, PATIENCE, Duration::ZERO);
    assert_eq!(taken.iter().map(|one| member(&one.seen, "path")).collect::<Vec<_>>(), ["/notify"]);
    assert_eq!(taken.iter().map(|one| member(&one.seen, "body")).collect::<Vec<_>>(), ["hello"]);
    assert_eq!(cast.worker.drain("/pull/jobs", "0s")?, ["hello"]);
    // Neither channel takes webhooks.
    assert_eq!(cast.provider.post("/notify", "x")?, 404);
    assert_eq!(cast.provider.post("/jobs", "x")?, 404);
    Ok(())
}

#[test]
fn everything_accepted_is_there_after_ctrl_c_and_after_a_kill() -> Attempt<()> {
    let mut cast = Cast::new()?;
    for (signal, code) in [("INT", 0), ("KILL", -9)] {
        for body in ["a", "b", "c"] {
            assert_eq!(cast.provider.post("/webhooks/github", body)?, 202);
        }
        let job = json!({"id": format!("job-{signal}"), "route": "/jobs", "payload_b64": "am9i"});
        assert_eq!(cast.operator.ask("/messages/publish", &json!({"items": [job]}))?.0, 200);
        // No receiver: it waits for its next try, or is a dead letter.
        assert_eq!(cast.provider.post("/webhooks/orders", signal)?, 202);
        assert_eq!(cast.rig.server.stop(signal, PATIENCE)?, Some(code));

        cast.again()?;
        assert_eq!(cast.worker.drain("/pull/github", "0s")?, ["a", "b", "c"], "after {signal}");
        assert_eq!(cast.worker.drain("/pull/jobs", "0s")?, ["job"], "after {signal}");
    }
    // A push that the kill caught in flight is tried again when its lease ends: 35 s, the time-out and a margin.
    let dead = await_within(Duration::from_secs(90), "two dead letters", || {
        Some(cast.items("/dlq?include_payload=1")).filter(|dead| dead.len() == 2)
    })?;
    let mut payloads: Vec<&str> = dead.iter().map(|letter| member(letter, "payload_b64")).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, ["S0lMTA==", "SU5U"], "KILL and INT: {dead:?}");
    Ok(())
}
