//! A sound file passes; every kind of damage is told.

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use hookaido_queue::store::Store;

use super::{checked, mixed, open, quiet};
use crate::tool::{check, vacuum};

#[tokio::test]
async fn a_sound_file_passes_running_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = mixed(&path).await;
    let running = checked(&path);
    store.close().await.unwrap();
    for found in [running, checked(&path)] {
        assert_eq!(found.problems, Vec::<String>::new());
        assert_eq!((found.messages, found.lanes, found.attempts), (10, 3, 3));
    }
    open(&folder.path().join("empty.db")).close().await.unwrap();
    assert!(checked(&folder.path().join("empty.db")).is_sound());
}

#[tokio::test]
async fn every_kind_of_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = mixed(&path).await;
    store.close().await.unwrap();
    drop(store);
    let sound = fs::read(&path).unwrap();
    for (damage, told) in [
        ("UPDATE tally SET queued = queued + 1 WHERE lane = 1", "messages are queued, the tally says"),
        ("DELETE FROM tally WHERE lane = 3", "the tally says 0"),
        ("DELETE FROM lane WHERE id = 3", "belong to the lane 3, which does not exist"),
        ("DELETE FROM lane WHERE id = 1", "not numbered from 1"),
        ("DELETE FROM content WHERE id = (SELECT seq FROM message WHERE given_id IS NOT NULL)", "has no content"),
        ("INSERT INTO content VALUES (7, x'', x'', x'')", "contents are stored"),
        (
            "UPDATE content SET payload = x'00' WHERE id = (SELECT seq FROM message WHERE given_id IS NOT NULL)",
            "the wrong size on record",
        ),
        ("DELETE FROM shared_content", "shares a content that is not counted"),
        ("UPDATE shared_content SET refs = refs + 1", "is said to be shared by 1 messages more"),
        ("INSERT INTO shared_content VALUES (9, 2)", "shared contents are stored"),
        ("UPDATE message SET state = 7 WHERE state = 0", "in state 7, which does not exist"),
        ("UPDATE message SET token = NULL WHERE state = 1", "its lease says otherwise"),
        ("UPDATE message SET ended_at = NULL WHERE state = 3", "the time of its end says otherwise"),
        ("UPDATE bundle SET taken = taken - 1 WHERE taken > 0", "does not hold what it says"),
        ("UPDATE bundle SET taken = count WHERE taken > 0", "6 messages, 6 of them taken"),
        ("UPDATE bundle SET lane = 9", "belong to the lane 9"),
        ("DELETE FROM content WHERE id IN (SELECT seq FROM bundle)", "has no content"),
        ("UPDATE message SET part = part + 1 WHERE part IS NOT NULL", "is not where its bundle should have it"),
        ("DELETE FROM attempt WHERE id = 2", "have gaps"),
        ("UPDATE attempt SET lane = 77", "3 attempts belong to lanes that do not exist"),
    ] {
        let conn = rusqlite::Connection::open(&path).unwrap();
        conn.execute_batch(damage).unwrap();
        drop(conn);
        let found = checked(&path);
        assert!(found.problems.iter().any(|problem| problem.contains(told)), "{damage}: {:?}", found.problems);
        fs::write(&path, &sound).unwrap();
        assert!(checked(&path).is_sound());
    }
}

#[tokio::test]
async fn an_index_that_disagrees_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    mixed(&path).await.close().await.unwrap();
    let conn = rusqlite::Connection::open(&path).unwrap();
    // The rows of a partial index follow its condition; rows that it no longer covers are as bad as rows it misses.
    conn.execute_batch(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'state = 0', 'state = 2') WHERE name = 'message_ready';",
    )
    .unwrap();
    drop(conn);
    let found = checked(&path);
    assert!(found.problems.iter().any(|problem| problem.contains("message_ready")), "{:?}", found.problems);
}

#[tokio::test]
async fn torn_pages_are_told_wherever_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = mixed(&path).await;
    store.close().await.unwrap();
    drop(store);
    // Without a log, whose pages would count for more than those of the file.
    vacuum(&path, &mut quiet()).unwrap();
    let sound = fs::read(&path).unwrap();
    let pages = u64::try_from(sound.len()).unwrap() / 4096;
    let mut told = 0;
    for page in 1..pages {
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(page * 4096)).unwrap();
        file.write_all(&[0xa5; 4096]).unwrap();
        drop(file);
        told += u64::from(check(&path, &mut quiet()).map_or(true, |found| !found.is_sound()));
        fs::write(&path, &sound).unwrap();
    }
    // Bytes of a payload are nobody's business but the reader's; everything else is noticed.
    let payloads = 6 * 5000 / 4096 + 4;
    assert!(told + payloads >= pages - 1, "{told} of {pages}");
}
