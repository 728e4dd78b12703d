//! Requests that two servers in a row could read differently. Each is sent on its own connection with another request behind it, or
//! inside it, that must never be served.

use std::time::Duration;

use e2e::conn::{Conn, ConnError};
use e2e::fail::{Attempt, Fail, fail};
use e2e::rig::PATIENCE;

use crate::bodies::again;
use crate::samples::{Sample, samples};
use crate::site::{Scale, Site, Stop};

/// Every sample, whole and in pieces.
pub(crate) fn all(site: &Site, scale: &Scale, stop: &Stop) -> Attempt<()> {
    let samples = samples();
    again(&Scale { attackers: 1, rounds: if scale.patient { 3 } else { 0 }, ..scale.clone() }, stop, || {
        let mut odd = vec![];
        for sample in &samples {
            for pieces in [1, 2, 7] {
                let statuses = statuses(&mut site.connect()?, sample, pieces)?;
                statuses.iter().filter(|status| **status == 202).for_each(|_| site.stored_bad());
                if !sample.answers.contains(&statuses.as_slice()) {
                    let (name, wanted) = (&sample.name, sample.answers);
                    odd.push(format!("{name}: answered {statuses:?} in {pieces} pieces, not {wanted:?}"));
                }
            }
        }
        if !odd.is_empty() {
            return fail(odd.join("\n"));
        }
        Ok(())
    })
}

/// What is answered until the server ends the connection, which it must do by itself.
fn statuses(conn: &mut Conn, sample: &Sample, pieces: usize) -> Attempt<Vec<u16>> {
    conn.within(PATIENCE);
    for piece in sample.bytes.chunks(sample.bytes.len().div_ceil(pieces)) {
        conn.send(piece)?;
    }
    let mut statuses = vec![];
    loop {
        match conn.answer("POST") {
            Ok(answer) => statuses.push(answer.status),
            Err(ConnError::Closed) => return Ok(statuses),
            Err(error) => {
                let Fail(why) = error.into();
                return fail(format!("{}: after {statuses:?}: {why}", sample.name));
            }
        }
        conn.within(Duration::from_secs(20));
    }
}
