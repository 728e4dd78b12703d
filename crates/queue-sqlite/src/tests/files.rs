//! Which files are opened, which are refused, and what a crash leaves.

use std::fs;

use super::{NOW, enqueue};
use super::{all, lane, message, open, payloads, put, settle, take, try_open};
use crate::{OpenError, SqliteOptions};
use hookaido_queue::store::{Settlement, Store};

/// Copies the files as a crash would leave them: whatever was written, nothing closed.
fn copy_as_after_a_crash(from: &std::path::Path, to: &std::path::Path) {
    fs::create_dir_all(to).unwrap();
    for name in ["queue.db", "queue.db-wal"] {
        fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

#[tokio::test]
async fn everything_answered_is_there_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for round in 0..20_u32 {
        put(&store, id, round.to_string().as_bytes()).await.unwrap();
        if round % 4 == 3 {
            let leased = store.lease(take(id, 1, NOW)).await.unwrap();
            store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
        }
        let copy = folder.path().join(format!("crash-{round}"));
        copy_as_after_a_crash(folder.path(), &copy);
        let after = open(&copy.join("queue.db"));
        assert_eq!(payloads(&after).await, payloads(&store).await);
        let counts = |stats: hookaido_queue::store::Stats| stats.lanes[0].counts;
        assert_eq!(counts(after.stats().await.unwrap()), counts(store.stats().await.unwrap()));
        put(&after, id, b"and on").await.unwrap();
        after.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_log_cut_anywhere_loses_only_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("queue.db"));
    let id = lane(&store, "/a").await.id;
    for round in 0..30_u32 {
        put(&store, id, round.to_string().as_bytes()).await.unwrap();
    }
    let log = fs::metadata(folder.path().join("queue.db-wal")).unwrap().len();
    let mut before = 0;
    for part in 1..=8 {
        let copy = folder.path().join(format!("cut-{part}"));
        copy_as_after_a_crash(folder.path(), &copy);
        let cut = fs::OpenOptions::new().write(true).open(copy.join("queue.db-wal")).unwrap();
        cut.set_len(log * part / 8 - 1).unwrap();
        let after = open(&copy.join("queue.db"));
        let found = payloads(&after).await;
        let wanted: Vec<String> = (0..found.len()).map(|n| n.to_string()).collect();
        assert_eq!(found, wanted);
        assert!(found.len() >= before);
        before = found.len();
        let counted = after.stats().await.unwrap().lanes.first().map_or(0, |lane| lane.counts[0]);
        assert_eq!(counted, u64::try_from(found.len()).unwrap());
        after.close().await.unwrap();
    }
}

#[tokio::test]
async fn one_file_serves_one_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path);
    let error = try_open(&path, &SqliteOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, OpenError::Locked { .. }), "{text}");
    assert!(text.contains("queue.db is in use by process"), "{text}");
    assert!(text.contains(&std::process::id().to_string()) && text.contains("queue.db.lock"), "{text}");
    store.close().await.unwrap();
    open(&path).close().await.unwrap();
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    open(&path).close().await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let error = try_open(&path, &SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 99, .. }), "{error}");
    assert!(error.to_string().contains("queue.db has schema version 99"));
}

#[test]
fn files_of_other_programs_are_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("other.db");
    let conn = rusqlite::Connection::open(&database).unwrap();
    conn.execute_batch("CREATE TABLE queue_items (id TEXT PRIMARY KEY)").unwrap();
    drop(conn);
    let text = folder.path().join("notes.txt");
    fs::write(&text, "nothing like a database, though long enough to be one").unwrap();
    for path in [database, text] {
        let before = fs::read(&path).unwrap();
        let error = try_open(&path, &SqliteOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("hookaido db import"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
    let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is put beside them: {names:?}");
}

#[test]
fn a_path_that_cannot_be_written_says_so() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = try_open(&folder.path().join("file/queue.db"), &SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    assert!(error.to_string().contains("cannot be opened for writing"));
}

#[tokio::test]
async fn a_creation_cut_short_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let conn = rusqlite::Connection::open(&path).unwrap();
    conn.execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = INCREMENTAL; VACUUM;").unwrap();
    drop(conn);
    let store = open(&path);
    let id = lane(&store, "/a").await.id;
    put(&store, id, b"first").await.unwrap();
    assert_eq!(all(&store).await.len(), 1);
}

#[tokio::test]
async fn the_log_is_overwritten_in_place_and_the_file_shrinks() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let options = SqliteOptions { checkpoint_bytes: 1 << 20, ..SqliteOptions::default() };
    let store = try_open(&path, &options).unwrap();
    let id = lane(&store, "/a").await.id;
    let size = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    let body = vec![b'x'; 16 << 10];
    for _ in 0..200 {
        let messages = (0..20).map(|_| message(id, &body)).collect();
        store.enqueue(enqueue(messages)).await.unwrap();
    }
    assert!(size("queue.db-wal") < 20 << 20, "{}", size("queue.db-wal"));
    let full = 200 * 20 * (16 << 10);
    loop {
        let leased = store.lease(take(id, 500, NOW)).await.unwrap();
        if leased.envelopes.is_empty() {
            break;
        }
        store.settle(settle(&leased, &Settlement::Ack)).await.unwrap();
    }
    store.maintain().await.unwrap();
    store.close().await.unwrap();
    assert!(size("queue.db") < full / 2, "{}", size("queue.db"));
}

/// The power failed while the first transaction was written: its journal is whole, the file is not.
#[tokio::test]
async fn a_creation_that_was_cut_short_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let journal = folder.path().join("queue.db-journal");
    let mut head = vec![0_u8; 512];
    head[..8].copy_from_slice(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]);
    head[20..28].copy_from_slice(&[0, 0, 2, 0, 0, 0, 16, 0]);
    for left in [vec![0x5a; 8_192], [b"SQLite format 3\0".as_slice(), &[0; 8_176]].concat()] {
        fs::write(&path, &left).unwrap();
        fs::write(&journal, &head).unwrap();
        let store = open(&path);
        let id = lane(&store, "/a").await.id;
        put(&store, id, b"first").await.unwrap();
        assert_eq!(payloads(&store).await, ["first"]);
        store.close().await.unwrap();
        // A file that was not empty before is somebody's.
        fs::write(&path, &left).unwrap();
        let mut held = head.clone();
        held[19] = 2;
        fs::write(&journal, &held).unwrap();
        let _gone_with_the_first =
            (fs::remove_file(folder.path().join("queue.db-wal")), fs::remove_file(folder.path().join("queue.db-shm")));
        assert!(matches!(try_open(&path, &SqliteOptions::default()), Err(OpenError::Foreign { .. })));
        assert_eq!(fs::read(&path).unwrap(), left);
        fs::remove_file(&path).unwrap();
    }
}
