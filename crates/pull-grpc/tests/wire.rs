//! The messages on the wire, byte by byte: names may change, numbers and types may not.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use hookaido_pull_grpc::generated::{
    AckRequest, AckResponse, DequeueItem, DequeueRequest, DequeueResponse, ExtendRequest, LeaseConflict, NackRequest,
    NackResponse,
};
use prost::Message;
use prost_types::{Duration, Timestamp};

fn text(text: &str) -> String {
    text.to_owned()
}

fn pair(key: &str, value: &str) -> std::collections::BTreeMap<String, String> {
    [(text(key), text(value))].into()
}

fn check<M: Message + Default + PartialEq + std::fmt::Debug>(message: &M, bytes: &[u8]) {
    assert_eq!(message.encode_to_vec(), bytes, "{message:?}");
    assert_eq!(&M::decode(bytes).unwrap(), message);
}

#[test]
fn requests_have_their_numbers() {
    let (one, two) = (Some(Duration { seconds: 1, nanos: 0 }), Some(Duration { seconds: 0, nanos: 2 }));
    check(
        &DequeueRequest { endpoint: text("/a"), batch: 5, max_wait: one, lease_ttl: two },
        b"\x0a\x02/a\x10\x05\x1a\x02\x08\x01\x22\x02\x10\x02",
    );
    check(
        &AckRequest { endpoint: text("/a"), lease_id: text("x"), lease_ids: vec![text("y"), text("z")] },
        b"\x0a\x02/a\x12\x01x\x1a\x01y\x1a\x01z",
    );
    let nack = NackRequest {
        endpoint: text("/a"),
        lease_id: text("x"),
        lease_ids: vec![text("y")],
        delay: one,
        dead: true,
        reason: text("r"),
    };
    check(&nack, b"\x0a\x02/a\x12\x01x\x1a\x01y\x22\x02\x08\x01\x28\x01\x32\x01r");
    check(
        &ExtendRequest { endpoint: text("/a"), lease_id: text("x"), extend_by: one },
        b"\x0a\x02/a\x12\x01x\x1a\x02\x08\x01",
    );
}

#[test]
fn answers_have_their_numbers() {
    let item = DequeueItem {
        id: text("i"),
        lease_id: text("l"),
        received_at: Some(Timestamp { seconds: 1, nanos: 0 }),
        attempt: 3,
        next_run_at: Some(Timestamp { seconds: 2, nanos: 0 }),
        route: text("/r"),
        payload: vec![0, 255].into(),
        headers: pair("h", "v"),
        trace: pair("t", "w"),
    };
    let bytes = b"\x0a\x01i\x12\x01l\x1a\x02\x08\x01\x20\x03\x2a\x02\x08\x02\x32\x02/r\x3a\x02\x00\xff\
        \x42\x06\x0a\x01h\x12\x01v\x4a\x06\x0a\x01t\x12\x01w";
    check(&item, bytes);
    let list = [&[0x0a, u8::try_from(bytes.len()).unwrap()], &bytes[..]].concat();
    check(&DequeueResponse { items: vec![item] }, &list);
    let conflicts = vec![LeaseConflict { lease_id: text("x"), expired: true }];
    let bytes = b"\x08\x02\x12\x05\x0a\x01x\x10\x01";
    check(&AckResponse { acked: 2, conflicts: conflicts.clone() }, bytes);
    check(&NackResponse { succeeded: 2, conflicts }, bytes);
}
