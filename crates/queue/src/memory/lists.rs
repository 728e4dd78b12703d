//! Lists and counts.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use hookaido_model::{Attempt, Envelope, Seq, State};

use super::core::{Core, LaneCore, received_at};
use crate::store::{AttemptQuery, LaneStats, ListQuery, Stats};

impl Core {
    pub(super) fn list(&self, query: &ListQuery) -> Vec<Envelope> {
        let seqs = match &query.ids {
            Some(ids) => self.named(ids.iter().filter_map(|id| self.seq_of(id)).collect(), query),
            None => self.indexed(query),
        };
        let message = |seq: Seq| self.messages.get(&seq).and_then(|message| self.envelope(seq, message, query.content));
        seqs.into_iter().filter_map(message).collect()
    }

    /// Those of the named messages that match, in order.
    fn named(&self, named: BTreeSet<Seq>, query: &ListQuery) -> Vec<Seq> {
        let before = query.before.map(Seq::first_at);
        let matches = |seq: &Seq| {
            let Some(message) = self.messages.get(seq) else { return false };
            before.is_none_or(|before| *seq < before)
                && (query.states.is_empty() || query.states.contains(&message.stand.state()))
                && self.lane_core(message.lane).is_some_and(|lane| wanted(lane, query))
        };
        let limit = limit(query.limit);
        if query.oldest_first {
            named.into_iter().filter(matches).take(limit).collect()
        } else {
            named.into_iter().rev().filter(matches).take(limit).collect()
        }
    }

    /// Merges the indexes of every lane and state that match.
    fn indexed(&self, query: &ListQuery) -> Vec<Seq> {
        let end = query.before.map_or(Seq(i64::MAX), Seq::first_at);
        let sets = self.lanes.iter().filter(|lane| wanted(lane, query)).flat_map(|lane| {
            State::ALL
                .into_iter()
                .zip(&lane.by_state)
                .filter(|(state, _)| query.states.is_empty() || query.states.contains(state))
        });
        let sets = sets.map(|(_, set)| set.range(..end).copied());
        let limit = limit(query.limit);
        if query.oldest_first {
            merge(sets.map(|set| set.map(Reverse)), limit).into_iter().map(|Reverse(seq)| seq).collect()
        } else {
            merge(sets.map(Iterator::rev), limit)
        }
    }

    pub(super) fn list_attempts(&self, query: &AttemptQuery) -> Vec<Attempt> {
        let matches = |attempt: &&Attempt| {
            query.route.as_ref().is_none_or(|route| *route == attempt.lane.route)
                && query.target.as_ref().is_none_or(|target| *target == attempt.lane.target)
                && query.outcome.is_none_or(|outcome| outcome == attempt.outcome)
                && query.before.is_none_or(|before| attempt.created_at < before)
        };
        let limit = limit(query.limit);
        match &query.event_id {
            Some(event) => {
                let ids = self.attempts_of.get(event).into_iter().flatten().rev();
                ids.filter_map(|id| self.attempts.get(id)).filter(matches).take(limit).cloned().collect()
            }
            None => self.attempts.values().rev().filter(matches).take(limit).cloned().collect(),
        }
    }

    pub(super) fn stats(&self) -> Stats {
        let lane = |lane: &LaneCore| {
            let [queued, ..] = &lane.by_state;
            LaneStats {
                lane: lane.lane.clone(),
                counts: lane.by_state.each_ref().map(|set| u64::try_from(set.len()).unwrap_or(u64::MAX)),
                oldest_queued_received_at: queued.first().map(|seq| received_at(*seq)),
                earliest_queued_next_run_at: lane.ready.first().map(|(at, _)| *at),
            }
        };
        Stats { lanes: self.lanes.iter().map(lane).collect() }
    }
}

fn wanted(lane: &LaneCore, query: &ListQuery) -> bool {
    query.route.as_ref().is_none_or(|route| *route == lane.lane.route)
        && query.target.as_ref().is_none_or(|target| *target == lane.lane.target)
}

fn limit(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// The greatest `limit` items of falling sequences, in falling order.
fn merge<T: Ord>(sequences: impl Iterator<Item = impl Iterator<Item = T>>, limit: usize) -> Vec<T> {
    let mut rests: Vec<_> = sequences.collect();
    let firsts = rests.iter_mut().enumerate().filter_map(|(index, rest)| rest.next().map(|item| (item, index)));
    let mut heads: BinaryHeap<(T, usize)> = firsts.collect();
    let mut merged = Vec::new();
    while merged.len() < limit
        && let Some((item, index)) = heads.pop()
    {
        merged.push(item);
        heads.extend(rests.get_mut(index).and_then(Iterator::next).map(|item| (item, index)));
    }
    merged
}
