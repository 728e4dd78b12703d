//! kill -9 under load, again and again: what was answered 202 is there afterwards, what was acked does not come back, and no lease is
//! held twice.

use std::thread;
use std::time::Duration;

use e2e::client::Client;
use e2e::fail::{Attempt, Fail, fail};
use e2e::ledger::Ledger;
use e2e::load::{Deed, Worker, post_until_gone};
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

fn worker(client: Client, ledger: &Ledger) -> Worker<'_> {
    // Leases are short, so that what a killed run had leased comes back soon.
    let (batch, ttl) = (10, Duration::from_secs(1));
    Worker { client: client.token("tok"), ledger, endpoint: "/a", batch, ttl, deeds: &[Deed::Ack, Deed::Leave] }
}

/// One run of the server under load, ended by a kill once `more` further bodies are accepted.
fn cycle(rig: &mut Rig, ledger: &Ledger, number: u64) -> Attempt<()> {
    let (ingress, pull) = (ports::local(rig.names.port("ingress")?), ports::local(rig.names.port("pull")?));
    let enough = ledger.totals().accepted + 250 + number * 67 % 200;
    thread::scope(|scope| {
        for _ in 0..POSTERS {
            scope.spawn(move || post_until_gone(Client::new(ingress), ledger, "/a", u64::MAX));
        }
        for _ in 0..WORKERS {
            scope.spawn(move || worker(Client::new(pull), ledger).work_until_gone());
        }
        let loaded = await_that("enough accepted", || (ledger.totals().accepted >= enough).then_some(()));
        let killed = rig.server.stop("KILL", PATIENCE);
        loaded.and(killed)
    })?;
    rig.start()
}

fn crash(cycles: u64) -> Attempt<()> {
    let mut rig = Rig::started(CONFIG)?;
    let ledger = Ledger::default();
    for number in 0..cycles {
        cycle(&mut rig, &ledger, number)?;
    }
    let totals = ledger.totals();
    println!("{cycles} kills: {} accepted, {} acked before", totals.accepted, totals.ended);
    // Takes all that is left, the messages that are still leased by a killed run included.
    let mut last = worker(rig.client("pull")?, &ledger);
    let all = await_that("everything accepted to come", || match last.drain("1200ms") {
        Ok(()) => ledger.missing().is_empty().then_some(Ok(())),
        Err(error) => Some(Err(error)),
    });
    if let Err(Fail(why)) = all.and_then(|drained| drained) {
        return fail(format!("{} of {} accepted are lost: {why}", ledger.missing().len(), totals.accepted));
    }
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    rig.start()?;
    worker(rig.client("pull")?, &ledger).drain("1200ms")?;
    assert_eq!(ledger.complaints(), Vec::<String>::new());
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
