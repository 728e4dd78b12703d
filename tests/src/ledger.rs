//! What clients know of the messages they sent, so that a loss, a return or a lease held twice shows.
//!
//! A message is a number, which its body begins with. One byte a message, so that a soak of millions fits. What is not known (an
//! answer that never came) counts neither for nor against the server.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::Pulled;

/// Answered with success to who sent it.
const ACCEPTED: u8 = 1;
/// Somebody was given it.
const SEEN: u8 = 2;
/// Somebody began to acknowledge it, or took a push of it: it need not come again.
const ENDING: u8 = 4;
/// Its acknowledgement was answered with success: it must not come again.
const ACKED: u8 = 8;
/// Complaints that are kept; the rest is only counted.
const COMPLAINTS: usize = 20;

/// The records of one test, shared by its clients.
#[derive(Debug, Default)]
pub struct Ledger {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    marks: Vec<u8>,
    held: HashMap<u64, Held>,
    complaints: Vec<String>,
    more_complaints: usize,
    accepted: u64,
    ended: u64,
}

/// A lease as its holder knows it.
#[derive(Debug)]
struct Held {
    lease: String,
    /// It cannot end before: counted from when it was asked for.
    until: Instant,
}

/// Figures of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Totals {
    /// Messages sent, whatever the answer.
    pub sent: u64,
    /// Messages answered with success.
    pub accepted: u64,
    /// Messages acknowledged or pushed.
    pub ended: u64,
}

impl Ledger {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message is about to be sent; its body must begin with [`head`].
    pub fn begin(&self) -> u64 {
        let mut book = self.book();
        book.marks.push(0);
        u64::try_from(book.marks.len() - 1).unwrap_or(u64::MAX)
    }

    /// The server answered that it has them.
    pub fn accepted(&self, numbers: &[u64]) {
        let mut book = self.book();
        for number in numbers {
            book.accepted += u64::from(book.mark(*number, ACCEPTED));
        }
    }

    /// A push of this body arrived and is about to be answered with success.
    pub fn pushed(&self, body: &str) {
        let mut book = self.book();
        match number_of(body) {
            Some(number) if book.knows(number) => {
                book.mark(number, SEEN);
                book.ended += u64::from(book.mark(number, ENDING));
            }
            _ => book.complain(|| format!("a push that nobody sent: {}", short(body))),
        }
    }

    /// A worker that asked at `asked` was given these for `ttl`.
    pub fn taken(&self, batch: &[Pulled], asked: Instant, ttl: Duration) {
        let now = Instant::now();
        let mut book = self.book();
        for message in batch {
            let Some(number) = number_of(&message.body).filter(|number| book.knows(*number)) else {
                book.complain(|| format!("a message that nobody sent: {}", short(&message.body)));
                continue;
            };
            if book.has(number, ACKED) {
                book.complain(|| format!("{number} was acked and came back"));
            }
            book.mark(number, SEEN);
            let held = Held { lease: message.lease.clone(), until: asked + ttl };
            if let Some(before) = book.held.insert(number, held)
                && before.until > now
                && before.lease != message.lease
            {
                let left = before.until.duration_since(now).as_millis();
                book.complain(|| format!("{number} was given twice, {left} ms before its first lease could end"));
            }
        }
    }

    /// Its holder is about to give it back; with an acknowledgement if `ack`.
    pub fn letting_go(&self, batch: &[Pulled], ack: bool) {
        let mut book = self.book();
        for number in batch.iter().filter_map(|message| number_of(&message.body)) {
            book.held.remove(&number);
            if ack {
                book.mark(number, ENDING);
            }
        }
    }

    /// The acknowledgement of these succeeded, but for the leases that were `lost`: their messages must come again.
    pub fn acked(&self, batch: &[Pulled], lost: &[String]) {
        let mut book = self.book();
        for message in batch {
            let Some(number) = number_of(&message.body) else { continue };
            if lost.contains(&message.lease) {
                book.clear(number, ENDING);
            } else {
                book.ended += u64::from(book.mark(number, ACKED));
            }
        }
    }

    /// The holder was given more time.
    pub fn extended(&self, message: &Pulled, by: Duration) {
        let mut book = self.book();
        let held = number_of(&message.body).and_then(|number| book.held.get_mut(&number));
        if let Some(held) = held.filter(|held| held.lease == message.lease) {
            held.until += by;
        }
    }

    /// After a power cut a lease may be given once more.
    pub fn forget_leases(&self) {
        self.book().held.clear();
    }

    /// Something that must not happen.
    pub fn complain(&self, text: impl Into<String>) {
        let text = text.into();
        self.book().complain(|| text);
    }

    /// What must not happen and did; the first ones in words.
    pub fn complaints(&self) -> Vec<String> {
        let book = self.book();
        let more = (book.more_complaints > 0).then(|| format!("and {} more", book.more_complaints));
        book.complaints.iter().cloned().chain(more).collect()
    }

    /// Messages that were accepted and that nobody began to acknowledge. Lost, once nothing more comes.
    pub fn missing(&self) -> Vec<u64> {
        let book = self.book();
        let missing = |marks: &u8| marks & ACCEPTED != 0 && marks & (ENDING | ACKED) == 0;
        (0_u64..).zip(&book.marks).filter(|(_, marks)| missing(marks)).map(|(number, _)| number).collect()
    }

    /// How much went through so far.
    pub fn totals(&self) -> Totals {
        let book = self.book();
        let sent = u64::try_from(book.marks.len()).unwrap_or(u64::MAX);
        Totals { sent, accepted: book.accepted, ended: book.ended }
    }
}

impl Book {
    fn knows(&self, number: u64) -> bool {
        usize::try_from(number).is_ok_and(|at| at < self.marks.len())
    }

    fn has(&self, number: u64, mark: u8) -> bool {
        usize::try_from(number).ok().and_then(|at| self.marks.get(at)).is_some_and(|marks| marks & mark != 0)
    }

    /// Whether it did not have the mark yet.
    fn mark(&mut self, number: u64, mark: u8) -> bool {
        let marks = usize::try_from(number).ok().and_then(|at| self.marks.get_mut(at));
        marks.is_some_and(|marks| {
            let fresh = *marks & mark == 0;
            *marks |= mark;
            fresh
        })
    }

    fn clear(&mut self, number: u64, mark: u8) {
        if let Some(marks) = usize::try_from(number).ok().and_then(|at| self.marks.get_mut(at)) {
            *marks &= !mark;
        }
    }

    fn complain(&mut self, text: impl FnOnce() -> String) {
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push(text());
        } else {
            self.more_complaints += 1;
        }
    }
}

/// What the body of a message begins with.
pub fn head(number: u64) -> String {
    format!("{number}:")
}

fn number_of(body: &str) -> Option<u64> {
    body.split_once(':')?.0.parse().ok()
}

fn short(body: &str) -> String {
    body.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(number: u64, lease: &str) -> Vec<Pulled> {
        vec![Pulled { id: String::new(), lease: lease.to_owned(), attempt: 1, body: format!("{number}:x") }]
    }

    #[test]
    fn what_is_accepted_must_come_and_what_is_acked_must_not_come_again() {
        let ledger = Ledger::default();
        let numbers: Vec<u64> = (0..4).map(|_| ledger.begin()).collect();
        ledger.accepted(&numbers[..3]);
        assert_eq!(ledger.missing(), [0, 1, 2]);
        let now = Instant::now();
        for (number, lost) in [(0, vec![]), (1, vec!["l1".to_owned()])] {
            let batch = pulled(number, &format!("l{number}"));
            ledger.taken(&batch, now, Duration::from_secs(9));
            ledger.letting_go(&batch, true);
            ledger.acked(&batch, &lost);
        }
        ledger.pushed("2:x");
        assert_eq!(ledger.missing(), [1], "its ack came too late");
        assert_eq!(ledger.complaints(), Vec::<String>::new());
        ledger.taken(&pulled(0, "l9"), now, Duration::from_secs(9));
        ledger.taken(&pulled(77, "l9"), now, Duration::from_secs(9));
        ledger.pushed("no number");
        assert_eq!(ledger.complaints().len(), 3);
        assert_eq!(ledger.totals(), Totals { sent: 4, accepted: 3, ended: 2 });
    }

    #[test]
    fn a_lease_held_twice_shows() {
        let ledger = Ledger::default();
        ledger.begin();
        let (now, ttl) = (Instant::now(), Duration::from_secs(60));
        ledger.taken(&pulled(0, "first"), now, Duration::ZERO);
        ledger.taken(&pulled(0, "after its end"), now, ttl);
        ledger.letting_go(&pulled(0, "after its end"), false);
        ledger.taken(&pulled(0, "given back"), now, Duration::ZERO);
        assert_eq!(ledger.complaints(), Vec::<String>::new());
        ledger.extended(&pulled(0, "given back")[0], ttl);
        ledger.taken(&pulled(0, "too early"), now, ttl);
        assert_eq!(ledger.complaints().len(), 1, "{:?}", ledger.complaints());
        ledger.forget_leases();
        ledger.taken(&pulled(0, "after a cut"), now, ttl);
        assert_eq!(ledger.complaints().len(), 1);
    }
}
