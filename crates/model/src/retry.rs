//! What follows from a delivery try: the decision, as one pure function.

use std::time::Duration;

use crate::{Backoff, DeadReason};

/// How a failed delivery is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first try: `max + 1` tries in all.
    pub max: u32,
    /// Delay after the first failed try; doubles with each further one.
    pub base: Duration,
    /// Upper bound of the delay.
    pub cap: Duration,
    /// Share of the delay by which it may vary to either side, 0 to 1.
    pub jitter: f64,
}

/// What a delivery try came to, as the transport saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered. `retry_after` is its own wish, already turned into a delay.
    Answered {
        /// HTTP status, or what an exec target's exit code stands for.
        status: u16,
        /// Parsed `Retry-After`.
        retry_after: Option<Duration>,
    },
    /// No answer: connection, TLS or time-out.
    Unreachable,
    /// The egress policy or a missing command forbids the try; another would end the same way.
    Denied,
}

/// What to do with the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered.
    Ack,
    /// Try again after the delay.
    Retry(Duration),
    /// Give up.
    Bury(DeadReason),
}

/// Most that a target's `Retry-After` may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(3600);

/// Decides what follows a delivery try.
///
/// `attempt` counts from 1. `jitter` is a random number from -1 to 1 (a caller that wants none gives 0). 2xx is delivered; 408, 429,
/// 5xx and no answer are tried again until the policy is used up; everything else is final. The target's `Retry-After`
/// lengthens the delay of every answer that is tried again, up to an hour.
#[must_use]
pub fn decide(outcome: &Outcome, attempt: u32, policy: &RetryPolicy, jitter: f64) -> Verdict {
    let wish = match outcome {
        Outcome::Answered { status: 200..=299, .. } => return Verdict::Ack,
        Outcome::Answered { status: 408 | 429 | 500..=599, retry_after } => *retry_after,
        Outcome::Unreachable => None,
        Outcome::Answered { .. } => return Verdict::Bury(DeadReason::NO_RETRY),
        Outcome::Denied => return Verdict::Bury(DeadReason::POLICY_DENIED),
    };
    if attempt > policy.max {
        return Verdict::Bury(DeadReason::MAX_RETRIES);
    }
    let backoff = Backoff { base: policy.base, cap: policy.cap, jitter: policy.jitter };
    let delay = backoff.delay(attempt, jitter);
    Verdict::Retry(wish.map_or(delay, |wish| wish.min(LONGEST_WISH).max(delay)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: RetryPolicy =
        RetryPolicy { max: 3, base: Duration::from_millis(40), cap: Duration::from_millis(150), jitter: 0.5 };

    fn answered(status: u16) -> Outcome {
        Outcome::Answered { status, retry_after: None }
    }

    #[test]
    fn statuses_decide() {
        let retry = Verdict::Retry(Duration::from_millis(40));
        for (status, want) in [
            (200, Verdict::Ack),
            (299, Verdict::Ack),
            (302, Verdict::Bury(DeadReason::NO_RETRY)),
            (404, Verdict::Bury(DeadReason::NO_RETRY)),
            (408, retry.clone()),
            (429, retry.clone()),
            (500, retry.clone()),
            (599, retry),
        ] {
            assert_eq!(decide(&answered(status), 1, &POLICY, 0.0), want, "{status}");
        }
        assert_eq!(decide(&Outcome::Denied, 1, &POLICY, 0.0), Verdict::Bury(DeadReason::POLICY_DENIED));
    }

    #[test]
    fn delays_double_up_to_the_cap_and_attempts_end() {
        let delay = |attempt, jitter| decide(&Outcome::Unreachable, attempt, &POLICY, jitter);
        let millis = |ms| Verdict::Retry(Duration::from_millis(ms));
        assert_eq!([delay(1, 0.0), delay(2, 0.0), delay(3, 0.0)], [millis(40), millis(80), millis(150)]);
        assert_eq!([delay(1, 1.0), delay(1, -1.0)], [millis(60), millis(20)]);
        assert_eq!(delay(4, 0.0), Verdict::Bury(DeadReason::MAX_RETRIES));
        let endless = RetryPolicy { max: u32::MAX, ..POLICY };
        assert_eq!(decide(&Outcome::Unreachable, 4_000_000, &endless, 0.0), millis(150));
    }

    #[test]
    fn a_wish_lengthens_the_delay_up_to_an_hour() {
        let asked = |status, ms| {
            decide(&Outcome::Answered { status, retry_after: Some(Duration::from_millis(ms)) }, 1, &POLICY, 0.0)
        };
        let millis = |ms| Verdict::Retry(Duration::from_millis(ms));
        assert_eq!(
            [asked(503, 100), asked(429, 9_999), asked(503, 1), asked(500, 100), asked(503, 9_999_999)],
            [millis(100), millis(9_999), millis(40), millis(100), millis(3_600_000)]
        );
    }
}
