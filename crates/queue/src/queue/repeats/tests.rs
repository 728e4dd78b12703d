//! The bounds of the memory.

use super::*;
use crate::store::Settlement;
use hookaido_model::Seq;

const LANE: LaneId = LaneId(1);

fn settle(memory: &Repeats, n: i64, now: i64, outcome: Result<Settled, LeaseLost>) -> Result<Settled, LeaseLost> {
    let lease = LeaseId { seq: Seq(n), token: 7 };
    let mark = Mark::of(&Settle { lease, scope: None, settlement: Settlement::Ack });
    let mut outcomes = [outcome];
    memory.review(&[mark], &mut outcomes, UnixMillis(now));
    outcomes[0]
}

const DONE: Result<Settled, LeaseLost> = Ok(Settled { lane: LANE, died: false });
const UNKNOWN: Result<Settled, LeaseLost> = Err(LeaseLost::NotFound);

#[test]
fn the_oldest_are_forgotten_when_there_are_too_many() {
    let memory = Repeats::default();
    let most = i64::try_from(MOST).unwrap();
    for n in 0..=most {
        assert_eq!(settle(&memory, n, 0, DONE), DONE);
    }
    assert_eq!(settle(&memory, 0, 0, UNKNOWN), UNKNOWN);
    assert_eq!(settle(&memory, 1, 0, UNKNOWN), DONE);
    assert_eq!(memory.0.lock().known.len(), MOST);
}

#[test]
fn what_is_old_is_forgotten() {
    let memory = Repeats::default();
    settle(&memory, 1, 0, DONE).unwrap();
    settle(&memory, 2, 300_000, DONE).unwrap();
    assert_eq!(settle(&memory, 1, 599_999, UNKNOWN), DONE);
    assert_eq!(settle(&memory, 1, 600_000, UNKNOWN), UNKNOWN);
    assert_eq!(settle(&memory, 2, 600_000, UNKNOWN), DONE);
    memory.forget(UnixMillis(900_000));
    assert!(memory.0.lock().known.is_empty());
}
