//! What goes first, and what is refused, when more waits than one transaction takes.

use std::time::Duration;

use tokio::sync::oneshot;

use super::{NOW, enqueue, message, take};
use crate::SqliteOptions;
use crate::inbox::{Inbox, Job, Op, Taken};
use hookaido_model::{LaneId, UnixMillis};
use hookaido_queue::store::StoreError;

fn job<I, O>(input: I) -> Job<I, O> {
    let (reply, _answer) = oneshot::channel();
    Job { input, outcome: None, reply }
}

fn received_at(at: i64, bytes: usize) -> Op {
    let mut one = message(LaneId(1), &vec![b'x'; bytes]);
    one.received_at = UnixMillis(at);
    Op::Enqueue(job(enqueue(vec![one])))
}

fn lease() -> Op {
    Op::Lease(job(take(LaneId(1), 1, NOW)))
}

#[test]
fn new_messages_keep_a_share_of_every_batch() {
    let inbox = Inbox::new(&SqliteOptions::default());
    for _ in 0..600 {
        inbox.push(received_at(0, 1)).unwrap();
        inbox.push(lease()).unwrap();
    }
    let mut shares = Vec::new();
    let mut ops = Vec::new();
    while inbox.take(&mut ops, Duration::ZERO) == Taken::Batch {
        let leases = ops.iter().filter(|op| matches!(op, Op::Lease(_))).count();
        shares.push((leases, ops.len() - leases));
        ops.clear();
    }
    assert_eq!(shares, [(384, 128), (216, 296), (0, 176)]);
}

#[test]
fn new_messages_of_a_batch_are_in_order_of_receipt() {
    let inbox = Inbox::new(&SqliteOptions::default());
    for at in [5, 3, 9, 3] {
        inbox.push(received_at(at, 1)).unwrap();
    }
    let mut ops = Vec::new();
    inbox.take(&mut ops, Duration::ZERO);
    let order: Vec<_> =
        ops.iter().filter_map(|op| if let Op::Enqueue(job) = op { job.input.messages.first() } else { None }).collect();
    assert!(order.is_sorted_by_key(|message| message.received_at));
}

#[test]
fn what_waits_is_bounded_in_number_and_bytes() {
    let options = SqliteOptions { max_waiting: 3, max_waiting_bytes: 1000, ..SqliteOptions::default() };
    let inbox = Inbox::new(&options);
    inbox.push(received_at(0, 5000)).unwrap();
    assert!(matches!(inbox.push(received_at(0, 1)), Err(StoreError::Unavailable(_))), "bytes");
    let mut ops = Vec::new();
    inbox.take(&mut ops, Duration::ZERO);
    for _ in 0..3 {
        inbox.push(received_at(0, 1)).unwrap();
        inbox.push(lease()).unwrap();
    }
    assert!(matches!(inbox.push(received_at(0, 1)), Err(StoreError::Unavailable(_))), "number");
    assert!(matches!(inbox.push(lease()), Err(StoreError::Unavailable(_))), "number");
    inbox.push(Op::Release(Vec::new())).unwrap();
    inbox.close();
    assert!(matches!(inbox.push(Op::Release(Vec::new())), Err(StoreError::Unavailable(_))), "closed");
    ops.clear();
    assert_eq!(inbox.take(&mut ops, Duration::ZERO), Taken::Batch, "what waits is still done");
    assert_eq!(inbox.take(&mut ops, Duration::ZERO), Taken::Closed);
}
