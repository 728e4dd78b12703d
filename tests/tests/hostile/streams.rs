//! Attacks through HTTP/2.

use std::time::{Duration, Instant};

use e2e::conn::ConnError;
use e2e::fail::{Attempt, fail};
use e2e::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, Frames, HEADERS, PING, RST_STREAM, SETTINGS, block, frame, post,
};

use crate::bodies::again;
use crate::site::{Scale, Site, Stop};

/// ENHANCE_YOUR_CALM: the peer does too much of something.
const CALM: u32 = 11;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
const WHOLE: u8 = END_HEADERS | END_STREAM;

fn open(site: &Site, settings: &[(u16, u32)]) -> Attempt<Frames> {
    Ok(Frames::open(site.addr(), site.tls(), settings)?)
}

/// The numbers of a client's streams.
fn streams() -> impl Iterator<Item = u32> {
    (1..).step_by(2)
}

/// Sends the frames of one stream after the other until the server has had enough; how many streams that took.
fn until_closed(frames: &mut Frames, one: impl Fn(u32) -> Vec<u8>) -> Attempt<u32> {
    /// Far more than any server needs to notice.
    const AT_MOST: u32 = 100_000;
    for (count, batch) in (0..).zip(streams().step_by(50).take(2000)) {
        let bytes: Vec<u8> = (0..50).flat_map(|at| one(batch + 2 * at)).collect();
        frames.send(&bytes)?;
        frames.within(Duration::from_millis(50));
        match frames.goodbye() {
            Ok(goaway) => {
                let code = goaway.and_then(|frame| frame.error());
                // The answer may be lost with the connection when bytes were still under way.
                return if code.is_none_or(|code| code == CALM) {
                    Ok(count * 50)
                } else {
                    fail(format!("GOAWAY with {code:?} after {count} batches"))
                };
            }
            Err(ConnError::Timeout) => frames.within(Duration::from_secs(20)),
            Err(error) => return Err(error.into()),
        }
    }
    fail(format!("the connection is open after {AT_MOST} streams"))
}

/// CVE-2023-44487: streams opened and reset at once, with a request that is whole, or not; and streams that make the server reset them.
pub(crate) fn rapid_reset(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let head = post("/any", &[]);
    let reset = |flags: u8| {
        let head = head.clone();
        move |stream: u32| [frame(HEADERS, flags, stream, &head), frame(RST_STREAM, 0, stream, &CANCEL)].concat()
    };
    // A body of five bytes that is over before it begins is an error of the stream.
    let short = post("/any", &[("content-length", "5")]);
    let provoke = |stream: u32| frame(HEADERS, WHOLE, stream, &short);
    again(scale, stop, || {
        until_closed(&mut open(site, &[])?, reset(WHOLE))?;
        until_closed(&mut open(site, &[])?, reset(END_HEADERS))?;
        until_closed(&mut open(site, &[])?, provoke)?;
        Ok(())
    })
}

/// A head that goes on in frame after frame.
pub(crate) fn continuation(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let field = block(&[("x-more", &"y".repeat(1000))]);
    again(scale, stop, || {
        let mut frames = open(site, &[])?;
        frames.send(&frame(HEADERS, END_STREAM, 1, &post("/any", &[])))?;
        let more = frame(CONTINUATION, 0, 1, &field).repeat(100);
        let begun = Instant::now();
        loop {
            frames.send(&more)?;
            frames.within(Duration::from_millis(20));
            match frames.goodbye() {
                Ok(_) => return Ok(()),
                Err(ConnError::Timeout) if begun.elapsed() < Duration::from_secs(20) => {
                    frames.within(Duration::from_secs(20));
                }
                Err(error) => return Err(error.into()),
            }
        }
    })
}

/// A head over the limit of 16 KiB is 431, and the connection is of use afterwards.
pub(crate) fn large_heads(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let fill = "y".repeat(15_000);
    again(scale, stop, || {
        let mut frames = open(site, &[])?;
        for stream in streams().take(5) {
            let head = post("/any", &[("x-a", &fill), ("x-b", &fill)]);
            let (first, second) = head.split_at(head.len() / 2);
            frames.send(&frame(HEADERS, END_STREAM, stream, first))?;
            frames.send(&frame(CONTINUATION, END_HEADERS, stream, second))?;
            let answer = frames.next_of(HEADERS)?;
            if answer.status() != Some(431) {
                return fail(format!("{answer:?}"));
            }
        }
        frames.send(&frame(HEADERS, WHOLE, 11, &post("/bad", &[])))?;
        let answer = frames.next_of(HEADERS)?;
        if answer.status() != Some(202) {
            return fail(format!("{answer:?}"));
        }
        site.stored_bad();
        Ok(())
    })
}

/// PING and SETTINGS that all want an answer, which nobody reads; DATA frames without data.
pub(crate) fn control(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let pings = frame(PING, 0, 0, b"pingpong").repeat(2000);
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(2000);
    let nothing = frame(DATA, 0, 1, &[]).repeat(2000);
    again(scale, stop, || {
        for flood in [&pings, &settings, &nothing] {
            let mut frames = open(site, &[])?;
            frames.send(&frame(HEADERS, END_HEADERS, 1, &post("/any", &[])))?;
            for _ in 0..20 {
                frames.within(Duration::from_millis(200));
                match frames.send(flood) {
                    Ok(()) => {}
                    // It takes no more before its answers are read.
                    Err(ConnError::Timeout) => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    })
}

/// As many streams as there may be, and more, whose bodies do not come and whose answers may not be sent. The others are refused.
pub(crate) fn waiting(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    const ALLOWED: usize = 128;
    const REFUSED_STREAM: u32 = 7;
    let mut held = vec![];
    for _ in 0..scale.attackers {
        // A window of nothing for answers.
        let mut frames = open(site, &[(4, 0)])?;
        let head = post("/any", &[("content-length", "1000000")]);
        for stream in streams().take(ALLOWED + 20) {
            frames.send(&frame(HEADERS, END_HEADERS, stream, &head))?;
        }
        for _ in 0..20 {
            let refused = frames.next_of(RST_STREAM)?;
            if refused.error() != Some(REFUSED_STREAM) {
                return fail(format!("{refused:?}"));
            }
        }
        held.push(frames);
    }
    stop.begun();
    while !stop.within(Duration::from_secs(1)) {}
    Ok(())
}
