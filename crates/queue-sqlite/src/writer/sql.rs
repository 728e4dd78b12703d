//! Every statement of the writer, prepared once for each connection.

use rusqlite::{Connection, Statement};

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $sql:expr;)*) => {
        /// Statements of one connection.
        #[derive(Debug)]
        pub(crate) struct Statements<'c> {
            $($(#[$doc])* pub(crate) $name: Statement<'c>,)*
        }

        impl<'c> Statements<'c> {
            /// Prepares them all.
            pub(crate) fn prepare(conn: &'c Connection) -> rusqlite::Result<Self> {
                Ok(Self { $($name: conn.prepare($sql)?,)* })
            }
        }
    };
}

statements! {
    begin: "BEGIN IMMEDIATE";
    commit: "COMMIT";

    insert_lane: "INSERT INTO lane (route, target) VALUES (?1, ?2)";
    /// Numbers of messages by state, and in bundles up to a place, whole.
    put_tally: "INSERT OR REPLACE INTO tally (lane, queued, leased, delivered, dead, canceled, bundled, bundled_to)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";

    find_given: "SELECT seq FROM message WHERE given_id = ?1";
    /// The last place between two that is taken, or may be.
    last_between: "SELECT max(place) FROM (SELECT max(seq) AS place FROM message WHERE seq BETWEEN ?1 AND ?2
                   UNION ALL SELECT max(id) FROM content WHERE id BETWEEN ?1 AND ?2
                   UNION ALL SELECT max(min(last, ?2)) FROM bundle WHERE seq BETWEEN ?1 - ?3 AND ?2 AND last >= ?1)";
    insert_content: "INSERT INTO content (id, headers, trace, payload) VALUES (?1, ?2, ?3, ?4)";
    insert_shared: "INSERT INTO shared_content (id, refs) VALUES (?1, ?2)";
    insert_message: "INSERT INTO message (seq, lane, state, next_run_at, attempt, nonce, size, content, received_at, given_id)
                     VALUES (?1, ?2, 0, ?3, 0, ?4, ?5, ?6, ?7, ?8)";
    /// Of any state: whoever looks for the queued ones stops in time.
    oldest_queued: "SELECT seq, lane, content, size, state FROM message WHERE seq >= ?1 AND seq < ?2 ORDER BY seq";

    insert_bundle: "INSERT INTO bundle (seq, lane, last, head, count, taken) VALUES (?1, ?2, ?3, ?1, ?4, 0)";
    next_of_lane: "SELECT seq, lane, count, taken FROM bundle INDEXED BY bundle_lane WHERE lane = ?1 AND seq > ?2 ORDER BY seq LIMIT 1";
    oldest_bundle: "SELECT seq, lane, count, taken, head FROM bundle ORDER BY seq LIMIT 1";
    /// Bundles whose messages that were not taken may lie around a place.
    bundles_around: "SELECT seq, lane, count, taken FROM bundle
                     WHERE seq BETWEEN ?1 - ?2 AND ?1 AND last >= ?1 AND head <= ?1 ORDER BY seq DESC";
    take_from_bundle: "UPDATE bundle SET head = ?2, taken = ?3 WHERE seq = ?1";
    delete_bundle: "DELETE FROM bundle WHERE seq = ?1";
    /// A message of a bundle becomes a row, queued (0, no attempt) or leased (1, first attempt).
    insert_taken: "INSERT INTO message (seq, lane, state, next_run_at, attempt, nonce, size, token, lease_until, content, part)
                   VALUES (?1, ?2, ?3, ?4, ?3, ?5, ?6, ?7, ?8, ?9, ?10)";
    /// The message no longer needs its bundle.
    own_content: "UPDATE message SET content = NULL, part = NULL WHERE seq = ?1";

    ready: "SELECT seq, next_run_at, attempt, nonce, size, content, received_at, given_id, part
            FROM message INDEXED BY message_ready WHERE lane = ?1 AND state = 0 ORDER BY next_run_at, seq LIMIT ?2";
    content: "SELECT headers, trace, payload FROM content WHERE id = ?1";
    lease: "UPDATE message SET state = 1, attempt = ?2, token = ?3, lease_until = ?4 WHERE seq = ?1";

    get: "SELECT lane, state, token, lease_until, content, attempt, nonce, given_id, next_run_at, part FROM message WHERE seq = ?1";
    delete_message: "DELETE FROM message WHERE seq = ?1";
    delete_content: "DELETE FROM content WHERE id = ?1";
    unshare: "UPDATE shared_content SET refs = refs - ?2 WHERE id = ?1";
    refs: "SELECT refs FROM shared_content WHERE id = ?1";
    delete_shared: "DELETE FROM shared_content WHERE id = ?1";
    deliver: "UPDATE message SET state = 2, token = NULL, lease_until = NULL, ended_at = ?2 WHERE seq = ?1";
    bury: "UPDATE message SET state = 3, token = NULL, lease_until = NULL, dead_reason = ?2, ended_at = ?3 WHERE seq = ?1";
    cancel: "UPDATE message SET state = 4, token = NULL, lease_until = NULL, dead_reason = NULL, ended_at = ?2 WHERE seq = ?1";
    /// Back into the queue: time of the next lease, attempts so far, what was said.
    queue_again: "UPDATE message SET state = 0, next_run_at = ?2, attempt = ?3, token = NULL, lease_until = NULL,
                  dead_reason = coalesce(?4, dead_reason) WHERE seq = ?1";
    /// Into the queue, as if it were new.
    requeue: "UPDATE message SET state = 0, next_run_at = ?2, attempt = 0, token = NULL, lease_until = NULL, dead_reason = NULL,
              ended_at = NULL WHERE seq = ?1";
    last_reason: "SELECT dead_reason FROM message WHERE seq = ?1";
    extend: "UPDATE message SET lease_until = ?2 WHERE seq = ?1";
    expired: "SELECT seq, lane, attempt, token, content, part FROM message INDEXED BY message_leased
              WHERE state = 1 AND lease_until <= ?1 ORDER BY lease_until, seq LIMIT ?2";
    next_lease_end: "SELECT min(lease_until) FROM message INDEXED BY message_leased WHERE state = 1";

    done: "SELECT seq, lane, content, size FROM message INDEXED BY message_done
           WHERE state = ?1 AND state >= 2 AND ended_at < ?2 ORDER BY ended_at, seq";
    insert_attempt: "INSERT INTO attempt (id, event_seq, event_nonce, event_id, lane, attempt, status_code, error, outcome, dead_reason,
                                          created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    oldest_attempts: "SELECT id, created_at FROM attempt ORDER BY id LIMIT ?1";
    delete_attempts: "DELETE FROM attempt WHERE id <= ?1";
}
