//! Conclusions on their way into the store: everything that has come together since the last transaction goes into the next.
//!
//! One transaction of a route is under way at a time, so batches grow by themselves under load and a lone conclusion waits for nobody.
//! A store that cannot be written is asked again for as long as the leases last.

use std::pin::Pin;
use std::sync::Arc;

use hookaido_queue::store::{LeaseLost, Settled, StoreError};

use super::{Context, pause};
use crate::conclusion::Conclusion;

type Answers = Result<Vec<Result<Settled, LeaseLost>>, StoreError>;

/// Conclusions that are not stored yet.
pub(super) struct Settling {
    context: Arc<Context>,
    pending: Vec<Conclusion>,
    under_way: Vec<Conclusion>,
    transaction: Option<Pin<Box<dyn Future<Output = Answers> + Send>>>,
    failures: u32,
}

impl Settling {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context, pending: Vec::new(), under_way: Vec::new(), transaction: None, failures: 0 }
    }

    /// Takes conclusions in.
    pub(super) fn extend(&mut self, conclusions: impl IntoIterator<Item = Conclusion>) {
        self.pending.extend(conclusions);
    }

    /// How many are not stored yet.
    pub(super) fn waiting(&self) -> usize {
        self.pending.len() + self.under_way.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting() == 0
    }

    /// Starts a transaction if none is under way and there is something to store.
    pub(super) fn start(&mut self) {
        if self.transaction.is_some() || self.pending.is_empty() {
            return;
        }
        self.under_way = std::mem::take(&mut self.pending);
        let settles = self.under_way.iter().map(Conclusion::settle).collect();
        let attempts = self.under_way.iter().filter_map(Conclusion::attempt).collect();
        let (context, failures) = (Arc::clone(&self.context), self.failures);
        self.transaction = Some(Box::pin(async move {
            let answers = context.queue.settle_all(settles, attempts).await;
            if let Err(error) = &answers {
                if failures == 0 {
                    tracing::error!(target: "hookaido", error = %error, "delivery_settle_failed");
                }
                // not after the process's last moment: what is not stored then is delivered again
                context.cut_off.run_until_cancelled(tokio::time::sleep(pause(failures))).await;
            }
            answers
        }));
    }

    /// Ready when a transaction has ended and its answers are dealt with; never, while none is under way.
    pub(super) async fn finished(&mut self) {
        let Some(transaction) = &mut self.transaction else { return std::future::pending().await };
        let answers = transaction.await;
        self.transaction = None;
        let conclusions = std::mem::take(&mut self.under_way);
        let metrics = &self.context.metrics.delivery;
        match answers {
            Ok(answers) => {
                self.failures = 0;
                for (conclusion, answer) in conclusions.iter().zip(answers) {
                    conclusion.report(answer.map(|_settled| ()), metrics);
                }
            }
            Err(_logged) => {
                self.failures = self.failures.saturating_add(1);
                self.keep(conclusions);
            }
        }
    }

    /// Back in front of the line, but for those whose lease is over: they will be delivered again.
    fn keep(&mut self, conclusions: Vec<Conclusion>) {
        let now = self.context.clock().now();
        let last_moment = self.context.cut_off.is_cancelled();
        let (held, over): (Vec<_>, Vec<_>) =
            conclusions.into_iter().partition(|conclusion| conclusion.lease_until > now && !last_moment);
        for conclusion in over {
            conclusion.report(Err(LeaseLost::Expired), &self.context.metrics.delivery);
        }
        let newer = std::mem::replace(&mut self.pending, held);
        self.pending.extend(newer);
    }
}
