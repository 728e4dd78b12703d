//! kill -9 under load, again and again: what was answered 202 is there afterwards, and what was acked does not come back.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use e2e::client::Client;
use e2e::fail::{Attempt, Fail, fail};
use e2e::ports;
use e2e::rig::{PATIENCE, Rig, await_that};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
/a { pull { path /a } }
";
const POSTERS: usize = 6;
const WORKERS: usize = 2;
/// Short, so that what a killed run had leased comes back soon.
const LEASE: &str = "1s";

/// What the clients know.
#[derive(Debug, Default)]
struct Ledger {
    /// Bodies that were sent, whatever the answer.
    sent: HashSet<String>,
    /// Bodies that were answered 202.
    accepted: HashSet<String>,
    /// Bodies that a worker got.
    seen: HashSet<String>,
    /// Bodies whose ack was answered with success.
    acked: HashSet<String>,
    /// Bodies that a worker got after that.
    back: Vec<String>,
    /// Answers that nothing explains.
    odd: Vec<String>,
}

fn open(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Posts until the server is gone. Bodies are of all sizes: several fit one page, or one takes several.
fn poster(mut client: Client, ledger: &Mutex<Ledger>, name: &str) {
    for n in 0_usize.. {
        let body = format!("{name}-{n}-{}", "x".repeat(n * 379 % 9_000));
        open(ledger).sent.insert(body.clone());
        match client.post("/a", &body) {
            Ok(202) => {
                open(ledger).accepted.insert(body);
            }
            Ok(other) => open(ledger).odd.push(format!("ingress answered {other}")),
            Err(_) => return,
        }
    }
}

/// Takes until the server is gone, and acks every other batch.
fn worker(mut client: Client, ledger: &Mutex<Ledger>) {
    for turn in 0_usize.. {
        let Ok(batch) = client.dequeue("/a", 10, LEASE, "100ms") else { return };
        let mut leases = vec![];
        let mut ledger_now = open(ledger);
        for message in &batch {
            if ledger_now.acked.contains(&message.body) {
                ledger_now.back.push(message.body.clone());
            }
            ledger_now.seen.insert(message.body.clone());
            leases.push(message.lease.as_str());
        }
        drop(ledger_now);
        if turn % 2 == 1 || leases.is_empty() {
            continue;
        }
        match client.ack("/a", &leases) {
            Ok(200) => open(ledger).acked.extend(batch.iter().map(|message| message.body.clone())),
            // A lease may end before its ack on a busy machine; which ones did is told, but not needed here.
            Ok(409) => {}
            Ok(other) => open(ledger).odd.push(format!("ack answered {other}")),
            Err(_) => return,
        }
    }
}

/// One run of the server under load, ended by a kill once `more` further bodies are accepted.
fn cycle(rig: &mut Rig, ledger: &Mutex<Ledger>, number: usize) -> Attempt<()> {
    let (ingress, pull) = (ports::local(rig.names.port("ingress")?), ports::local(rig.names.port("pull")?));
    let before = open(ledger).accepted.len();
    let more = 250 + number * 67 % 200;
    thread::scope(|scope| {
        for poster_number in 0..POSTERS {
            let name = format!("{number}-{poster_number}");
            scope.spawn(move || poster(Client::new(ingress), ledger, &name));
        }
        for _ in 0..WORKERS {
            scope.spawn(move || worker(Client::new(pull).token("tok"), ledger));
        }
        let loaded = await_that("enough accepted", || (open(ledger).accepted.len() >= before + more).then_some(()));
        let killed = rig.server.stop("KILL", PATIENCE);
        loaded.and(killed)
    })?;
    rig.start()
}

fn crash(cycles: usize) -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let ledger = Mutex::new(Ledger::default());
    for number in 0..cycles {
        cycle(&mut rig, &ledger, number)?;
    }
    // Takes all that is left, the messages that are still leased by a killed run included.
    let mut client = rig.client("pull")?.token("tok");
    let unseen = |ledger: &Ledger| ledger.accepted.difference(&ledger.seen).count();
    let mut failed = None;
    let all = await_that("everything accepted to be seen", || {
        match client.drain("/a", "1200ms") {
            Ok(bodies) => {
                let mut ledger = open(&ledger);
                let back: Vec<String> = bodies.iter().filter(|body| ledger.acked.contains(*body)).cloned().collect();
                ledger.back.extend(back);
                ledger.seen.extend(bodies);
            }
            Err(error) => failed = Some(error),
        }
        (failed.is_some() || unseen(&open(&ledger)) == 0).then_some(())
    });
    let ledger = ledger.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = failed {
        return Err(error);
    }
    println!("{cycles} kills: {} accepted, {} acked before", ledger.accepted.len(), ledger.acked.len());
    if let Err(Fail(why)) = all {
        return fail(format!("{} of {} accepted are lost: {why}", unseen(&ledger), ledger.accepted.len()));
    }
    assert_eq!(ledger.back, Vec::<String>::new(), "acked, and came back");
    assert_eq!(ledger.odd, Vec::<String>::new());
    assert!(ledger.seen.is_subset(&ledger.sent), "bodies that nobody sent");
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    rig.start()?;
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "1200ms")?, Vec::<String>::new(), "acked, and came back");
    Ok(())
}

#[test]
fn nothing_accepted_is_lost_by_kills_under_load() -> Attempt<()> {
    crash(3)
}

#[test]
#[ignore = "soak: many cycles"]
fn soak_nothing_accepted_is_lost_by_fifty_kills_under_load() -> Attempt<()> {
    crash(50)
}
