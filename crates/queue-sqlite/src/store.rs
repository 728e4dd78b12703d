//! The handle: turns each call of [`Store`] into an operation for the writer or for a reader.

use std::path::Path;
use std::sync::Arc;

use hookaido_model::{Attempt, Clock, Envelope, Lane, UnixMillis};
use hookaido_queue::store::{
    AttemptQuery, Enqueue, Enqueued, ExtendBatch, Health, Lease, LeaseLost, Leased, ListQuery, Observer, Prune, Pruned,
    Reclaim, Reclaimed, SettleBatch, Settled, Stats, Store, StoreError, StoreFuture, Transition, Transitioned,
};
use hookaido_telemetry::{Backend, StoreMetrics};
use tokio::sync::oneshot;

use crate::answer::{Answer, LeaseAnswer};
use crate::checkpoint::Checkpointer;
use crate::file::QueueFile;
use crate::inbox::{Job, Op};
use crate::lanes::Lanes;
use crate::reader::{self, ReadQueue, Readers};
use crate::shared::Shared;
use crate::writer::Writer;
use crate::{OpenError, SqliteOptions};

/// The queue of one node, in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    reads: Arc<ReadQueue>,
}

impl SqliteStore {
    /// Opens the queue file at `path`, creating it and its folders as needed. Beside it lie `-wal`, `-shm`, `.lock` and
    /// `.reserve` files of the same name.
    ///
    /// Dropping the store ends its threads after what waits is done; [`Store::close`] also tells when that has happened.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is changed then.
    pub fn open(
        path: &Path,
        options: &SqliteOptions,
        clock: Arc<dyn Clock>,
        metrics: Arc<StoreMetrics>,
    ) -> Result<Arc<Self>, OpenError> {
        // Every operation brings the present with it.
        drop(clock);
        let (file, conn) = QueueFile::open(path, *options)?;
        let sqlite = |source| OpenError::Sqlite { file: path.to_owned(), source };
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let lanes = Lanes::load(&conn).map_err(sqlite)?;
        let connections: Result<Vec<_>, _> = (0..options.readers.max(1)).map(|_| file.connect_reader()).collect();
        let connections = connections.map_err(sqlite)?;
        let beside = file.connect_checkpointer().map_err(sqlite)?;
        metrics.set_backend(Backend::Sqlite);

        let reads = Arc::new(ReadQueue::default());
        let readers = Readers::start(&reads, connections).map_err(io)?;
        let checkpointer = Checkpointer::start(beside, Arc::clone(&metrics));
        let shared = Arc::new(Shared::new(*options, file, lanes, metrics));
        let writer = Writer::load(Arc::clone(&shared), &conn, checkpointer, readers).map_err(sqlite)?;
        let thread = std::thread::Builder::new().name("queue-writer".into());
        thread.spawn(move || writer.run(conn)).map_err(io)?;
        Ok(Arc::new(Self { shared, reads }))
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Hands an operation to the writer.
    pub(crate) fn send<I, O: Send + 'static>(&self, input: I, op: fn(Job<I, O>) -> Op) -> StoreFuture<O> {
        match self.submit(input, op) {
            Ok(answer) => Box::pin(answer),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn submit<I, O>(&self, input: I, op: fn(Job<I, O>) -> Op) -> Result<Answer<O>, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.push(op(Job { input, outcome: None, reply }))?;
        Ok(Answer(answer))
    }

    fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&rusqlite::Connection, &Lanes) -> rusqlite::Result<T> + Send + 'static,
    ) -> StoreFuture<T> {
        let shared = Arc::clone(&self.shared);
        let asked = self.reads.ask(&self.shared.metrics, move |conn| work(conn, &shared.lanes));
        match asked {
            Ok(answer) => Box::pin(Answer(answer)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.inbox.close();
    }
}

impl Store for SqliteStore {
    fn backend(&self) -> &'static str {
        Backend::Sqlite.as_str()
    }

    fn attach(&self, observer: Arc<dyn Observer>) {
        self.shared.attach(observer);
    }

    fn lanes(&self, pairs: Vec<(Arc<str>, Arc<str>)>) -> StoreFuture<Vec<Arc<Lane>>> {
        let known: Option<Vec<_>> =
            pairs.iter().map(|pair| self.shared.lanes.find(pair).map(|entry| Arc::clone(&entry.lane))).collect();
        match known {
            Some(lanes) => Box::pin(std::future::ready(Ok(lanes))),
            None => self.send(pairs, Op::Lanes),
        }
    }

    fn enqueue(&self, op: Enqueue) -> StoreFuture<Enqueued> {
        match self.submit(op, Op::Enqueue) {
            Ok(answer) => Box::pin(async move { answer.await.map(|stored| stored.done) }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn lease(&self, op: Lease) -> StoreFuture<Leased> {
        match self.submit(op, Op::Lease) {
            Ok(answer) => Box::pin(LeaseAnswer { answer, shared: Arc::clone(&self.shared) }),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn settle(&self, op: SettleBatch) -> StoreFuture<Vec<Result<Settled, LeaseLost>>> {
        self.send(op, Op::Settle)
    }

    fn extend(&self, op: ExtendBatch) -> StoreFuture<Vec<Result<UnixMillis, LeaseLost>>> {
        self.send(op, Op::Extend)
    }

    fn reclaim(&self, op: Reclaim) -> StoreFuture<Reclaimed> {
        self.send(op, Op::Reclaim)
    }

    fn transition(&self, op: Transition) -> StoreFuture<Transitioned> {
        self.send(op, Op::Transition)
    }

    fn list(&self, query: ListQuery) -> StoreFuture<Vec<Envelope>> {
        self.read(move |conn, lanes| reader::list(conn, lanes, &query))
    }

    fn attempts(&self, query: AttemptQuery) -> StoreFuture<Vec<Attempt>> {
        self.read(move |conn, lanes| reader::attempts(conn, lanes, &query))
    }

    fn stats(&self) -> StoreFuture<Stats> {
        self.read(reader::stats)
    }

    fn prune(&self, op: Prune) -> StoreFuture<Pruned> {
        self.send(op, Op::Prune)
    }

    fn maintain(&self) -> StoreFuture<()> {
        self.send((), Op::Maintain)
    }

    fn health(&self) -> Health {
        self.shared.health()
    }

    fn close(&self) -> StoreFuture<()> {
        let answer = self.send((), Op::Close);
        // Nothing comes after it; the writer answers once the files are closed.
        self.shared.inbox.close();
        answer
    }
}
