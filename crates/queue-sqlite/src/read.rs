//! Reading connections on threads of their own: lists and statistics that must not wait for the writer, nor it for them.

pub(crate) mod attempts;
pub(crate) mod list;
pub(crate) mod stats;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use hookaido_queue::store::{StoreError, StoreFuture};
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::failure::told;
use crate::open::{SqliteOptions, open_reader};

/// Reads that may wait.
const MAX_WAITING: usize = 256;

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// The reading threads.
pub(crate) struct Readers {
    jobs: Mutex<Option<Sender<Job>>>,
    waiting: Arc<std::sync::atomic::AtomicUsize>,
}

impl std::fmt::Debug for Readers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readers").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Readers {
    pub(crate) fn start(path: &Path, options: &SqliteOptions) -> Result<Self, StartError> {
        let (sender, receiver) = channel();
        let receiver = Arc::new(Mutex::new(receiver));
        for number in 0..options.readers.max(1) {
            let connection = open_reader(path, options).map_err(StartError::Sqlite)?;
            let receiver = Arc::clone(&receiver);
            std::thread::Builder::new()
                .name(format!("queue-read-{number}"))
                .spawn(move || serve(&connection, &receiver))
                .map_err(StartError::Thread)?;
        }
        Ok(Self { jobs: Mutex::new(Some(sender)), waiting: Arc::default() })
    }

    /// Runs `read` on the next free connection, inside one read transaction.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        use std::sync::atomic::Ordering::SeqCst;
        let (answer, result) = oneshot::channel();
        let waiting = Arc::clone(&self.waiting);
        let job: Job = Box::new(move |connection| {
            waiting.fetch_sub(1, SeqCst);
            // Nobody waits any more: a list that was given up must not hold the others up.
            if !answer.is_closed() {
                let _receiver_left = answer.send(in_transaction(connection, read).map_err(|error| told(&error)));
            }
        });
        let full = self.waiting.fetch_add(1, SeqCst) >= MAX_WAITING;
        let sent = !full && self.jobs.lock().as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            self.waiting.fetch_sub(1, SeqCst);
            let reason = if full { "too many reads are waiting" } else { "the queue is closed" };
            return Box::pin(std::future::ready(Err(StoreError::Unavailable(reason.into()))));
        }
        Box::pin(
            async move { result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the queue is closed".into()))) },
        )
    }

    /// No new reads; the threads end when those that wait are done.
    pub(crate) fn close(&self) {
        self.jobs.lock().take();
    }
}

/// Why the readers do not start.
#[derive(Debug)]
pub(crate) enum StartError {
    Sqlite(rusqlite::Error),
    Thread(io::Error),
}

fn in_transaction<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let transaction = connection.unchecked_transaction()?;
    let result = read(connection);
    transaction.finish()?;
    result
}

fn serve(connection: &Connection, jobs: &Mutex<Receiver<Job>>) {
    loop {
        let job = jobs.lock().recv();
        match job {
            Ok(job) => job(connection),
            Err(_) => return,
        }
    }
}
