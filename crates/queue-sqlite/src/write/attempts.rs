//! Records of deliveries.

use hookaido_model::{Attempt, DeadReason};
use rusqlite::params;

use super::Tx;
use crate::failure::Failure;
use crate::rows::event_key;

impl Tx<'_> {
    pub(super) fn record(&mut self, attempt: &Attempt) -> Result<(), Failure> {
        self.connection
            .prepare_cached(
                "INSERT INTO attempt (event, lane, attempt, outcome, status_code, error, dead_reason, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                event_key(&attempt.event_id),
                attempt.lane.id.0,
                attempt.attempt,
                attempt.outcome as i64,
                attempt.status_code,
                attempt.error,
                attempt.dead_reason.as_ref().map(DeadReason::as_str),
                attempt.created_at.0
            ])?;
        Ok(())
    }
}
