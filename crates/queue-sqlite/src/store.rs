//! The handle: puts operations in the writer's line, reads through the readers.

use std::path::Path;
use std::sync::Arc;

use hookaido_model::{Attempt, Clock, Envelope, Lane, UnixMillis};
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};
use hookaido_telemetry::{Backend, StoreMetrics};
use parking_lot::RwLock;
use tokio::sync::oneshot;

use crate::checkpoint::Checkpointer;
use crate::counters::{Counters, Published};
use crate::mailbox::{Mailbox, NotTaken};
use crate::open::{OpenError, SqliteOptions, open};
use crate::ops::{Answer, Op};
use crate::random::Random;
use crate::read::{Readers, StartError};
use crate::seqs::Seqs;
use crate::writer::{Shared, Writer, watch_log};

/// A queue in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    readers: Readers,
    counted: Published,
}

impl SqliteStore {
    /// Opens or makes the queue file and starts the threads that serve it.
    ///
    /// # Errors
    /// Why the file cannot be opened, in one line that names it.
    pub fn open(
        path: &Path,
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Arc<Self>, OpenError> {
        metrics.set_backend(Backend::Sqlite);
        let (mut connection, lock) = open(path, options)?;
        let failed = |source| OpenError::Sqlite { path: path.to_owned(), source };
        let started = |error| match error {
            StartError::Sqlite(source) => failed(source),
            StartError::Thread(source) => OpenError::Io { path: path.to_owned(), source },
        };
        let page_size: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0)).map_err(failed)?;
        let page_size = u64::try_from(page_size).unwrap_or(4096);
        let log = watch_log(&mut connection, page_size, Arc::clone(&metrics)).map_err(failed)?;
        let counters = Counters::load(&connection).map_err(failed)?;
        let counted = counters.published();
        let seqs = Seqs::load(&connection).map_err(failed)?;
        let readers = Readers::start(path, options).map_err(started)?;
        let checkpointer = Checkpointer::start(path, options, Arc::clone(&metrics), page_size + 24).map_err(started)?;
        let shared = Arc::new(Shared {
            mailbox: Mailbox::new(options.max_waiting, options.max_waiting_bytes),
            observer: RwLock::default(),
            health: RwLock::default(),
            metrics,
            clock,
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            connection,
            counters,
            seqs,
            random: Random::default(),
            checkpointer,
            probe_every: options.probe_every,
            _lock: lock,
        };
        std::thread::Builder::new()
            .name("queue-write".to_owned())
            .spawn(move || writer.run(log))
            .map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok(Arc::new(Self { shared, readers, counted }))
    }

    fn write<T: Send + 'static>(&self, op: impl FnOnce(Answer<T>) -> Op) -> StoreFuture<T> {
        let (answer, result) = oneshot::channel();
        let refused = match self.shared.mailbox.put(op(answer)) {
            Ok(()) => None,
            Err(NotTaken::Full) => Some("more waits to be written than the disk can take at present"),
            Err(NotTaken::Closed) => Some("the queue is closed"),
        };
        Box::pin(async move {
            match refused {
                Some(reason) => Err(StoreError::Unavailable(reason.into())),
                None => result.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the queue is closed".into()))),
            }
        })
    }

    fn lanes_now(&self) -> Vec<Arc<Lane>> {
        self.counted.read().iter().map(|counted| Arc::clone(&counted.lane)).collect()
    }
}

impl Store for SqliteStore {
    fn backend(&self) -> &'static str {
        "sqlite"
    }

    fn attach(&self, observer: Arc<dyn Observer>) {
        *self.shared.observer.write() = Some(observer);
    }

    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        self.write(|answer| Op::Lanes(pairs, answer))
    }

    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        self.write(|answer| Op::Enqueue(op, answer))
    }

    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        self.write(|answer| Op::Lease(op, answer))
    }

    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.write(|answer| Op::Settle(op, answer))
    }

    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.write(|answer| Op::Extend(op, answer))
    }

    fn reclaim(&self, now: UnixMillis, max: u32) -> StoreFuture<Reclaimed> {
        self.write(|answer| Op::Reclaim(now, max, answer))
    }

    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.write(|answer| Op::Transition(op, answer))
    }

    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        let lanes = self.lanes_now();
        self.readers.run(move |connection| crate::read::list::list(connection, &query, &lanes))
    }

    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        let lanes = self.lanes_now();
        self.readers.run(move |connection| crate::read::attempts::attempts(connection, &query, &lanes))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        let counted = Arc::clone(&self.counted);
        self.readers.run(move |connection| {
            let counted = counted.read().clone();
            crate::read::stats::stats(connection, counted)
        })
    }

    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.write(|answer| Op::Prune(op, answer))
    }

    fn maintain(&self) -> StoreFuture<()> {
        self.write(Op::Maintain)
    }

    fn health(&self) -> Health {
        self.shared.health.read().clone()
    }

    fn close(&self) -> StoreFuture<()> {
        self.readers.close();
        self.write(Op::Close)
    }
}

impl Drop for SqliteStore {
    /// The threads end with the handle.
    fn drop(&mut self) {
        self.readers.close();
        let (answer, _nobody_waits) = oneshot::channel();
        let _closed_already = self.shared.mailbox.put(Op::Close(answer));
    }
}
