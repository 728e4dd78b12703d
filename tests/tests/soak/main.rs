//! A mixed load for minutes: webhooks to pulled and pushed routes, publishing, every deed of workers, dead letters that are queued
//! again, and kill -9 every few seconds. Nothing accepted is lost, no lease is held twice at once, nothing acknowledged comes back, and
//! neither files nor memory grow with what went through.
//!
//! `SOAK_MINUTES` sets the length, 10 by default; a short form runs with every `cargo test`.

mod crew;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use e2e::clock;
use e2e::fail::{Attempt, Fail, fail};
use e2e::ledger::Ledger;
use e2e::rig::{PATIENCE, Rig, await_within};
use e2e::{ports, settings};

use crew::{Crew, Receiver};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok }
admin_api { listen {{admin}} }
queue_retention { prune_interval 1s }
attempts_retention { max_rows 5000 }
observability { access_log off }
defaults {
  egress { https_only off dns_rebind_protection off }
  deliver { retry exponential max 8 base 50ms cap 500ms jitter 0.2 timeout 2s }
}
/a { pull { path /a } }
/p { deliver_concurrency 16 deliver \"http://{{sink}}/p\" { } }
";
const MIB: u64 = 1 << 20;
/// Most that the server may take, whatever went through it.
const MOST_MEMORY: u64 = 128 * MIB;
/// Most bytes of the queue file: the backlog that the load allows, its dead letters, and free pages that are kept.
const MOST_FILE: u64 = 96 * MIB;
/// Most bytes of the log beside it: cut in an idle moment above 128 MiB, and begun again at 16 MiB as a rule.
const MOST_LOG: u64 = 144 * MIB;
/// Growth that is allowed within one run without a kill, besides a quarter.
const SLACK: u64 = 12 * MIB;

/// The largest figures seen.
#[derive(Debug, Default, Clone, Copy)]
struct Peaks {
    memory: u64,
    file: u64,
    log: u64,
}

impl Peaks {
    fn look(&mut self, rig: &Rig) {
        let size = |ending: &str| {
            let mut name = rig.db.clone().into_os_string();
            name.push(ending);
            std::fs::metadata(PathBuf::from(name)).map_or(0, |meta| meta.len())
        };
        self.memory = self.memory.max(rig.server.resident().unwrap_or(0));
        self.file = self.file.max(size(""));
        self.log = self.log.max(size("-wal"));
    }
}

/// One run of the server under load for `time`; the figures of its halves.
fn run(rig: &mut Rig, crew: Crew<'_>, time: Duration, end: &str) -> Attempt<[Peaks; 2]> {
    let begun = Instant::now();
    let mut halves = [Peaks::default(); 2];
    thread::scope(|scope| {
        crew.start(scope);
        let over = clock::poll(time, Duration::from_millis(50), || {
            let [first, second] = &mut halves;
            let half = if begun.elapsed() < time / 2 { first } else { second };
            half.look(rig);
            rig.server.exit_code()
        });
        let ended = rig.server.stop(end, PATIENCE);
        match over {
            Some(code) => fail(format!("the server ended by itself with {code}: {}", rig.log())),
            None => ended.map(drop),
        }
    })?;
    Ok(halves)
}

/// Load with kills for four fifths of the time, then without; then everything must come.
fn soak(time: Duration, pushes: bool) -> Attempt<()> {
    let mut rig = Rig::new(CONFIG)?;
    let ledger = Arc::new(Ledger::default());
    let port = |name: &str| rig.names.port(name).map(ports::local);
    let (ingress, pull, admin) = (port("ingress")?, port("pull")?, port("admin")?);
    let crew = Crew { ledger: &ledger, ingress, pull, admin, pushes };
    let _receiver = Receiver::start(rig.names.port("sink")?, Arc::clone(&ledger))?;
    let (begun, mut kills, mut peaks) = (Instant::now(), 0_u64, vec![]);
    rig.start()?;
    while begun.elapsed() < time * 4 / 5 {
        let until_kill = Duration::from_millis(1_500 + kills * 1_373 % 4_000);
        peaks.extend(run(&mut rig, crew, until_kill.min(time / 4), "KILL")?);
        kills += 1;
        rig.start()?;
    }
    let [first, second] = run(&mut rig, crew, time.saturating_sub(begun.elapsed()).max(time / 8), "TERM")?;
    peaks.extend([first, second]);
    rig.start()?;
    let rate = ledger.totals().ended / begun.elapsed().as_secs().max(1);
    take_all(&rig, &ledger)?;

    let most = |of: fn(&Peaks) -> u64| peaks.iter().map(of).max().unwrap_or(0) / MIB;
    let (memory, file, log) = (most(|p| p.memory), most(|p| p.file), most(|p| p.log));
    let totals = ledger.totals();
    println!(
        "{} s, {kills} kills: {} accepted, {} acknowledged or pushed ({rate}/s), {} missing; at most {memory} MiB of memory, a queue \
         file of {file} MiB, a log of {log} MiB; without a kill {} MiB, then {} MiB",
        begun.elapsed().as_secs(),
        totals.accepted,
        totals.ended,
        ledger.missing().len(),
        first.memory / MIB,
        second.memory / MIB
    );
    assert_eq!(ledger.complaints(), Vec::<String>::new());
    assert_eq!(ledger.missing(), Vec::<u64>::new(), "accepted, and lost");
    assert!(totals.accepted > 100 && kills > 0, "no load");
    assert!(memory <= MOST_MEMORY / MIB, "memory");
    assert!(file <= MOST_FILE / MIB && log <= MOST_LOG / MIB, "files");
    assert!(second.memory <= first.memory + first.memory / 4 + SLACK, "memory grows: {first:?} {second:?}");
    Ok(())
}

/// No new load: dead letters are queued again, and everything is taken.
fn take_all(rig: &Rig, ledger: &Arc<Ledger>) -> Attempt<()> {
    let mut failed = None;
    let done = await_within(Duration::from_secs(90), "everything accepted to come", || {
        let round = crew::requeue(&mut crew::operator(rig.client("admin").ok()?))
            .and_then(|_| crew::worker(rig.client("pull")?, ledger, &[]).drain("300ms"));
        failed = round.err();
        (failed.is_some() || ledger.missing().is_empty()).then_some(())
    });
    match (done, failed) {
        (_, Some(error)) => Err(error),
        (Err(Fail(why)), _) => fail(format!("{} accepted are lost: {why}", ledger.missing().len())),
        (Ok(()), None) => Ok(()),
    }
}

#[test]
fn a_mixed_load_survives_kills() -> Attempt<()> {
    // Without pushes: those that a kill catches in flight come again after half a minute only.
    soak(Duration::from_secs(6), false)
}

#[test]
#[ignore = "soak: minutes"]
fn soak_a_mixed_load_survives_kills_for_minutes() -> Attempt<()> {
    let minutes = settings::variable("SOAK_MINUTES").unwrap_or_else(|| "10".to_owned());
    let minutes: f64 = minutes.parse().map_err(|_not_a_number| Fail(format!("SOAK_MINUTES is {minutes}")))?;
    soak(Duration::from_secs_f64(minutes.clamp(0.2, 1_440.0) * 60.0), true)
}
