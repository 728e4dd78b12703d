//! Runtime secrets in a running process: where they are kept, how long past their end, and who removes them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hookaido_auth::RuntimeSecrets;
use hookaido_auth::runtime::{KEY_VARIABLE, PREVIOUS_KEY_VARIABLE};
use hookaido_config::{Environment, ProcessEnvironment};
use hookaido_model::Clock;
use hookaido_model::config::{Config, HmacScheme, IngressAuth};
use hookaido_telemetry::Metrics;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::generation::Generation;

/// Time between two sweeps.
const EVERY: Duration = Duration::from_secs(300);
/// What providers' requests may be late by; the least that a version is kept past its end.
const LATE: Duration = Duration::from_secs(300);

/// The pools of a process, sealed by the key of its environment.
pub(crate) fn runtime(environment: &ProcessEnvironment, file: Option<PathBuf>) -> RuntimeSecrets {
    let (key, previous) = (environment.var(KEY_VARIABLE), environment.var(PREVIOUS_KEY_VARIABLE));
    RuntimeSecrets::new(key.as_deref(), previous.as_deref(), file)
}

impl App {
    /// Lets the pools of a generation take over, so that they can be filled as soon as it is served.
    pub(crate) fn adopt_secrets(&self, generation: &mut Generation, config: &Config) {
        let Some(secrets) = generation.secrets.take() else { return };
        if secrets.has_runtime_pools() && !self.runtime_secrets.is_durable() {
            let reason = "this queue backend keeps nothing; secrets that are added end with the process";
            tracing::warn!(target: "hookaido", reason, "runtime_secrets_memory_only");
        }
        self.runtime_secrets.commit(secrets, longest_delay(config));
    }
}

/// How late a request may come that was signed while a version counted.
fn longest_delay(config: &Config) -> Duration {
    let tolerances = config.routes.iter().filter_map(|route| match &route.auth {
        IngressAuth::Hmac(hmac) => match &hmac.scheme {
            HmacScheme::Canonical { tolerance, .. } => Some(*tolerance),
            HmacScheme::Github | HmacScheme::Gitea | HmacScheme::Stripe | HmacScheme::Cituro => None,
        },
        IngressAuth::None | IngressAuth::Basic(_) | IngressAuth::Forward(_) => None,
    });
    tolerances.fold(LATE, Duration::max)
}

impl App {
    /// Removes ended versions for as long as the process lives.
    pub(crate) fn spawn_sweep(&self) {
        let (secrets, metrics) = (Arc::clone(&self.runtime_secrets), Arc::clone(&self.metrics));
        let (clock, stop, tasks) = (Arc::clone(&self.clock), self.upkeep.clone(), self.tasks.clone());
        self.keep_running("secrets_sweep", &self.upkeep, move || {
            let kept = (Arc::clone(&secrets), Arc::clone(&metrics));
            sweep(kept, Arc::clone(&clock), stop.clone(), tasks.clone())
        });
    }
}

/// Removes ended versions, at once and then again and again, until `stop`.
async fn sweep(
    (secrets, metrics): (Arc<RuntimeSecrets>, Arc<Metrics>),
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    tasks: TaskTracker,
) {
    let mut ticks = tokio::time::interval(EVERY);
    let mut trigger = "startup";
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let (sweeping, now) = (Arc::clone(&secrets), clock.now());
        match tasks.spawn_blocking(move || sweeping.sweep(now)).await {
            Ok(Ok(removed)) => {
                for (pool, removed) in removed {
                    metrics.secrets_pruned(&pool, removed as u64);
                    tracing::info!(target: "hookaido", pool = &*pool, removed, trigger, "secret_gc_pruned");
                }
            }
            Ok(Err(error)) => tracing::warn!(target: "hookaido", err = %error, "secret_gc_failed"),
            // The runtime is going away.
            Err(_ended) => return,
        }
        trigger = "interval";
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_kept_for_the_longest_tolerance() {
        let delay = |routes: &str| {
            let text = format!("pull_api {{ auth token raw:t }}\n{routes}");
            longest_delay(&hookaido_config::compile(text.as_bytes(), &ProcessEnvironment::default()).config.unwrap())
        };
        assert_eq!(delay("/a { pull { path /a } }"), LATE);
        let route = |path: &str, tolerance: &str| {
            format!("{path} {{ auth hmac {{ secret raw:s tolerance {tolerance} }} pull {{ path {path} }} }}\n")
        };
        assert_eq!(delay(&route("/a", "10s")), LATE);
        assert_eq!(delay(&[route("/a", "2h"), route("/b", "10m")].concat()), Duration::from_secs(7200));
    }
}
