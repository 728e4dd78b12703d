//! Operations that only look.

use hookaido_model::{Attempt, Envelope, Lane, Seq, State, UnixMillis};

use super::{Row, Rows};
use crate::store::{AttemptQuery, LaneStats, ListQuery, Stats};

impl Rows {
    pub(super) fn list(&self, query: &ListQuery) -> Vec<Envelope> {
        let wanted = |row: &&Row| {
            let lane = self.lanes.iter().find(|lane| lane.id == row.lane).unwrap();
            query.ids.as_ref().is_none_or(|ids| ids.iter().any(|id| id.to_string() == row.id.to_string()))
                && query.route.as_ref().is_none_or(|route| *route == lane.route)
                && query.target.as_ref().is_none_or(|target| *target == lane.target)
                && (query.states.is_empty() || query.states.contains(&row.state))
                && query.before.is_none_or(|before| UnixMillis(row.seq.0 >> Seq::COUNTER_BITS) < before)
        };
        let mut rows: Vec<&Row> = self.rows.iter().filter(wanted).collect();
        rows.sort_by_key(|row| row.seq);
        if !query.oldest_first {
            rows.reverse();
        }
        rows.into_iter().take(query.limit as usize).map(|row| self.envelope(row)).collect()
    }

    pub(super) fn list_attempts(&self, query: &AttemptQuery) -> Vec<Attempt> {
        let wanted = |attempt: &&Attempt| {
            query.event_id.as_ref().is_none_or(|id| *id == attempt.event_id)
                && query.route.as_ref().is_none_or(|route| *route == attempt.lane.route)
                && query.target.as_ref().is_none_or(|target| *target == attempt.lane.target)
                && query.outcome.is_none_or(|outcome| outcome == attempt.outcome)
                && query.before.is_none_or(|before| attempt.created_at < before)
        };
        self.attempts.iter().rev().filter(wanted).take(query.limit as usize).cloned().collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let lane_stats = |lane: &std::sync::Arc<Lane>| {
            let of = |state: State| self.rows.iter().filter(move |row| row.lane == lane.id && row.state == state);
            LaneStats {
                lane: std::sync::Arc::clone(lane),
                counts: State::ALL.map(|state| of(state).count() as u64),
                oldest_queued_received_at: of(State::Queued)
                    .map(|row| UnixMillis(row.seq.0 >> Seq::COUNTER_BITS))
                    .min(),
                earliest_queued_next_run_at: of(State::Queued).map(|row| row.next_run_at).min(),
            }
        };
        Stats { lanes: self.lanes.iter().map(lane_stats).collect() }
    }
}
