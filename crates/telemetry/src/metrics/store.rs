//! `hookaido_store_*`: families every backend has, and those of one backend.
//!
//! Series appear when a store says which backend it is; those of another backend stay absent.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{Gauge, Histogram};
use parking_lot::Mutex;

use super::cell::{Count, Family, Registry, family, to_f64};

const OPERATION_SECONDS: Family =
    family("hookaido_store_operation_seconds", "Time of store operations, by backend and operation.");
const OPERATION_TOTAL: Family = family("hookaido_store_operation_total", "Store operations, by backend and operation.");
const ERRORS: Family =
    family("hookaido_store_errors_total", "Failed store operations, by backend, operation and kind.");
const WRITE_SECONDS: Family =
    family("hookaido_store_sqlite_write_seconds", "Time of SQLite transactions that changed the queue.");
const DEQUEUE_SECONDS: Family =
    family("hookaido_store_sqlite_dequeue_seconds", "Time of SQLite transactions that leased.");
const CHECKPOINT_SECONDS: Family = family("hookaido_store_sqlite_checkpoint_seconds", "Time of SQLite checkpoints.");
const BUSY: Family = family("hookaido_store_sqlite_busy_total", "SQLite answers that the file is busy or locked.");
const RETRY: Family =
    family("hookaido_store_sqlite_retry_total", "SQLite transactions begun again after a busy answer.");
const COMMIT: Family = family("hookaido_store_sqlite_tx_commit_total", "SQLite transactions committed.");
const ROLLBACK: Family = family("hookaido_store_sqlite_tx_rollback_total", "SQLite transactions rolled back.");
const CHECKPOINT: Family = family("hookaido_store_sqlite_checkpoint_total", "SQLite checkpoints done.");
const CHECKPOINT_ERRORS: Family =
    family("hookaido_store_sqlite_checkpoint_errors_total", "SQLite checkpoints that failed.");
const WAL_BYTES: Family = family("hookaido_store_sqlite_wal_bytes_total", "Bytes appended to the write-ahead log.");
const MEMORY_ITEMS: Family = family("hookaido_store_memory_items", "Messages in memory, by state.");
const MEMORY_BYTES: Family = family("hookaido_store_memory_retained_bytes", "Estimated bytes in memory, by state.");
const MEMORY_BYTES_TOTAL: Family =
    family("hookaido_store_memory_retained_bytes_total", "Estimated bytes in memory, over all states.");
const EVICTIONS: Family =
    family("hookaido_store_memory_evictions_total", "Messages removed from memory to make room, by reason.");

/// States as the memory families list them.
const STATES: [&str; 4] = ["queued", "leased", "delivered", "dead"];

/// Which backend the store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// `sqlite`.
    Sqlite,
    /// `memory`.
    Memory,
    /// `postgres`.
    Postgres,
}

impl Backend {
    /// The word used in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Memory => "memory",
            Self::Postgres => "postgres",
        }
    }
}

/// What a store did. Label `operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreOp {
    /// A transaction that changed the queue: enqueue, settle, extend, transition, prune, or a batch of them.
    WriteTx = 0,
    /// A transaction that leased and did nothing else.
    DequeueTx = 1,
    /// Messages were stored.
    Enqueue = 2,
    /// Leases were ended.
    Settle = 3,
    /// A checkpoint.
    Checkpoint = 4,
    /// A read: list, attempts, stats.
    Read = 5,
    /// A transaction begun again after a busy answer.
    Retry = 6,
    /// A commit.
    TxCommit = 7,
    /// A roll-back.
    TxRollback = 8,
    /// The beginning of a transaction.
    BeginTx = 9,
    /// Messages refused for want of room.
    EnqueueReject = 10,
    /// Messages removed to make room.
    Evict = 11,
    /// Retention.
    Prune = 12,
}

const OPS: [&str; 13] = [
    "write_tx",
    "dequeue_tx",
    "enqueue",
    "settle",
    "checkpoint",
    "read",
    "retry",
    "tx_commit",
    "tx_rollback",
    "begin_tx",
    "enqueue_reject",
    "evict",
    "prune",
];

impl StoreOp {
    /// The word used in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        OPS.get(self as usize).copied().unwrap_or("other")
    }
}

/// Why an operation failed. Label `kind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Locked by somebody else.
    Busy,
    /// No space left.
    DiskFull,
    /// Reading or writing the file failed.
    Io,
    /// What is stored contradicts itself.
    Corrupt,
    /// The memory store protects itself.
    MemoryPressure,
    /// Anything else.
    Error,
}

impl ErrorKind {
    /// The word used in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::DiskFull => "disk_full",
            Self::Io => "io",
            Self::Corrupt => "corrupt",
            Self::MemoryPressure => "memory_pressure",
            Self::Error => "error",
        }
    }
}

/// What the store did.
#[derive(Debug)]
pub struct StoreMetrics {
    registry: Arc<Registry>,
    backend: OnceLock<Backend>,
    totals: [Total; 13],
    errors: Mutex<Vec<(StoreOp, ErrorKind, Count)>>,
    sqlite: OnceLock<Sqlite>,
    memory: OnceLock<Memory>,
}

/// Total and durations of one operation; exported with its first use.
#[derive(Default)]
struct Total {
    count: OnceLock<Count>,
    seconds: OnceLock<Histogram>,
}

impl fmt::Debug for Total {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Total").field("count", &self.count).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Sqlite {
    write: Histogram,
    dequeue: Histogram,
    checkpoint: Histogram,
    busy: Count,
    retry: Count,
    commit: Count,
    rollback: Count,
    checkpoints: Count,
    checkpoint_errors: Count,
    wal_bytes: Count,
}

#[derive(Debug)]
struct Memory {
    items: [Gauge; 4],
    bytes: [Gauge; 4],
    bytes_total: Gauge,
    evictions: Mutex<Vec<(&'static str, Count)>>,
    values: Mutex<([u64; 4], [u64; 4])>,
}

/// Values at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Totals of every operation that happened.
    pub operations: Vec<(&'static str, u64)>,
    /// Errors by operation and kind.
    pub errors: Vec<(&'static str, &'static str, u64)>,
    /// Messages in memory by state (memory backend).
    pub memory_items: Vec<(&'static str, u64)>,
    /// Bytes in memory by state (memory backend).
    pub memory_bytes: Vec<(&'static str, u64)>,
    /// Evictions by reason (memory backend).
    pub memory_evictions: Vec<(&'static str, u64)>,
}

impl StoreMetrics {
    pub(crate) fn new(registry: &Arc<Registry>) -> Self {
        Self {
            registry: Arc::clone(registry),
            backend: OnceLock::new(),
            totals: Default::default(),
            errors: Mutex::default(),
            sqlite: OnceLock::new(),
            memory: OnceLock::new(),
        }
    }

    /// Says which backend this is; its families appear at zero. The first call counts.
    pub fn set_backend(&self, backend: Backend) {
        if self.backend.set(backend).is_err() {
            return;
        }
        match backend {
            Backend::Sqlite => {
                self.sqlite.get_or_init(|| Sqlite::new(&self.registry));
                for op in [StoreOp::Checkpoint, StoreOp::Retry, StoreOp::TxCommit, StoreOp::TxRollback] {
                    self.count(op, 0);
                }
                self.count_error(StoreOp::BeginTx, ErrorKind::Busy, 0);
                self.count_error(StoreOp::Checkpoint, ErrorKind::Error, 0);
            }
            Backend::Memory => {
                self.memory.get_or_init(|| Memory::new(&self.registry));
                for op in [StoreOp::EnqueueReject, StoreOp::Evict] {
                    self.count(op, 0);
                }
                self.count_error(StoreOp::Enqueue, ErrorKind::MemoryPressure, 0);
            }
            Backend::Postgres => {}
        }
    }

    /// An operation took `took`. With the SQLite backend, [`StoreOp::WriteTx`], [`StoreOp::DequeueTx`] and [`StoreOp::Checkpoint`]
    /// feed its own families too; a checkpoint counts as one that succeeded.
    pub fn operation(&self, op: StoreOp, took: Duration) {
        let seconds = took.as_secs_f64();
        if let Some(total) = self.totals.get(op as usize) {
            let labels = [("backend", self.backend_word()), ("operation", op.as_str())];
            total.seconds.get_or_init(|| self.registry.seconds(OPERATION_SECONDS, &labels)).record(seconds);
        }
        let Some(sqlite) = self.sqlite.get() else { return };
        match op {
            StoreOp::WriteTx => sqlite.write.record(seconds),
            StoreOp::DequeueTx => sqlite.dequeue.record(seconds),
            StoreOp::Checkpoint => {
                sqlite.checkpoint.record(seconds);
                sqlite.checkpoints.add(1);
                self.count(StoreOp::Checkpoint, 1);
            }
            _ => {}
        }
    }

    /// Counts operations that are not timed: [`StoreOp::TxCommit`], [`StoreOp::TxRollback`], [`StoreOp::Retry`] and so on.
    pub fn count(&self, op: StoreOp, n: u64) {
        if let Some(total) = self.totals.get(op as usize) {
            let labels = [("backend", self.backend_word()), ("operation", op.as_str())];
            total.count.get_or_init(|| self.registry.count(OPERATION_TOTAL, &labels)).add(n);
        }
        let Some(sqlite) = self.sqlite.get() else { return };
        match op {
            StoreOp::TxCommit => sqlite.commit.add(n),
            StoreOp::TxRollback => sqlite.rollback.add(n),
            StoreOp::Retry => sqlite.retry.add(n),
            _ => {}
        }
    }

    /// Bytes were appended to the write-ahead log of SQLite.
    pub fn wal_appended(&self, bytes: u64) {
        if let Some(sqlite) = self.sqlite.get() {
            sqlite.wal_bytes.add(bytes);
        }
    }

    /// An operation failed.
    pub fn error(&self, op: StoreOp, kind: ErrorKind) {
        self.count_error(op, kind, 1);
        let Some(sqlite) = self.sqlite.get() else { return };
        if kind == ErrorKind::Busy {
            sqlite.busy.add(1);
        }
        if op == StoreOp::Checkpoint {
            sqlite.checkpoint_errors.add(1);
        }
    }

    /// Messages were removed from memory to make room or by retention; `reason` is a word of the code, such as `drop_oldest`.
    pub fn evicted(&self, reason: &'static str, n: u64) {
        self.count(StoreOp::Evict, n);
        let Some(memory) = self.memory.get() else { return };
        let mut evictions = memory.evictions.lock();
        if let Some((_, count)) = evictions.iter().find(|(known, _)| *known == reason) {
            count.add(n);
        } else {
            let count = self.registry.count(EVICTIONS, &[("reason", reason)]);
            count.add(n);
            evictions.push((reason, count));
        }
    }

    /// Messages and estimated bytes in memory, each as queued, leased, delivered, dead.
    pub fn set_memory(&self, items: [u64; 4], bytes: [u64; 4]) {
        let Some(memory) = self.memory.get() else { return };
        for (gauge, value) in memory.items.iter().zip(items).chain(memory.bytes.iter().zip(bytes)) {
            gauge.set(to_f64(value));
        }
        memory.bytes_total.set(to_f64(bytes.iter().sum()));
        *memory.values.lock() = (items, bytes);
    }

    /// The present values.
    #[must_use]
    pub fn snapshot(&self) -> StoreCounts {
        let mut counts = StoreCounts::default();
        for (name, total) in OPS.into_iter().zip(&self.totals) {
            counts.operations.extend(total.count.get().map(|count| (name, count.get())));
        }
        for (op, kind, count) in self.errors.lock().iter() {
            counts.errors.push((op.as_str(), kind.as_str(), count.get()));
        }
        if let Some(memory) = self.memory.get() {
            let (items, bytes) = *memory.values.lock();
            counts.memory_items = STATES.into_iter().zip(items).collect();
            counts.memory_bytes = STATES.into_iter().zip(bytes).collect();
            let evictions = memory.evictions.lock();
            counts.memory_evictions = evictions.iter().map(|(reason, count)| (*reason, count.get())).collect();
        }
        counts
    }

    fn backend_word(&self) -> &'static str {
        self.backend.get().map_or("unknown", |backend| backend.as_str())
    }

    fn count_error(&self, op: StoreOp, kind: ErrorKind, n: u64) {
        let mut errors = self.errors.lock();
        if let Some((_, _, count)) = errors.iter().find(|known| (known.0, known.1) == (op, kind)) {
            count.add(n);
            return;
        }
        let labels = [("backend", self.backend_word()), ("operation", op.as_str()), ("kind", kind.as_str())];
        let count = self.registry.count(ERRORS, &labels);
        count.add(n);
        errors.push((op, kind, count));
    }
}

impl Sqlite {
    fn new(registry: &Registry) -> Self {
        Self {
            write: registry.seconds(WRITE_SECONDS, &[]),
            dequeue: registry.seconds(DEQUEUE_SECONDS, &[]),
            checkpoint: registry.seconds(CHECKPOINT_SECONDS, &[]),
            busy: registry.count(BUSY, &[]),
            retry: registry.count(RETRY, &[]),
            commit: registry.count(COMMIT, &[]),
            rollback: registry.count(ROLLBACK, &[]),
            checkpoints: registry.count(CHECKPOINT, &[]),
            checkpoint_errors: registry.count(CHECKPOINT_ERRORS, &[]),
            wal_bytes: registry.count(WAL_BYTES, &[]),
        }
    }
}

impl Memory {
    fn new(registry: &Registry) -> Self {
        Self {
            items: STATES.map(|state| registry.gauge(MEMORY_ITEMS, &[("state", state)])),
            bytes: STATES.map(|state| registry.gauge(MEMORY_BYTES, &[("state", state)])),
            bytes_total: registry.gauge(MEMORY_BYTES_TOTAL, &[]),
            evictions: Mutex::default(),
            values: Mutex::default(),
        }
    }
}
