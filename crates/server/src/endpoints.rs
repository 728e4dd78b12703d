//! Endpoints changed through the admin API: the labels of a route, in the configuration file and in what runs.
//!
//! The file as it is at that moment is edited and applied as a reload, so what else was changed in it comes along; where that cannot be
//! applied, neither can this. Everything that can fail is done before the file is replaced, and the exchange after it cannot fail.

use std::path::PathBuf;
use std::sync::Arc;

use hookaido_admin::{
    EndpointAction, EndpointChange, EndpointChanged, EndpointChanges, EndpointError, EndpointStep, EndpointWork,
};
use hookaido_config::{ProcessEnvironment, relabel};
use hookaido_model::State;
use hookaido_model::config::{Config, Managed, Route};
use hookaido_queue::Queue;
use tokio::sync::{mpsc, oneshot};

use crate::StartError;
use crate::load::{Loaded, read, understand};
use crate::rewrite::rewrite;
use crate::supervisor::{Command, Place, Present, Trigger, log_failed, log_restart_required};

/// Sends changes to the supervisor.
#[derive(Debug)]
pub(crate) struct Endpoints(pub(crate) mpsc::Sender<Command>);

impl EndpointChanges for Endpoints {
    fn change(&self, change: EndpointChange) -> EndpointWork<'_> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let busy = |_error| EndpointError::Unavailable("too many changes are waiting; try again".to_owned());
            self.0.try_send(Command::Endpoint(change, answer)).map_err(busy)?;
            let ending = |_error| EndpointError::Unavailable("the server is about to end".to_owned());
            answered.await.map_err(ending)?
        })
    }
}

/// Why a change is not made.
enum Failure {
    /// The rules are against it, or the file cannot be written.
    Refused(EndpointError),
    /// The file cannot be read, understood or built.
    Reload(StartError),
    /// These directives of the file need a restart.
    Restart(String),
}

/// A change that is ready to be written.
struct Edit {
    action: EndpointAction,
    /// The route as it will be.
    route: Arc<Route>,
    /// Path of the route that loses its labels.
    from: Option<Arc<str>>,
    before: Vec<u8>,
    after: Vec<u8>,
    loaded: Loaded,
}

/// What a change comes to.
enum Judged {
    Unchanged(Arc<Route>),
    Edit(Box<Edit>),
}

impl Present {
    /// Makes a change in full, or says why nothing has changed.
    pub(crate) async fn change_endpoint(
        &mut self,
        place: Place<'_>,
        change: &EndpointChange,
    ) -> Result<EndpointChanged, EndpointError> {
        let trigger = if change.route.is_some() { Trigger::EndpointPut } else { Trigger::EndpointDelete };
        let detail = match self.try_change(place, change, trigger).await {
            Ok(changed) => return Ok(changed),
            Err(Failure::Refused(error)) => return Err(error),
            Err(Failure::Reload(error)) => {
                log_failed(trigger, &error);
                "the configuration file cannot be applied as it is; the log says why".to_owned()
            }
            Err(Failure::Restart(directives)) => {
                log_restart_required(trigger, &directives);
                format!("the configuration file has other changes, which need a restart: {directives}")
            }
        };
        Err(EndpointError::Unavailable(detail))
    }

    async fn try_change(
        &mut self,
        place: Place<'_>,
        change: &EndpointChange,
        trigger: Trigger,
    ) -> Result<EndpointChanged, Failure> {
        let (path, environment) = (place.options.config.clone(), Arc::clone(&place.app.environment));
        let wanted = change.clone();
        let Edit { action, route, from, before, after, loaded } =
            match blocking(move || judge(path, &environment, &wanted)).await?? {
                Judged::Unchanged(route) => return Ok(EndpointChanged { action: EndpointAction::Unchanged, route }),
                Judged::Edit(edit) => *edit,
            };
        if let Some(from) = from {
            backlog(&place.app.queue, from).await?;
        }
        let generation = self.plan(place.app, &loaded).await.map_err(Failure::Reload)?.map_err(Failure::Restart)?;
        let path = place.options.config.clone();
        if let Err(error) = blocking(move || rewrite(&path, &before, &after)).await? {
            let path = place.options.config.display();
            tracing::error!(target: "hookaido", path = %path, err = %error, "config_write_failed");
            let detail = format!("the configuration file cannot be written: {error}");
            return Err(Failure::Refused(EndpointError::Unavailable(detail)));
        }
        self.written = Some(loaded.fingerprint.clone());
        self.take(place, loaded, generation, trigger);
        Ok(EndpointChanged { action, route })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::Reload(StartError::Runtime(std::io::Error::other(error))))
}

/// Reads the file and edits it, in memory.
fn judge(path: PathBuf, environment: &ProcessEnvironment, change: &EndpointChange) -> Result<Judged, Failure> {
    let before = read(&path).map_err(Failure::Reload)?;
    let (present, tree) = understand(&path, &before, environment).map_err(Failure::Reload)?;
    let EndpointStep { action, from, to } = change.step(&present.config).map_err(Failure::Refused)?;
    let shown = to.or(from).ok_or(Failure::Refused(EndpointError::NoRoute))?;
    if action == EndpointAction::Unchanged {
        return Ok(Judged::Unchanged(Arc::new(shown.clone())));
    }
    let broken = |error: String| Failure::Refused(EndpointError::Unavailable(error));
    let mut edited = tree;
    let steps = [(from, None), (to, Some(&change.labels))];
    for (route, labels) in steps.into_iter().filter_map(|(route, labels)| Some((route?, labels))) {
        edited = relabel(&edited, &route.path, labels).map_err(|error| broken(error.to_string()))?;
    }
    let after = edited.to_source();
    let (loaded, _tree) = understand(&path, &after, environment).map_err(Failure::Reload)?;
    if loaded.config != with_labels(&present.config, from, to, &change.labels) {
        return Err(broken("the file cannot be edited without changing more than this; edit it by hand".to_owned()));
    }
    let route = loaded.config.routes.iter().find(|route| route.path == shown.path).unwrap_or(shown);
    let (route, from) = (Arc::new(route.clone()), from.map(|route| Arc::clone(&route.path)));
    Ok(Judged::Edit(Box::new(Edit { action, route, from, before, after, loaded })))
}

/// What the edited file must mean.
fn with_labels(config: &Config, from: Option<&Route>, to: Option<&Route>, labels: &Managed) -> Config {
    let mut wanted = config.clone();
    for route in &mut wanted.routes {
        if from.is_some_and(|from| from.path == route.path) {
            route.managed = None;
        }
        if to.is_some_and(|to| to.path == route.path) {
            route.managed = Some(labels.clone());
        }
    }
    wanted
}

/// Whether messages of a route wait or are leased: whoever published them expects to find them under the labels.
async fn backlog(queue: &Queue, route: Arc<str>) -> Result<(), Failure> {
    let stats = queue.stats().await;
    let stats = stats.map_err(|error| Failure::Refused(EndpointError::Unavailable(error.to_string())))?;
    let waiting = stats.lanes.iter().filter(|lane| lane.lane.route == route).flat_map(|lane| {
        [State::Queued, State::Leased].map(|state| lane.counts.get(usize::from(state.code())).copied().unwrap_or(0))
    });
    match waiting.sum() {
        0 => Ok(()),
        waiting => Err(Failure::Refused(EndpointError::Backlog { route, waiting })),
    }
}
