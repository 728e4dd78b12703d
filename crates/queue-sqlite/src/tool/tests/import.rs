//! Taking over databases of Hookaido 2.11.

use std::path::{Path, PathBuf};

use hookaido_model::{AttemptOutcome, DeadReason, Envelope, EnvelopeId, LaneId, State, UnixMillis};
use hookaido_queue::store::{AttemptQuery, Lease, ListQuery, Reclaim, Rules, Settle, SettleBatch, Settlement, Store};

use super::legacy::{Old, QUEUED, add, attempt, database, killed};
use super::{NOW, checked, contents, lanes, message, open, put, quiet};
use crate::SqliteStore;
use crate::tool::{Import, Imported, ToolError, import, stats};

fn run(source: &Path, queue: &Path) -> Result<Imported, ToolError> {
    import(&Import { source, queue, only_new: false, now: NOW }, &mut quiet())
}

fn only_new(source: &Path, queue: &Path) -> Result<Imported, ToolError> {
    import(&Import { source, queue, only_new: true, now: NOW }, &mut quiet())
}

async fn list(store: &SqliteStore) -> Vec<Envelope> {
    let query = ListQuery { limit: 10_000, content: true, oldest_first: true, ..ListQuery::default() };
    store.list(query).await.unwrap()
}

/// All that is ready ten milliseconds after [`NOW`].
fn wish(lane: LaneId) -> Lease {
    Lease { lane, max: 100, max_bytes: u64::MAX, until: after(30_000), now: after(10) }
}

fn after(millis: i64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}

/// One message of every kind, in another order than they were received.
fn every_kind(big: &[u8]) -> Vec<Old<'_>> {
    let push = Old { route: "/push", target: "http://t.example/x", ..QUEUED };
    vec![
        Old { id: "dead", state: "dead", received: 6, next: 66, attempt: 8, dead_reason: Some("max_retries"), ..push },
        Old { id: "dead-unsaid", state: "dead", received: 7, next: 67, attempt: 1, ..QUEUED },
        Old { id: "retry", received: 5, next: 900_000, attempt: 3, ..push },
        Old { id: "plain", received: 1, next: 1, ..QUEUED },
        Old { id: "published", received: -86_400_000, next: 86_400_000, payload: b"", headers: None, ..QUEUED },
        Old { id: "big", received: 2, next: 2, payload: big, headers: Some("{}"), ..QUEUED },
        Old {
            id: "leased",
            state: "leased",
            received: 3,
            next: 30_000,
            attempt: 1,
            lease_until: Some(30_000),
            ..QUEUED
        },
        Old { id: "delivered", state: "delivered", received: 4, next: 44, attempt: 1, ..QUEUED },
        Old { id: "canceled", state: "canceled", received: 8, next: 88, attempt: 0, ..QUEUED },
        Old { id: "twin", received: 1, next: 1, ..QUEUED },
    ]
}

/// The database of [`every_kind`] with attempts, a secret and a sample, as a killed server leaves it.
fn legacy(folder: &Path) -> PathBuf {
    let big: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let path = folder.join("made.db");
    let conn = database(&path, &every_kind(&big));
    attempt(&conn, "att_b", "dead", "dead", 66);
    attempt(&conn, "att_a", "retry", "retry", 50);
    attempt(&conn, "att_c", "long-gone", "acked", 40);
    conn.execute_batch(
        "INSERT INTO runtime_secrets VALUES ('pool', 's1', x'00', 0, 0, 0);
         INSERT INTO backlog_trend_samples VALUES (1, '/a', 'pull', 1, 2, 3), (2, '/a', 'pull', 1, 2, 3);",
    )
    .unwrap();
    let copy = killed(&path, &folder.join("old"));
    drop(conn);
    copy
}

#[tokio::test]
async fn everything_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (source, queue) = (legacy(folder.path()), folder.path().join("new/queue.db"));
    let before = contents(source.parent().unwrap());
    let done = run(&source, &queue).unwrap();
    assert_eq!(contents(source.parent().unwrap()), before, "the source is not touched, and nothing is put beside it");
    assert_eq!(done, Imported { messages: [5, 1, 1, 2, 1], attempts: 3, known: 0, secrets: 1, samples: 2 });
    assert_eq!(checked(&queue).problems, Vec::<String>::new());

    let store = open(&queue);
    let found = list(&store).await;
    let ids: Vec<String> = found.iter().map(|envelope| envelope.id.to_string()).collect();
    let by_receipt =
        ["published", "plain", "twin", "big", "leased", "delivered", "retry", "dead", "dead-unsaid", "canceled"];
    assert_eq!(ids, by_receipt);
    let one = |id: &str| found.iter().find(|envelope| envelope.id == EnvelopeId::from(id)).unwrap();
    let shape = |id: &str| {
        let Envelope { state, received_at, next_run_at, attempt, .. } = one(id);
        (*state, received_at.0 - NOW.0, next_run_at.0 - NOW.0, *attempt)
    };
    assert_eq!(shape("published"), (State::Queued, -86_400_000, 86_400_000, 0));
    assert_eq!(shape("retry"), (State::Queued, 5, 900_000, 3));
    assert_eq!(shape("leased"), (State::Leased, 3, 30_000, 1));
    assert_eq!(shape("delivered"), (State::Delivered, 4, 44, 1));
    assert_eq!(shape("dead"), (State::Dead, 6, 66, 8));
    assert_eq!(shape("canceled"), (State::Canceled, 8, 88, 0));
    assert_eq!(one("dead").dead_reason, Some(DeadReason::MAX_RETRIES));
    assert_eq!(one("dead-unsaid").dead_reason, None);
    assert_eq!(one("leased").lease_until, Some(after(30_000)));
    assert_eq!((&*one("retry").lane.route, &*one("retry").lane.target), ("/push", "http://t.example/x"));
    let content = |id: &str| one(id).content.clone().unwrap();
    assert_eq!(content("plain").headers.get("X-Mark").unwrap().as_deref(), Some("<&>"));
    assert_eq!(content("plain").trace.get("remote_addr").unwrap().as_deref(), Some("192.0.2.1:5000"));
    assert!(content("published").payload.is_empty() && content("published").headers.is_empty());
    assert_eq!((content("big").payload.len(), content("big").payload[70_000]), (3_000_000, 112));

    let attempts = store.attempts(AttemptQuery { limit: 9, ..AttemptQuery::default() }).await.unwrap();
    let attempts: Vec<_> = attempts
        .iter()
        .map(|one| (one.event_id.to_string(), one.outcome, one.created_at.0 - NOW.0, one.status_code))
        .collect();
    assert_eq!(
        attempts,
        [
            ("dead".to_owned(), AttemptOutcome::Dead, 66, Some(503)),
            ("retry".to_owned(), AttemptOutcome::Retry, 50, Some(503)),
            ("long-gone".to_owned(), AttemptOutcome::Acked, 40, Some(503)),
        ]
    );
    let query = AttemptQuery { event_id: Some(EnvelopeId::from("retry")), limit: 9, ..AttemptQuery::default() };
    assert_eq!(store.attempts(query).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_lease_runs_out_and_its_message_is_delivered_again() {
    let folder = tempfile::tempdir().unwrap();
    let (source, queue) = (legacy(folder.path()), folder.path().join("queue.db"));
    run(&source, &queue).unwrap();
    let store = open(&queue);
    let lane = lanes(&store, &[("/a", "pull")]).await[0].id;
    let ready = store.lease(wish(lane)).await.unwrap();
    assert_eq!(ready.envelopes.len(), 3, "plain, twin, big");
    let at = |millis| Reclaim { max: 10, rules: Rules::default(), now: after(millis) };
    assert!(store.reclaim(at(29_000)).await.unwrap().lanes.is_empty());
    let taken = store.reclaim(at(30_000)).await.unwrap().lanes;
    assert_eq!((taken[0].lane.id, taken[0].expired), (lane, 4));
}

#[tokio::test]
async fn a_second_run_says_so_and_changes_nothing_even_after_all_is_settled() {
    let folder = tempfile::tempdir().unwrap();
    let (source, queue) = (legacy(folder.path()), folder.path().join("queue.db"));
    run(&source, &queue).unwrap();
    let store = open(&queue);
    let lane = lanes(&store, &[("/a", "pull")]).await[0].id;
    let ready = store.lease(wish(lane)).await.unwrap();
    let settles = ready.envelopes.iter().filter_map(|envelope| envelope.lease);
    let settles = settles.map(|lease| Settle { lease, scope: None, settlement: Settlement::Ack }).collect();
    let op = SettleBatch { settles, attempts: Vec::new(), keep_delivered: false, rules: Rules::default(), now: NOW };
    assert_eq!(store.settle(op).await.unwrap().len(), 3);
    store.close().await.unwrap();
    drop(store);
    let before = stats(&queue).unwrap();
    for refused in [run(&source, &queue).unwrap_err(), only_new(&source, &queue).unwrap_err()] {
        assert!(matches!(refused, ToolError::ImportedBefore { count: 13, .. }), "{refused}");
        assert!(refused.to_string().contains("Nothing was changed"), "{refused}");
    }
    let after = stats(&queue).unwrap();
    for state in State::ALL {
        assert_eq!(after.total(state), before.total(state), "{state}");
    }
    assert_eq!(after.attempts, before.attempts);
}

#[tokio::test]
async fn what_came_since_is_taken_if_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let (path, queue) = (folder.path().join("old.db"), folder.path().join("queue.db"));
    let conn = database(&path, &[QUEUED]);
    run(&killed(&path, &folder.path().join("one")), &queue).unwrap();
    add(&conn, &[Old { id: "later", ..QUEUED }]);
    let second = killed(&path, &folder.path().join("two"));
    let refused = run(&second, &queue).unwrap_err();
    assert!(matches!(refused, ToolError::ImportedInPart { known: 1, new: 1, .. }), "{refused}");
    assert!(refused.to_string().contains("--only-new"), "{refused}");
    let done = only_new(&second, &queue).unwrap();
    assert_eq!((done.messages, done.known), ([1, 0, 0, 0, 0], 1));
    assert_eq!(list(&open(&queue)).await.len(), 2);
}

#[tokio::test]
async fn one_bad_row_and_nothing_is_imported() {
    let folder = tempfile::tempdir().unwrap();
    let queue = folder.path().join("queue.db");
    let store = open(&queue);
    let lane = lanes(&store, &[("/a", "pull")]).await[0].id;
    let mut there = message(&[lane], b"there already");
    there.id = Some("taken".into());
    put(&store, vec![there]).await;
    let cases: [(&str, Old<'_>, &str); 3] = [
        ("headers", Old { id: "bad", headers: Some("[1]"), ..QUEUED }, "message `bad`: headers"),
        ("state", Old { id: "bad", state: "lost", ..QUEUED }, "the state `lost`"),
        ("id", Old { id: "taken", ..QUEUED }, "another message with the id `taken`"),
    ];
    let busy = killed_of(folder.path(), "busy", QUEUED);
    let in_use = run(&busy, &queue).unwrap_err();
    assert!(matches!(in_use, ToolError::InUse { .. }), "{in_use}");
    store.close().await.unwrap();
    drop(store);
    for (name, bad, told) in cases {
        let source = killed_of(folder.path(), name, bad);
        let refused = run(&source, &queue).unwrap_err().to_string();
        assert!(refused.contains(told), "{refused}");
        let found = stats(&queue).unwrap();
        assert_eq!((found.total(State::Queued), found.lanes.len()), (1, 1), "{name}");
        assert!(checked(&queue).is_sound());
    }
    // Nor is anything remembered: the good part comes in later.
    assert_eq!(run(&busy, &queue).unwrap().messages[0], 1);
}

/// A database with a good message on a new route, and this one behind it.
fn killed_of(folder: &Path, name: &str, last: Old<'_>) -> PathBuf {
    let path = folder.join(format!("{name}.db"));
    let first = Old { id: "first", route: "/new", received: -5, ..QUEUED };
    let messages = if name == "busy" { vec![last] } else { vec![first, last] };
    let conn = database(&path, &messages);
    let copy = killed(&path, &folder.join(name));
    drop(conn);
    copy
}

#[tokio::test]
async fn a_database_closed_in_peace_and_an_old_one_are_read_too() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("old").join("100% #1?.db");
    std::fs::create_dir(folder.path().join("old")).unwrap();
    drop(database(&source, &[QUEUED]));
    let before = contents(&folder.path().join("old"));
    assert_eq!(before.len(), 1, "no log is left: {:?}", before.keys());
    assert_eq!(run(&source, &folder.path().join("one.db")).unwrap().messages[0], 1);
    assert_eq!(contents(&folder.path().join("old")), before);

    // As its first schema was: no reasons, no attempts, no secrets, no index by receipt.
    let conn = rusqlite::Connection::open(&source).unwrap();
    conn.execute_batch(
        "ALTER TABLE queue_items DROP COLUMN dead_reason; DROP TABLE delivery_attempts; DROP TABLE runtime_secrets;
         DROP TABLE backlog_trend_samples; DROP INDEX idx_queue_state_received_at; UPDATE schema_migrations SET version = 1;",
    )
    .unwrap();
    drop(conn);
    assert_eq!(run(&source, &folder.path().join("two.db")).unwrap().messages[0], 1);
}

#[tokio::test]
async fn other_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let queue = at("queue.db");
    let newer = database(&at("newer.db"), &[QUEUED]);
    newer.execute_batch("UPDATE schema_migrations SET version = 8; PRAGMA wal_checkpoint(TRUNCATE);").unwrap();
    drop(newer);
    rusqlite::Connection::open(at("other.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    std::fs::write(at("text.db"), "words").unwrap();
    open(&at("ours.db")).close().await.unwrap();
    for (name, told) in [
        ("newer.db", "has schema 8, known are those up to 7"),
        ("other.db", "it has no table queue_items"),
        ("text.db", "is not a database"),
        ("ours.db", "is a queue of this program already"),
        ("missing.db", "does not exist"),
    ] {
        let refused = run(&at(name), &queue).unwrap_err().to_string();
        assert!(refused.contains(told), "{name}: {refused}");
    }
    assert!(!queue.exists(), "nothing is created for a source that is none");
}
