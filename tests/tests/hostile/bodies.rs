//! Attacks by size: bodies that are too long, or go on for ever.

use std::thread;
use std::time::Duration;

use e2e::fail::Attempt;

use crate::site::{Scale, Site, Stop, refused};

/// Runs several attackers, each again and again until told to stop.
pub(crate) fn again(scale: &Scale, stop: &Stop, attack: impl Fn() -> Attempt<()> + Sync) -> Attempt<()> {
    stop.begun();
    thread::scope(|scope| {
        let one = || {
            for round in 0.. {
                attack()?;
                if round >= scale.rounds && stop.within(Duration::ZERO) {
                    break;
                }
            }
            Ok(())
        };
        let attackers: Vec<_> = (0..scale.attackers).map(|_| scope.spawn(one)).collect();
        attackers.into_iter().try_for_each(|attacker| attacker.join().unwrap())
    })
}

const HEAD: &str = "POST /bad HTTP/1.1\r\nHost: localhost\r\n";

/// Chunks without end, large ones and tiny ones: 413 as soon as the limit is passed.
pub(crate) fn endless(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let large = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let tiny = "1\r\nx\r\n".repeat(2000);
    again(scale, stop, || {
        for chunk in [&large, &tiny] {
            let mut conn = site.connect()?;
            conn.send(format!("{HEAD}Transfer-Encoding: chunked\r\n\r\n").as_bytes())?;
            // A good deal more than the limit of 64 KiB; what is not read any more is thrown away.
            for _ in 0..40 {
                conn.send(chunk.as_bytes())?;
            }
            refused(&mut conn, 413)?;
        }
        Ok(())
    })
}

/// Lengths beyond the limit are refused before anything is read, whether the sender waits for an invitation or not.
pub(crate) fn announced(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    again(scale, stop, || {
        for (length, status) in [
            ("65537", 413),
            ("10000000000", 413),
            ("9223372036854775807", 413),
            ("18446744073709551615", 400),
            ("18446744073709551616", 400),
        ] {
            for expect in ["", "Expect: 100-continue\r\n"] {
                let mut conn = site.connect()?;
                conn.send(format!("{HEAD}{expect}Content-Length: {length}\r\n\r\n").as_bytes())?;
                refused(&mut conn, status)?;
            }
        }
        Ok(())
    })
}
