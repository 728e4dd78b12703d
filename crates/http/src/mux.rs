//! Several services on one listener, told apart by the first segments of the path.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::{Front, Peer, Request, Response, clean_path};

/// What a listener serves. Called once per request, on the connection's task.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request. What needs no waiting is answered with [`Reply::ready`], which allocates nothing; everything else with
    /// [`Reply::later`]. The future is dropped when the peer goes away.
    fn handle(&self, request: Request, peer: &Arc<Peer>) -> Reply;
}

/// An answer, now or later.
pub struct Reply(pub(crate) Answer);

pub(crate) enum Answer {
    Ready(Response),
    Later(Pin<Box<dyn Future<Output = Response> + Send>>),
}

impl Reply {
    /// The answer is known.
    #[must_use]
    pub fn ready(response: impl Into<Response>) -> Self {
        Self(Answer::Ready(response.into()))
    }

    /// The answer is to be awaited. Boxes the future: the one allocation of this layer.
    #[must_use]
    pub fn later(future: impl Future<Output = Response> + Send + 'static) -> Self {
        Self(Answer::Later(Box::pin(future)))
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Answer::Ready(_) => "Reply::Ready",
            Answer::Later(_) => "Reply::Later",
        })
    }
}

impl Future for Reply {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<Response> {
        match &mut self.0 {
            Answer::Ready(response) => std::task::Poll::Ready(std::mem::take(response)),
            Answer::Later(future) => future.as_mut().poll(cx),
        }
    }
}

/// The services of one listener.
#[derive(Clone)]
pub struct PrefixMux {
    /// Longest prefix first.
    services: Vec<Mounted>,
    front: Arc<Front>,
}

/// A service under its prefix.
#[derive(Clone)]
pub(crate) struct Mounted {
    prefix: Box<str>,
    /// Name in the access log.
    pub(crate) component: &'static str,
    pub(crate) handler: Arc<dyn Handler>,
}

impl PrefixMux {
    /// Serves everything with one service. `component` is its name in the access log: `ingress`, `pull_api`, `admin_api`, `metrics`.
    #[must_use]
    pub fn new(component: &'static str, handler: Arc<dyn Handler>) -> Self {
        Self { services: vec![Mounted { prefix: "".into(), component, handler }], front: Arc::default() }
    }

    /// Serves nothing yet: every path answers 404.
    #[must_use]
    pub fn empty() -> Self {
        Self { services: Vec::new(), front: Arc::default() }
    }

    /// Serves the paths at and below `prefix` (such as `/admin`, without trailing slash) with another service, which gets the path as
    /// it was sent. An empty prefix replaces what serves the rest.
    #[must_use]
    pub fn mount(mut self, prefix: &str, component: &'static str, handler: Arc<dyn Handler>) -> Self {
        self.services.retain(|mounted| *mounted.prefix != *prefix);
        self.services.push(Mounted { prefix: prefix.into(), component, handler });
        self.services.sort_by_key(|mounted| std::cmp::Reverse(mounted.prefix.len()));
        self
    }

    /// Says what stands in front of the listener.
    #[must_use]
    pub fn behind(self, front: Front) -> Self {
        Self { front: Arc::new(front), ..self }
    }

    pub(crate) fn front(&self) -> &Arc<Front> {
        &self.front
    }

    /// Name in the access log of what no service takes: that of the only service, if there is just one.
    pub(crate) fn component(&self) -> &'static str {
        match self.services.as_slice() {
            [only] => only.component,
            _ => "http",
        }
    }

    /// The service of a path as sent.
    pub(crate) fn find(&self, raw_path: &str) -> Option<&Mounted> {
        if let [only] = self.services.as_slice() {
            return Some(only).filter(|only| only.prefix.is_empty() || only.takes(&clean_path(raw_path)));
        }
        let path = clean_path(raw_path);
        self.services.iter().find(|mounted| mounted.takes(&path))
    }
}

impl Mounted {
    fn takes(&self, path: &str) -> bool {
        path.strip_prefix(&*self.prefix)
            .is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Debug for PrefixMux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.services.iter().map(|mounted| (&mounted.prefix, mounted.component))).finish()
    }
}
