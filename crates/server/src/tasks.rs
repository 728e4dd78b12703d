//! Tasks that live as long as the process, and what happens should one of them break.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;

/// Time before a task that broke runs again, so that one which breaks at once does not fill the log.
const PAUSE: Duration = Duration::from_secs(1);

impl App {
    /// Runs what `task` makes until it ends by itself, and again should it ever break.
    pub(crate) fn keep_running<F>(
        &self,
        name: &'static str,
        stop: &CancellationToken,
        task: impl Fn() -> F + Send + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(keep(name, self.tasks.clone(), stop.clone(), task));
    }
}

async fn keep<F>(name: &'static str, tasks: TaskTracker, stop: CancellationToken, task: impl Fn() -> F + Send)
where
    F: Future<Output = ()> + Send + 'static,
{
    while let Err(error) = tasks.spawn(task()).await {
        tracing::error!(target: "hookaido", task = name, err = %error, "task_failed");
        if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
            return;
        }
    }
}

/// Runs a task that cannot run again. Should it break, the log says so.
pub(crate) async fn noticed<T: Send + 'static>(
    name: &'static str,
    tasks: TaskTracker,
    task: impl Future<Output = T> + Send + 'static,
) {
    if let Err(error) = tasks.spawn(task).await {
        tracing::error!(target: "hookaido", task = name, err = %error, "task_failed");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Counts how often it runs, and breaks as often as told.
    async fn counted(count: Arc<AtomicU32>, breaks: u32) {
        assert!(count.fetch_add(1, Ordering::Relaxed) >= breaks, "broken on purpose");
        tokio::task::yield_now().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_breaks_runs_again_until_it_ends() {
        let count = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&count);
        keep("test", TaskTracker::new(), CancellationToken::new(), move || counted(Arc::clone(&counter), 3)).await;
        assert_eq!(count.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_always_breaks_ends_with_the_process() {
        let (count, stop) = (Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let counter = Arc::clone(&count);
        let task = move || counted(Arc::clone(&counter), u32::MAX);
        let kept = TaskTracker::new().spawn(keep("test", TaskTracker::new(), stop.clone(), task));
        tokio::time::sleep(PAUSE * 3).await;
        stop.cancel();
        kept.await.unwrap();
        assert!(count.load(Ordering::Relaxed) >= 3);
    }
}
