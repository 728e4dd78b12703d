//! Hostile traffic against the real binary, on loopback, bounded, while legitimate senders go on.
//!
//! Whatever the attack does: every legitimate request is answered 202, exactly those messages are stored, memory stays within a bound, and
//! the server answers as usual afterwards. The plain tests do a little of each attack. `make soak` does much of it at once, with 5,000
//! connections where connections count, waits for the server's own deadlines, and measures how long legitimate requests take.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

mod bodies;
mod crowd;
mod crowds;
mod heads;
mod samples;
mod site;
mod smuggling;
mod streams;

use std::time::Duration;

use e2e::fail::Attempt;

use crate::site::{Scale, Site, Stop};

/// Goes on until it is told to stop; fails if the server reacted in another way than it should.
type Attack = fn(&Site, &Scale, &Stop) -> Attempt<()>;

/// What is done to a cleartext listener.
const PLAIN: [(&str, Attack); 10] = [
    ("slow heads", crowds::slow_heads),
    ("idle connections", crowds::idle),
    ("bodies that do not come", crowds::slow_bodies),
    ("connections cut off", crowds::cut_off),
    ("answers that nobody reads", crowds::unread),
    ("endless bodies", bodies::endless),
    ("announced lengths", bodies::announced),
    ("large heads", heads::large),
    ("long targets", heads::long_targets),
    ("smuggling", smuggling::all),
];
/// What is done to a TLS listener.
const TLS: [(&str, Attack); 7] = [
    ("silent TLS peers", crowds::silent),
    ("half a handshake", crowds::half_handshake),
    ("streams reset at once", streams::rapid_reset),
    ("heads without end", streams::continuation),
    ("heads that are too large", streams::large_heads),
    ("control frames", streams::control),
    ("streams that wait", streams::waiting),
];

/// The longest that 99 of 100 legitimate requests may take.
const P99: Duration = Duration::from_millis(100);

/// One attack on a server of its own, in small.
fn small(tls: bool, name: &str) -> Attempt<()> {
    let attacks = if tls { &TLS[..] } else { &PLAIN[..] };
    let (_, attack) = attacks.iter().find(|(known, _)| *known == name).unwrap();
    let site = Site::start(tls)?;
    site.under(*attack, &Scale::SMALL)?;
    site.finish(&Scale::SMALL)
}

macro_rules! small {
    ($($test:ident: $tls:literal, $name:literal;)*) => {
        $(#[test]
        fn $test() -> Attempt<()> {
            small($tls, $name)
        })*
    };
}

small! {
    slow_heads_hold_nobody_up: false, "slow heads";
    idle_connections_hold_nobody_up: false, "idle connections";
    bodies_that_do_not_come_hold_nobody_up: false, "bodies that do not come";
    connections_cut_off_leave_nothing: false, "connections cut off";
    answers_that_nobody_reads_do_not_pile_up: false, "answers that nobody reads";
    endless_bodies_are_refused: false, "endless bodies";
    announced_lengths_are_not_believed: false, "announced lengths";
    large_heads_are_refused: false, "large heads";
    long_targets_are_refused: false, "long targets";
    nothing_is_smuggled: false, "smuggling";
    silent_tls_peers_hold_nobody_up: true, "silent TLS peers";
    half_a_handshake_holds_nobody_up: true, "half a handshake";
    streams_reset_at_once_end_the_connection: true, "streams reset at once";
    heads_without_end_end_the_connection: true, "heads without end";
    large_heads_of_streams_are_refused: true, "heads that are too large";
    control_frames_hold_nobody_up: true, "control frames";
    streams_that_wait_hold_nobody_up: true, "streams that wait";
}

/// All attacks of a listener in large, one after the other on one server.
fn large(tls: bool) -> Attempt<()> {
    let site = Site::start(tls)?;
    let mut slow = vec![];
    println!("| attack | legitimate requests | p50 | p99 | slowest | peak memory so far |");
    println!("|---|---|---|---|---|---|");
    for (name, attack) in if tls { &TLS[..] } else { &PLAIN[..] } {
        let times = site.under(*attack, &Scale::LARGE)?;
        let ms = |per_cent| times.within(per_cent).as_secs_f64() * 1000.0;
        let memory = site.peak_memory().unwrap_or_default() >> 20;
        println!(
            "| {name} | {} | {:.1} ms | {:.1} ms | {:.1} ms | {memory} MiB |",
            times.count(),
            ms(50),
            ms(99),
            ms(100)
        );
        if times.within(99) > P99 {
            slow.push(*name);
        }
    }
    site.finish(&Scale::LARGE)?;
    assert!(slow.is_empty(), "legitimate requests took more than {P99:?} (p99) under {slow:?}");
    Ok(())
}

#[test]
#[ignore = "soak: every attack in large"]
fn soak_hostile_traffic_on_a_plain_listener() -> Attempt<()> {
    large(false)
}

#[test]
#[ignore = "soak: every attack in large"]
fn soak_hostile_traffic_on_a_tls_listener() -> Attempt<()> {
    large(true)
}
