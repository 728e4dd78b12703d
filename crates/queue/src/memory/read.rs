//! Lists and counts.

use std::sync::Arc;

use hookaido_model::{Attempt, Envelope, Lane, Seq, State};

use super::table::{Row, Table, received_at, slot};
use crate::store::{AttemptQuery, LaneStats, ListQuery, Stats};

impl Table {
    pub(super) fn list(&self, query: &ListQuery) -> Vec<Envelope> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let before = query.before.map_or(Seq(i64::MAX), Seq::first_at);
        let pick = |seq: Seq| self.rows.get(&seq).filter(|row| self.wanted(query, row)).map(|row| (seq, row));
        let envelope = |(seq, row)| self.envelope(seq, row, query.content);
        if let Some(ids) = &query.ids {
            let mut seqs: Vec<Seq> = ids.iter().filter_map(|id| self.seq_of(id)).filter(|seq| *seq < before).collect();
            seqs.sort_unstable();
            seqs.dedup();
            if !query.oldest_first {
                seqs.reverse();
            }
            return seqs.into_iter().filter_map(pick).take(limit).filter_map(envelope).collect();
        }
        if let [state] = query.states.as_slice() {
            let Some(rows) = self.by_state.get(slot(*state)) else { return Vec::new() };
            let seqs = rows.range(..before).copied();
            return in_order(seqs, query.oldest_first).filter_map(pick).take(limit).filter_map(envelope).collect();
        }
        let rows = self.rows.range(..before).map(|(seq, row)| (*seq, row)).filter(|(_, row)| self.wanted(query, row));
        in_order(rows, query.oldest_first).take(limit).filter_map(envelope).collect()
    }

    fn wanted(&self, query: &ListQuery, row: &Row) -> bool {
        (query.states.is_empty() || query.states.contains(&row.state))
            && (query.route.is_none() && query.target.is_none()
                || self.lane(row.lane).is_some_and(|lane| of_lane(&lane.lane, &query.route, &query.target)))
    }

    pub(super) fn list_attempts(&self, query: &AttemptQuery) -> Vec<Attempt> {
        let wanted = |attempt: &&Attempt| {
            query.event_id.as_ref().is_none_or(|id| *id == attempt.event_id)
                && query.outcome.is_none_or(|outcome| outcome == attempt.outcome)
                && query.before.is_none_or(|before| attempt.created_at < before)
                && of_lane(&attempt.lane, &query.route, &query.target)
        };
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        self.attempts.iter().rev().filter(wanted).take(limit).cloned().collect()
    }

    pub(super) fn stats(&self) -> Stats {
        let lanes = self.lanes.iter().map(|lane| LaneStats {
            lane: Arc::clone(&lane.lane),
            counts: lane.counts,
            oldest_queued_received_at: lane.queued.first().copied().map(received_at),
            earliest_queued_next_run_at: lane.ready.first().map(|(at, _)| *at),
        });
        Stats { lanes: lanes.collect() }
    }

    /// Messages and bytes, by queued, leased, delivered, dead.
    pub(super) fn sizes(&self) -> ([u64; 4], [u64; 4]) {
        let [queued, leased, delivered, dead, _canceled] = self.bytes;
        let items = [State::Queued, State::Leased, State::Delivered, State::Dead].map(|state| self.total(state));
        (items, [queued, leased, delivered, dead])
    }
}

fn of_lane(lane: &Lane, route: &Option<Arc<str>>, target: &Option<Arc<str>>) -> bool {
    route.as_ref().is_none_or(|route| *route == lane.route)
        && target.as_ref().is_none_or(|target| *target == lane.target)
}

fn in_order<'i, T: 'i>(
    items: impl DoubleEndedIterator<Item = T> + 'i,
    forward: bool,
) -> Box<dyn Iterator<Item = T> + 'i> {
    if forward { Box::new(items) } else { Box::new(items.rev()) }
}
