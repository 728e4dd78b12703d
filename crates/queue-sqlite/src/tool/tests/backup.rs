//! Copies made while messages come and go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hookaido_model::State;
use hookaido_queue::store::{Settlement, Store};

use super::{MIXED, checked, end, lanes, message, mixed, open, put, quiet, take};
use crate::tool::{ToolError, backup, stats, vacuum};

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_made_under_load_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("queue.db");
    let store = open(&path);
    let made = lanes(&store, &[("/a", "pull"), ("/b", "pull"), ("/b", "other")]).await;
    let ids: Vec<_> = made.iter().map(|lane| lane.id).collect();
    for _ in 0..40 {
        put(&store, (0..100).map(|_| message(&ids[..1], &[b'x'; 2000])).collect()).await;
    }
    let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut load = tokio::task::JoinSet::new();
    {
        let (store, stop, rounds, ids) = (Arc::clone(&store), Arc::clone(&stop), Arc::clone(&rounds), ids.clone());
        load.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                put(&store, vec![message(&ids[1..], b"fan-out"), message(&ids[..1], &[b'y'; 3000])]).await;
                end(&store, &take(&store, ids[1], 1).await, Settlement::Ack).await;
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    // Every step waits until the server has committed again: a copy that begins anew with each commit would never end.
    let (to, mut seen) = (folder.path().join("copy.db"), 0);
    let from = path.clone();
    let (copied, told) = tokio::task::spawn_blocking(move || {
        let mut told = 0;
        let copied = backup(&from, &to, false, &mut |progress| {
            told += 1;
            assert!(progress.done <= progress.total);
            while rounds.load(Ordering::Relaxed) == seen {
                std::thread::yield_now();
            }
            seen = rounds.load(Ordering::Relaxed);
        });
        (copied.unwrap(), told)
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    load.join_next().await.unwrap().unwrap();

    assert!(told > 5, "{told}");
    let copy = folder.path().join("copy.db");
    assert_eq!(copied.bytes, fs::metadata(&copy).unwrap().len());
    assert!(names(folder.path()).iter().all(|name| !name.contains("part")), "{:?}", names(folder.path()));
    let found = checked(&copy);
    assert_eq!(found.problems, Vec::<String>::new());
    assert_eq!(found.messages, copied.messages);
    let figures = stats(&copy).unwrap();
    assert!(figures.total(State::Queued) >= 4000 && figures.log_bytes == 0);
    let restored = open(&copy);
    assert_eq!(take(&restored, ids[0], 5000).await.envelopes.len() as u64, figures.lanes[0].counts[0]);
    put(&restored, vec![message(&ids, b"and on")]).await;
    store.close().await.unwrap();
    assert!(checked(&path).is_sound());
}

#[tokio::test]
async fn nothing_is_overwritten_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join("queue.db"), folder.path().join("copy.db"));
    let store = mixed(&path).await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    fs::write(&to, "precious").unwrap();
    assert!(matches!(backup(&path, &to, false, &mut quiet()), Err(ToolError::Exists { .. })));
    assert!(matches!(backup(&path, &path, true, &mut quiet()), Err(ToolError::Same { .. })));
    assert_eq!(fs::read(&to).unwrap(), b"precious");
    let nowhere = backup(&path, &folder.path().join("no/such/copy.db"), false, &mut quiet()).unwrap_err();
    assert!(nowhere.to_string().ends_with("no/such does not exist"), "{nowhere}");

    assert_eq!(backup(&path, &to, true, &mut quiet()).unwrap().messages, 10);
    assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o640, "it holds the same secrets");
    for (state, count) in MIXED {
        assert_eq!(stats(&to).unwrap().total(state), count, "{state}");
    }
    store.close().await.unwrap();
    // Of a stopped queue just as well.
    backup(&path, &folder.path().join("second.db"), false, &mut quiet()).unwrap();
    assert!(checked(&folder.path().join("second.db")).is_sound());
}

#[tokio::test]
async fn a_copy_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, to) = (folder.path().join("queue.db"), folder.path().join("copy.db"));
    let store = mixed(&path).await;
    store.close().await.unwrap();
    vacuum(&path, &mut quiet()).unwrap();
    // The second half of the file is gone.
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    assert!(backup(&path, &to, false, &mut quiet()).is_err());
    assert!(names(folder.path()).iter().all(|name| !name.starts_with("copy")), "{:?}", names(folder.path()));
}
