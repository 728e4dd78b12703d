//! Places for new messages: the next free one of the millisecond in which a message was received.

use std::collections::BTreeMap;

use hookaido_model::{Seq, UnixMillis};

use super::core::Message;

/// Remembers the newest place, so that no place of the present is given twice.
#[derive(Debug, Default)]
pub(super) struct Seqs {
    last: Option<Seq>,
}

impl Seqs {
    /// A place for a message received at `at`. A millisecond that is used up flows over into the next one.
    pub(super) fn next(&mut self, stored: &BTreeMap<Seq, Message>, at: UnixMillis) -> Seq {
        let first = Seq::first_at(at);
        let seq = match self.last {
            None => first,
            Some(last) if last < first => first,
            Some(last) if last <= first.last_of_millisecond() => last.next().unwrap_or(last),
            Some(_) => return free_from(stored, first),
        };
        self.last = Some(seq);
        seq
    }
}

/// The first place behind those in use in a millisecond of the past.
fn free_from(stored: &BTreeMap<Seq, Message>, mut first: Seq) -> Seq {
    loop {
        let last = first.last_of_millisecond();
        match stored.range(first..=last).next_back() {
            None => return first,
            Some((used, _)) if *used < last => return Seq(used.0 + 1),
            Some(_) => first = Seq(last.0.saturating_add(1)),
        }
    }
}
