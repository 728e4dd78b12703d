//! SIGTERM with work in flight: what is under way ends well, what waits is let go at once, nothing is lost.

use std::time::{Duration, Instant};

use e2e::client::json_of;
use e2e::conn::ConnError;
use e2e::fail::Attempt;
use e2e::rig::{PATIENCE, Rig, await_that};
use serde_json::json;

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
defaults { egress { https_only off dns_rebind_protection off } }
/a { pull { path /a } }
/p { deliver \"http://{{sink}}/in\" { retry exponential max 3 base 20ms cap 50ms timeout 4s } }
";

/// The budget for what is under way, and a little for a busy machine.
const AT_MOST: Duration = Duration::from_secs(8);
/// Far less than anything that waits would wait.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The answers of `/attempts`, newest first, as outcomes.
fn outcomes(rig: &Rig) -> Attempt<Vec<String>> {
    let (_, list) = rig.client("admin")?.get("/attempts")?;
    let items = list.get("items").and_then(|items| items.as_array().cloned()).unwrap_or_default();
    Ok(items.iter().map(|item| item["outcome"].as_str().unwrap_or_default().to_owned()).collect())
}

#[test]
fn a_push_in_flight_is_finished() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let sink = rig.sink(&json!([{"status": 200, "hold": true}]))?;
    assert_eq!(rig.client("ingress")?.post("/p", "slow")?, 202);
    await_that("the push", || (sink.all().len() == 1).then_some(()))?;
    rig.server.signal("TERM")?;
    rig.await_log(&["shutdown_started"], 1)?;
    assert_eq!(rig.server.exit_code(), None, "waits for the receiver");
    sink.release();
    assert_eq!(rig.ended()?, 0);
    assert_eq!(rig.logged(&["shutdown_complete"]).len(), 1, "{}", rig.log());

    rig.start()?;
    assert_eq!(outcomes(&rig)?, ["acked"]);
    assert_eq!(sink.all().len(), 1, "delivered once");
    Ok(())
}

#[test]
fn a_push_that_does_not_end_is_given_up_and_tried_again_though_it_was_the_last_try() -> Attempt<()> {
    let config = CONFIG.replace("max 3", "max 1").replace("timeout 4s", "timeout 60s");
    let mut rig = Rig::started(&config)?;
    let mut sink = rig.sink(&json!([{"status": 503}, {"status": 200, "hold": true}, {"status": 200}]))?;
    assert_eq!(rig.client("ingress")?.post("/p", "stuck")?, 202);
    assert_eq!(sink.take(2, PATIENCE, Duration::ZERO).len(), 2);
    let started = Instant::now();
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    assert!(started.elapsed() < AT_MOST, "took {:?}", started.elapsed());

    rig.start()?;
    let again = sink.take(1, PATIENCE, Duration::ZERO);
    assert_eq!(again.iter().map(|taken| taken.raw.as_slice()).collect::<Vec<_>>(), [b"stuck"]);
    await_that("the attempts", || outcomes(&rig).ok().filter(|seen| *seen == ["acked", "retry"]))?;
    Ok(())
}

#[test]
fn waiting_messages_burn_no_attempts() -> Attempt<()> {
    let config = CONFIG.replace("base 20ms cap 50ms", "base 60s cap 60s");
    let mut rig = Rig::started(&config)?;
    let sink = rig.sink(&json!([{"status": 503}]))?;
    assert_eq!(rig.client("ingress")?.post("/p", "later")?, 202);
    await_that("the first attempt", || outcomes(&rig).ok().filter(|seen| *seen == ["retry"]))?;
    for _ in 0..3 {
        assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
        rig.start()?;
    }
    let (_, list) = rig.client("admin")?.get("/messages?route=/p&state=queued")?;
    assert_eq!(list.pointer("/items/0/attempt"), Some(&json!(1)), "{list}");
    assert_eq!(outcomes(&rig)?, ["retry"]);
    assert_eq!(sink.all().len(), 1);
    Ok(())
}

#[test]
fn a_waiting_worker_is_answered_at_once() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let mut worker = rig.client("pull")?.token("tok");
    let wait = worker.bytes("POST", "/a/dequeue", br#"{"max_wait":"30s","lease_ttl":"60s"}"#);
    // Two requests at once: when the first has its message, the second is read already, and waits.
    worker.raw()?.send(&[wait.clone(), wait].concat())?;
    assert_eq!(rig.client("ingress")?.post("/a", "taken")?, 202);
    assert_eq!(worker.answer("POST")?.status, 200);
    let started = Instant::now();
    rig.server.signal("TERM")?;
    let answer = worker.answer("POST")?;
    assert_eq!((answer.status, json_of(&answer)), (200, json!({"items": []})));
    assert_eq!(rig.ended()?, 0);
    assert!(started.elapsed() < AT_ONCE, "took {:?}", started.elapsed());
    Ok(())
}

#[test]
fn a_webhook_half_sent_is_taken_or_cut_and_never_half() -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let (mut finishes, mut stays) = (rig.client("ingress")?, rig.client("ingress")?);
    let bytes = finishes.bytes("POST", "/a", b"whole");
    let (first, rest) = bytes.split_at(bytes.len() - 2);
    finishes.raw()?.send(first)?;
    stays.raw()?.send(first)?;
    // Both are being read: one that came later has its answer.
    assert_eq!(rig.client("ingress")?.post("/a", "other")?, 202);

    let started = Instant::now();
    rig.server.signal("TERM")?;
    rig.await_log(&["shutdown_started"], 1)?;
    finishes.raw()?.send(rest)?;
    assert_eq!(finishes.answer("POST")?.status, 202, "there was time to send the rest");
    assert_eq!(rig.ended()?, 0);
    assert!(started.elapsed() < AT_MOST, "took {:?}", started.elapsed());
    match stays.answer("POST") {
        Err(ConnError::Closed | ConnError::Io(_)) => {}
        Ok(answer) => assert!(answer.status >= 400, "{}", answer.status),
        Err(other) => return Err(other.into()),
    }

    rig.start()?;
    let mut kept = rig.client("pull")?.token("tok").drain("/a", "0s")?;
    kept.sort_unstable();
    assert_eq!(kept, ["other", "whole"]);
    Ok(())
}

#[test]
fn a_second_signal_stops_at_once_and_loses_nothing() -> Attempt<()> {
    for signal in ["TERM", "INT"] {
        let mut rig = Rig::started(&CONFIG.replace("timeout 4s", "timeout 60s"))?;
        let mut sink = rig.sink(&json!([{"status": 200, "hold": true}, {"status": 200}]))?;
        assert_eq!(rig.client("ingress")?.post("/p", "pushed")?, 202);
        assert_eq!(rig.client("ingress")?.post("/a", "pulled")?, 202);
        assert_eq!(sink.take(1, PATIENCE, Duration::ZERO).len(), 1);
        rig.server.signal("TERM")?;
        rig.await_log(&["shutdown_started"], 1)?;
        let started = Instant::now();
        rig.server.signal(signal)?;
        assert_eq!(rig.ended()?, 0, "{signal}");
        assert!(started.elapsed() < AT_ONCE, "took {:?}", started.elapsed());
        assert_eq!(rig.logged(&["shutdown_forced"]).len(), 1, "{}", rig.log());

        rig.start()?;
        assert_eq!(rig.client("pull")?.token("tok").drain("/a", "0s")?, ["pulled"]);
        let (_, stats) = rig.client("admin")?.get("/messages?route=/p")?;
        assert_eq!(stats.pointer("/items/0/attempt"), Some(&json!(1)), "still there: {stats}");
    }
    Ok(())
}

#[test]
fn a_signal_during_the_start_is_carried_out_after_it() -> Attempt<()> {
    let mut rig = Rig::new(CONFIG)?;
    for reload_first in [true, false] {
        rig.launch()?;
        // The first sign of life; listeners come later.
        rig.await_log(&["config_ok"], 1)?;
        if reload_first {
            rig.server.signal("HUP")?;
            rig.await_log(&["config_reloaded_ok"], 1)?;
        }
        rig.server.signal("TERM")?;
        assert_eq!(rig.ended()?, 0, "{}", rig.log());
        assert_eq!(rig.logged(&["shutdown_complete"]).len(), 1, "{}", rig.log());
    }
    Ok(())
}
