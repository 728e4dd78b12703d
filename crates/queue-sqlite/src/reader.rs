//! Reader threads: lists, attempts and statistics, each question in a short read transaction of its own.
//!
//! They never change anything and never hold the log for long: a question is one or a few statements, and the file is let go of
//! before the answer is sent.

mod attempts;
mod bundles;
mod list;
mod stats;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use hookaido_queue::store::StoreError;
use hookaido_telemetry::{StoreMetrics, StoreOp};
use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::fault;
use crate::inbox::closed;

pub(crate) use attempts::attempts;
pub(crate) use list::list;
pub(crate) use stats::stats;

/// Questions that may wait; more are refused.
const MAX_WAITING: usize = 1024;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// Questions on their way to a reader.
#[derive(Default)]
pub(crate) struct ReadQueue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    questions: VecDeque<Question>,
    closed: bool,
}

impl fmt::Debug for ReadQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadQueue").field("waiting", &self.waiting.lock().questions.len()).finish()
    }
}

/// The threads.
#[derive(Debug)]
pub(crate) struct Readers {
    queue: Arc<ReadQueue>,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    /// Starts a thread for each connection.
    pub(crate) fn start(queue: &Arc<ReadQueue>, connections: Vec<Connection>) -> std::io::Result<Self> {
        let mut threads = Vec::with_capacity(connections.len());
        for conn in connections {
            let queue = Arc::clone(queue);
            let thread = std::thread::Builder::new().name("queue-reader".into());
            threads.push(thread.spawn(move || queue.serve(&conn))?);
        }
        Ok(Self { queue: Arc::clone(queue), threads })
    }

    /// Ends the threads once they have answered what waits, and waits for them.
    pub(crate) fn stop(&mut self) {
        self.queue.waiting.lock().closed = true;
        self.queue.arrived.notify_all();
        for thread in self.threads.drain(..) {
            let _panicked = thread.join();
        }
    }
}

impl ReadQueue {
    /// Has `work` done by a reader.
    pub(crate) fn ask<T: Send + 'static>(
        &self,
        metrics: &Arc<StoreMetrics>,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T, StoreError>>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let metrics = Arc::clone(metrics);
        let question: Question = Box::new(move |conn| {
            if reply.is_closed() {
                return;
            }
            let begun = Instant::now();
            let done = work(conn);
            metrics.operation(StoreOp::Read, begun.elapsed());
            let _caller_left = reply.send(done.map_err(|error| {
                metrics.error(StoreOp::Read, fault::kind(&error));
                tracing::error!(target: "hookaido", error = %error, "queue_read_failed");
                fault::read_error(&error)
            }));
        });
        let mut waiting = self.waiting.lock();
        if waiting.closed {
            return Err(closed());
        }
        if waiting.questions.len() >= MAX_WAITING {
            return Err(StoreError::Unavailable(Arc::from("too many lists are being made")));
        }
        waiting.questions.push_back(question);
        drop(waiting);
        self.arrived.notify_one();
        Ok(answer)
    }

    fn serve(&self, conn: &Connection) {
        loop {
            let question = {
                let mut waiting = self.waiting.lock();
                loop {
                    if let Some(question) = waiting.questions.pop_front() {
                        break question;
                    }
                    if waiting.closed {
                        return;
                    }
                    self.arrived.wait(&mut waiting);
                }
            };
            question(conn);
        }
    }
}
