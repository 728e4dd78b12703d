//! SIGHUP under load: every request is answered by one whole configuration, the one before or the one after.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use e2e::client::Client;
use e2e::fail::{Attempt, Fail};
use e2e::ports;
use e2e::rig::{PATIENCE, Rig};

const COMMON: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
/always { pull { path /always } }
";

fn config(rest: &str) -> String {
    format!("{COMMON}{rest}\n")
}

/// Answers by status, for each kind of request; and what went wrong with connections.
#[derive(Debug, Default)]
struct Tally {
    statuses: BTreeMap<(&'static str, u16), usize>,
    failed: Vec<String>,
}

/// Posts over and over until told to stop, while `during` reloads.
fn under_load<T>(rig: &mut Rig, kinds: &[Kind], during: impl FnOnce(&mut Rig) -> Attempt<T>) -> Attempt<(T, Tally)> {
    let ingress = ports::local(rig.names.port("ingress")?);
    let (tally, over) = (Mutex::new(Tally::default()), AtomicBool::new(false));
    let result = thread::scope(|scope| {
        for kind in kinds {
            let (tally, over) = (&tally, &over);
            scope.spawn(move || {
                let mut client = kind
                    .authorization
                    .iter()
                    .fold(Client::new(ingress), |client, value| client.with("Authorization", value));
                while !over.load(Ordering::Relaxed) {
                    let answer = client.post(kind.path, kind.name);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match answer {
                        Ok(status) => *tally.statuses.entry((kind.name, status)).or_default() += 1,
                        Err(error) => tally.failed.push(format!("{}: {error}", kind.name)),
                    }
                }
            });
        }
        let result = during(rig);
        over.store(true, Ordering::Relaxed);
        result
    })?;
    Ok((result, tally.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    path: &'static str,
    authorization: Option<&'static str>,
}

/// `u:p` and `u:q`.
const OLD: Option<&str> = Some("Basic dTpw");
const NEW: Option<&str> = Some("Basic dTpx");

#[test]
fn no_request_is_dropped_or_refused_by_reloads() -> Attempt<()> {
    const RELOADS: usize = 12;
    // A user and a route come and go together: `u:p` with /one, `u:q` with /two.
    let one = config("/one { pull { path /one } }\n/shared { auth basic u p pull { path /shared } }");
    let two = config("/two { pull { path /two } }\n/shared { auth basic u q pull { path /shared } }");
    let mut rig = Rig::started(&one)?;
    let kind = |name, path, authorization| Kind { name, path, authorization };
    let kinds = [
        kind("always", "/always", None),
        kind("one", "/one", None),
        kind("two", "/two", None),
        kind("old", "/shared", OLD),
        kind("new", "/shared", NEW),
        kind("none", "/shared", None),
    ];
    let ((), tally) = under_load(&mut rig, &kinds, |rig| {
        for turn in 1..=RELOADS {
            rig.configure(if turn % 2 == 1 { &two } else { &one })?;
            rig.server.signal("HUP")?;
            rig.await_log(&["config_reloaded_ok"], turn)?;
            // From the moment that the log says so, the new one is in force, and nothing else.
            let (here, gone) = if turn % 2 == 1 { ("/two", "/one") } else { ("/one", "/two") };
            let (good, bad) = if turn % 2 == 1 { (NEW, OLD) } else { (OLD, NEW) };
            let mut client = rig.client("ingress")?;
            assert_eq!((client.post(here, "probe")?, client.post(gone, "probe")?), (202, 404), "reload {turn}");
            let with = |value: Option<&str>| -> Attempt<u16> {
                rig.client("ingress")?.with("Authorization", value.unwrap_or_default()).post("/shared", "probe")
            };
            assert_eq!((with(good)?, with(bad)?), (202, 401), "reload {turn}");
        }
        Ok(())
    })?;
    assert_eq!(tally.failed, Vec::<String>::new());
    let mut accepted: BTreeMap<&str, usize> = BTreeMap::new();
    for ((name, status), count) in &tally.statuses {
        let possible: &[u16] = match *name {
            "always" => &[202],
            "one" | "two" => &[202, 404],
            "old" | "new" => &[202, 401],
            _ => &[401],
        };
        assert!(possible.contains(status), "{name} was answered {status}: {tally:?}");
        if *status == 202 {
            *accepted.entry(name).or_default() += count;
        }
    }
    assert!(kinds.iter().take(5).all(|kind| accepted.contains_key(kind.name)), "each got through: {accepted:?}");

    // Whatever was accepted is in the queue of its route, also of the one that is gone by now.
    rig.configure(&config(
        "/one { pull { path /one } }\n/two { pull { path /two } }\n/shared { auth basic u q pull { path /shared } }",
    ))?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], RELOADS + 1)?;
    let mut worker = rig.client("pull")?.token("tok");
    let mut kept: BTreeMap<String, usize> = BTreeMap::new();
    for endpoint in ["/always", "/one", "/two", "/shared"] {
        for body in worker.drain(endpoint, "0s")? {
            *kept.entry(body).or_default() += 1;
        }
    }
    let kept = kept.iter().map(|(name, count)| (name.as_str(), *count)).filter(|(name, _)| *name != "probe");
    assert_eq!(kept.collect::<BTreeMap<_, _>>(), accepted);
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    Ok(())
}

#[test]
fn a_broken_file_changes_nothing() -> Attempt<()> {
    let good = config("/one { auth basic u p pull { path /one } }");
    let mut rig = Rig::started(&good)?;
    let broken = [
        "/one { pull { path /one ",
        "/one { pul { path /one } }",
        "/one { pull { path /one } }\n/one { pull { path /two } }",
        "/one { auth basic u env:NOT_SET_ANYWHERE pull { path /one } }",
    ];
    let kinds = [
        Kind { name: "always", path: "/always", authorization: None },
        Kind { name: "one", path: "/one", authorization: OLD },
    ];
    let ((), tally) = under_load(&mut rig, &kinds, |rig| {
        for (turn, text) in broken.iter().enumerate() {
            rig.configure(&config(text))?;
            rig.server.signal("HUP")?;
            let lines = rig.await_log(&["config_reload_failed"], turn + 1)?;
            if lines.len() != turn + 1 {
                return Err(Fail(format!("{text}: {lines:?}")));
            }
        }
        std::fs::remove_file(rig.dir().join("Hookaidofile"))?;
        rig.server.signal("HUP")?;
        rig.await_log(&["config_reload_failed", "Hookaidofile"], 1)?;
        rig.await_log(&["config_reload_failed"], broken.len() + 1)?;
        Ok(())
    })?;
    assert_eq!(tally.failed, Vec::<String>::new());
    assert!(tally.statuses.keys().all(|(_, status)| *status == 202), "{tally:?}");
    assert_eq!(rig.logged(&["config_reloaded_ok"]), Vec::<String>::new());
    let (_, health) = rig.client("admin")?.get("/healthz?details=1")?;
    assert_eq!(health.pointer("/diagnostics/config/generation"), Some(&1.into()), "{health}");

    rig.configure(&config(""))?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], 1)?;
    assert_eq!(rig.client("ingress")?.post("/one", "x")?, 404);
    Ok(())
}

#[test]
fn balances_of_rate_limits_survive_unless_the_limit_changes() -> Attempt<()> {
    let with = |extra: &str, burst: u32| {
        config(&format!("/r {{ rate_limit {{ rps 0.001 burst {burst} }} pull {{ path /r }} }}\n{extra}"))
    };
    let mut rig = Rig::started(&with("", 3))?;
    let mut client = rig.client("ingress")?;
    let mut statuses = |count: usize| (0..count).map(|_| client.post("/r", "x")).collect::<Attempt<Vec<_>>>();
    assert_eq!(statuses(2)?, [202, 202]);
    for turn in 1..=5 {
        rig.configure(&with(&format!("/other{turn} {{ pull {{ path /other }} }}"), 3))?;
        rig.server.signal("HUP")?;
        rig.await_log(&["config_reloaded_ok"], turn)?;
    }
    assert_eq!(statuses(3)?, [202, 429, 429], "one was left, and no reload gave more");
    rig.configure(&with("", 2))?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], 6)?;
    assert_eq!(statuses(3)?, [202, 202, 429], "another limit begins anew");
    Ok(())
}
