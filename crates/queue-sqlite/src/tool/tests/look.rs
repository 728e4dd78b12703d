//! Figures of a file, and giving back its free pages.

use std::fs;

use hookaido_queue::store::{Settlement, Store};

use super::{MIXED, NOW, checked, end, lanes, message, mixed, open, put, quiet, take};
use crate::OpenError;
use crate::tool::{ToolError, check, stats, vacuum};

#[tokio::test]
async fn figures_are_those_of_the_store_running_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = mixed(&path).await;
    let running = stats(&path).unwrap();
    assert!(running.log_bytes > 0);
    store.close().await.unwrap();
    for found in [running, stats(&path).unwrap()] {
        for (state, count) in MIXED {
            assert_eq!(found.total(state), count, "{state}");
        }
        assert_eq!((found.lanes.len(), found.attempts), (3, 3));
        let next = found.lanes.iter().map(|lane| lane.next.map(|next| next.received_at)).collect::<Vec<_>>();
        assert_eq!(next, [Some(NOW), Some(NOW), Some(NOW)]);
        assert!(found.file_bytes > 0 && found.free_bytes < found.file_bytes && found.reserve_bytes > 0);
    }
}

#[tokio::test]
async fn what_is_no_queue_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let foreign = rusqlite::Connection::open(at("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(foreign);
    fs::write(
        at("text.db"),
        "no database, though long enough to be read as the head of one, a hundred bytes and some more",
    )
    .unwrap();
    fs::write(at("empty.db"), "").unwrap();
    open(&at("newer.db")).close().await.unwrap();
    rusqlite::Connection::open(at("newer.db")).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let names = || {
        let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    for name in ["foreign.db", "text.db", "empty.db"] {
        for error in [stats(&at(name)).unwrap_err(), check(&at(name), &mut quiet()).unwrap_err()] {
            assert!(matches!(error, ToolError::Open(OpenError::Foreign { .. })), "{name}: {error}");
        }
    }
    assert!(matches!(stats(&at("newer.db")).unwrap_err(), ToolError::Open(OpenError::Newer { found: 99, .. })));
    let missing = stats(&at("missing.db")).unwrap_err();
    assert!(missing.to_string().ends_with("missing.db does not exist"), "{missing}");
    assert!(matches!(vacuum(&at("missing.db"), &mut quiet()).unwrap_err(), ToolError::Missing { .. }));
    assert!(vacuum(&at("text.db"), &mut quiet()).is_err());
    let created: Vec<_> = names().into_iter().filter(|name| !before.contains(name)).collect();
    assert!(created.iter().all(|name| name.to_string_lossy().starts_with("newer.db-")), "{created:?}");
}

#[tokio::test]
async fn free_pages_are_given_back_unless_a_server_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path);
    let lane = lanes(&store, &[("/a", "pull")]).await[0].id;
    for _ in 0..20 {
        put(&store, (0..50).map(|_| message(&[lane], &[b'x'; 4000])).collect()).await;
    }
    let settled = take(&store, lane, 900).await;
    end(&store, &settled, Settlement::Ack).await;
    let delete = hookaido_queue::store::Transition {
        ids: settled.envelopes.iter().map(|envelope| envelope.id.clone()).collect(),
        step: hookaido_queue::store::Step::Delete,
        only: Vec::new(),
        now: NOW,
    };
    store.transition(delete).await.unwrap();
    let refused = vacuum(&path, &mut quiet()).unwrap_err().to_string();
    assert!(refused.contains("is in use by process") && refused.contains("stop it first"), "{refused}");
    store.close().await.unwrap();
    drop(store);

    let free = stats(&path).unwrap().free_bytes;
    assert!(free > 2 << 20, "{free}");
    let mut told = Vec::new();
    let done = vacuum(&path, &mut |progress| told.push((progress.done, progress.total))).unwrap();
    assert!(done.before >= done.after + free, "{done:?} {free}");
    assert_eq!(told.last().map(|(done, total)| done == total), Some(true), "{told:?}");
    let after = stats(&path).unwrap();
    assert_eq!((after.free_bytes, after.log_bytes), (0, 0));
    assert!(checked(&path).is_sound());
    let again = vacuum(&path, &mut quiet()).unwrap();
    assert_eq!(again.before, again.after);
    assert_eq!(take(&open(&path), lane, 1000).await.envelopes.len(), 100);
}
