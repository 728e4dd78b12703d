//! Values of the queue as messages of the API, and back.

use std::collections::BTreeMap;
use std::time::Duration;

use hookaido_model::{Envelope, JsonMap, UnixMillis};
use hookaido_pull::ops::Ended;
use hookaido_queue::store::LeaseLost;
use tonic::Status;

use crate::error;
use crate::generated::{DequeueItem, LeaseConflict};

/// Longest duration that `google.protobuf.Duration` allows, in seconds: about 10,000 years.
const MOST_SECONDS: u64 = 315_576_000_000;
const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// A duration, zero where it is negative; `None` where it is missing.
///
/// # Errors
/// It is none: out of range, or seconds and nanoseconds do not have the same sign.
pub(crate) fn duration(field: &str, value: Option<prost_types::Duration>) -> Result<Option<Duration>, Status> {
    let Some(prost_types::Duration { seconds, nanos }) = value else { return Ok(None) };
    let same_sign = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    if seconds.unsigned_abs() > MOST_SECONDS || nanos.unsigned_abs() >= NANOS_PER_SECOND || !same_sign {
        return Err(error::not_a_duration(field));
    }
    if seconds < 0 || nanos < 0 {
        return Ok(Some(Duration::ZERO));
    }
    Ok(Some(Duration::new(seconds.unsigned_abs(), nanos.unsigned_abs())))
}

/// A message for a worker. The payload is shared, not copied.
pub(crate) fn item(envelope: &Envelope) -> DequeueItem {
    let content = envelope.content.as_deref();
    DequeueItem {
        id: envelope.id.to_string(),
        lease_id: envelope.lease.map(|lease| lease.to_string()).unwrap_or_default(),
        received_at: Some(timestamp(envelope.received_at)),
        attempt: i32::try_from(envelope.attempt).unwrap_or(i32::MAX),
        next_run_at: Some(timestamp(envelope.next_run_at)),
        route: envelope.lane.route.to_string(),
        payload: content.map(|content| content.payload.clone()).unwrap_or_default(),
        headers: content.map(|content| pairs(envelope, &content.headers)).unwrap_or_default(),
        trace: content.map(|content| pairs(envelope, &content.trace)).unwrap_or_default(),
    }
}

/// What cannot be read any more is left out, so that the message does not stop those behind it.
fn pairs(envelope: &Envelope, map: &JsonMap) -> BTreeMap<String, String> {
    let pairs = map.pairs().inspect_err(|error| {
        tracing::error!(target: "hookaido", id = %envelope.id, err = %error, "stored_headers_unreadable");
    });
    pairs.unwrap_or_default().into_iter().collect()
}

fn timestamp(at: UnixMillis) -> prost_types::Timestamp {
    let nanos = at.0.rem_euclid(1000) * 1_000_000;
    prost_types::Timestamp { seconds: at.0.div_euclid(1000), nanos: i32::try_from(nanos).unwrap_or_default() }
}

/// How many leases of a batch ended, and which did not.
pub(crate) fn ended(ended: Ended) -> (u32, Vec<LeaseConflict>) {
    let conflict = |(lease_id, lost)| LeaseConflict { lease_id, expired: lost == LeaseLost::Expired };
    (u32::try_from(ended.done).unwrap_or(u32::MAX), ended.conflicts.into_iter().map(conflict).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_within_range_and_of_one_sign() {
        let read = |seconds, nanos| {
            duration("delay", Some(prost_types::Duration { seconds, nanos }))
                .map_err(|status| status.message().to_owned())
        };
        assert_eq!(duration("delay", None).unwrap(), None);
        for (seconds, nanos, want) in [
            (0, 0, Duration::ZERO),
            (1, 500_000_000, Duration::from_millis(1500)),
            (-1, -5, Duration::ZERO),
            (0, -5, Duration::ZERO),
            (-7, 0, Duration::ZERO),
            (315_576_000_000, 999_999_999, Duration::new(315_576_000_000, 999_999_999)),
        ] {
            assert_eq!(read(seconds, nanos), Ok(Some(want)), "{seconds} {nanos}");
        }
        for (seconds, nanos) in [
            (1, -1),
            (-1, 1),
            (0, 1_000_000_000),
            (0, -1_000_000_000),
            (0, i32::MIN),
            (315_576_000_001, 0),
            (i64::MIN, 0),
            (i64::MAX, 0),
        ] {
            assert_eq!(read(seconds, nanos), Err("delay must be a valid duration".to_owned()), "{seconds} {nanos}");
        }
    }

    #[test]
    fn instants_before_1970_count_their_nanoseconds_forward() {
        assert_eq!(timestamp(UnixMillis(1_500)), prost_types::Timestamp { seconds: 1, nanos: 500_000_000 });
        assert_eq!(timestamp(UnixMillis(-1)), prost_types::Timestamp { seconds: -1, nanos: 999_000_000 });
    }
}
