//! Settling again.

use std::time::Duration;

use hookaido_model::LaneId;

use super::{Rig, wish};
use crate::queue::SettleError;
use crate::store::{LeaseLost, Settle, Settlement};

fn settle(lease: hookaido_model::LeaseId, scope: Option<LaneId>, settlement: Settlement) -> Settle {
    Settle { lease, scope, settlement }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_counts_when_it_is_the_same_within_the_lane() {
    let rig = Rig::new().await;
    let nack = Settlement::Nack { ready_at: None, reason: None };
    let bury = Settlement::Bury { reason: None };
    let lost = Err(SettleError::Lost(LeaseLost::NotFound));
    for (done, again, scope, counts) in [
        (Settlement::Ack, Settlement::Ack, Some(rig.a()), true),
        (Settlement::Ack, Settlement::Ack, None, true),
        (Settlement::Ack, Settlement::Ack, Some(rig.b()), false),
        (Settlement::Ack, nack.clone(), None, false),
        (nack.clone(), nack.clone(), Some(rig.a()), true),
        (nack.clone(), bury.clone(), Some(rig.a()), true),
        (bury.clone(), nack.clone(), Some(rig.a()), true),
        (nack.clone(), Settlement::Ack, Some(rig.a()), false),
        (bury.clone(), Settlement::Ack, Some(rig.a()), false),
        (Settlement::Release, Settlement::Release, Some(rig.a()), false),
    ] {
        rig.publish(rig.a(), "m").await;
        let lease = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep()[0].lease.unwrap();
        rig.queue.settle(settle(lease, Some(rig.a()), done.clone())).await.unwrap();
        let outcome = rig.queue.settle(settle(lease, scope, again.clone())).await;
        if counts {
            assert_eq!(outcome.unwrap().lane, rig.a(), "{done:?} {again:?}");
        } else {
            assert_eq!(outcome, lost, "{done:?} {again:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeat_changes_nothing() {
    let rig = Rig::new().await;
    rig.publish(rig.a(), "m").await;
    let lease = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep()[0].lease.unwrap();
    let nack = settle(lease, None, Settlement::Nack { ready_at: None, reason: None });
    rig.queue.settle(nack.clone()).await.unwrap();
    let second = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep();
    assert_eq!(second[0].attempt, 2);
    rig.queue.settle(settle(lease, None, Settlement::Bury { reason: None })).await.unwrap();
    let ack = settle(second[0].lease.unwrap(), None, Settlement::Ack);
    assert!(rig.queue.settle(ack).await.is_ok(), "the new lease is untouched");
}

#[tokio::test(start_paused = true)]
async fn an_expired_lease_is_no_repeat() {
    let rig = Rig::new().await;
    rig.publish(rig.a(), "m").await;
    let lease = rig.queue.lease(wish(rig.a(), 1, Duration::ZERO)).await.unwrap().keep()[0].lease.unwrap();
    tokio::time::advance(Duration::from_secs(31)).await;
    let outcome = rig.queue.settle(settle(lease, None, Settlement::Ack)).await;
    assert_eq!(outcome, Err(SettleError::Lost(LeaseLost::Expired)));
}
