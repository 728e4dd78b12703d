//! Attacks by number: connections that take a place and do as little as possible with it.

use std::io::{ErrorKind, Write as _};
use std::time::Duration;

use e2e::fail::{Attempt, fail};

use crate::crowd::{Crowd, connect};
use crate::site::{Scale, Site, Stop, request};

/// What the server gives for a head, twice that for an idle connection, and some time for a busy machine.
const HEAD: Duration = Duration::from_secs(15 + 30);
const IDLE: Duration = Duration::from_secs(30 + 30);
const HANDSHAKE: Duration = Duration::from_secs(10 + 30);
const BODY: Duration = Duration::from_secs(30 + 30);

fn crowd(site: &Site, scale: &Scale, stop: &Stop, first: &str) -> Attempt<Crowd> {
    let crowd = Crowd::open(site.addr(), scale.crowd, first.as_bytes())?;
    stop.begun();
    Ok(crowd)
}

/// Heads that drip and do not end.
pub(crate) fn slow_heads(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let crowd = crowd(site, scale, stop, "POST /bad HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")?;
    crowd.stay(b"z", scale.patient.then_some(HEAD), stop)
}

/// Connections that were used once.
pub(crate) fn idle(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let crowd = crowd(site, scale, stop, "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
    crowd.stay(b"", scale.patient.then_some(IDLE), stop)
}

/// As large a body as the route takes, of which next to nothing comes.
pub(crate) fn slow_bodies(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let head = format!("POST /large HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n", 8 << 20);
    let crowd = crowd(site, scale, stop, &head)?;
    crowd.stay(b"z", scale.patient.then_some(BODY), stop)
}

/// Nothing at all where a handshake is expected.
pub(crate) fn silent(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let crowd = crowd(site, scale, stop, "")?;
    crowd.stay(b"", scale.patient.then_some(HANDSHAKE), stop)
}

/// The start of a record of 512 bytes, as a client hello has it.
pub(crate) fn half_handshake(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let crowd = crowd(site, scale, stop, "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}")?;
    crowd.stay(b"", scale.patient.then_some(HANDSHAKE), stop)
}

/// Connections that come and are reset: silent, in a head, in a body, with a whole request.
pub(crate) fn cut_off(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let heads = [
        String::new(),
        "POST /bad HTTP/1.1\r\nHos".to_owned(),
        "POST /bad HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf".to_owned(),
        request("/any", "perhaps"),
    ];
    for round in 0.. {
        let Some(head) = heads.get(round % heads.len()) else { continue };
        Crowd::open(site.addr(), scale.crowd / 10, head.as_bytes())?.reset();
        stop.begun();
        if round >= scale.rounds && stop.within(Duration::ZERO) {
            break;
        }
    }
    Ok(())
}

/// Requests one behind the other, whose answers nobody reads, for as long as the server takes them.
pub(crate) fn unread(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    /// Far more than what sockets hold.
    const AT_MOST: usize = 64 << 20;
    let requests = "GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
    let mut streams = vec![];
    for number in 0..scale.attackers {
        let stream = connect(site.addr(), number)?;
        stream.set_nonblocking(true)?;
        streams.push((stream, 0));
    }
    stop.begun();
    loop {
        let stopped = stop.within(Duration::from_millis(20));
        for (stream, sent) in &mut streams {
            loop {
                match stream.write(requests.as_bytes()) {
                    Ok(bytes) => *sent += bytes,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
                if *sent > AT_MOST {
                    return fail(format!("took {sent} bytes of requests although no answer was read"));
                }
            }
        }
        if stopped {
            return Ok(());
        }
    }
}
