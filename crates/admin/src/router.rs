//! From the head of a request to what is asked for.

use hookaido_http::{Request, clean_path};
use hookaido_model::config::Managed;
use http::Method;

use crate::Table;
use crate::error::{Fault, Refusal};
use crate::filter::FilterOp;
use crate::ids::IdsOp;
use crate::query::{label, labels};

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `GET /healthz` without a query: open to everybody.
    Alive,
    Health,
    Messages,
    Dlq,
    Attempts,
    Publish,
    Ids(IdsOp),
    Filter(FilterOp),
    TopQueued,
    OldestQueued,
    AgingSummary,
    Trends,
    Model,
    Applications,
    Endpoints(String),
    Endpoint(Managed),
    PutEndpoint(Managed),
    DeleteEndpoint(Managed),
    ScopedMessages(Managed),
    ScopedPublish(Managed),
    ScopedFilter(FilterOp, Managed),
    /// The versions of a pool.
    Secrets(String),
    AddSecret(String),
    /// Pool and version.
    DeleteSecret(String, String),
}

/// Makes a call of the labels in the path.
type WithLabels = fn(Managed) -> Call;

/// What a path leads to, before its labels are checked.
enum Place<'a> {
    Plain(Call),
    Application(&'a str),
    Endpoint(&'a str, &'a str, WithLabels),
}

impl Table {
    /// Checks token, path, labels in the path and method, in this order.
    pub(crate) fn admit(&self, request: &Request) -> Result<Call, Refusal> {
        let path = clean_path(request.uri().path());
        let below = path.strip_prefix(self.prefix.as_str()).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        let method = request.method();
        if below == Some("/healthz") && method == Method::GET && request.uri().query().is_none_or(str::is_empty) {
            return Ok(Call::Alive);
        }
        let authorization = request.headers().get(http::header::AUTHORIZATION);
        if !self.tokens.is_empty() && !self.tokens.check(authorization.map(http::HeaderValue::as_bytes)) {
            return Err(Fault::Unauthorized.because("send one of the admin tokens as `Authorization: Bearer TOKEN`"));
        }
        let segments: Vec<&str> = below.unwrap_or_default().split('/').skip(1).collect();
        let (allowed, place) =
            place(&segments, method).ok_or_else(|| Fault::NotFound.because("nothing is at this path"))?;
        let call = place.call()?;
        if !allowed.split(", ").any(|allowed| allowed == method.as_str()) {
            return Err(Fault::Method(allowed).because(format!("this path takes {allowed}")));
        }
        Ok(call)
    }
}

impl Place<'_> {
    /// Checks the labels.
    fn call(self) -> Result<Call, Refusal> {
        match self {
            Self::Plain(call) => Ok(call),
            Self::Application(application) => {
                label("application", application)?;
                Ok(Call::Endpoints(application.to_owned()))
            }
            Self::Endpoint(application, endpoint, call) => labels(application, endpoint).map(call),
        }
    }
}

/// The methods of a path and what it leads to.
fn place<'a>(segments: &[&'a str], method: &Method) -> Option<(&'static str, Place<'a>)> {
    let (methods, call) = match segments {
        ["healthz"] => ("GET", Call::Health),
        ["messages"] => ("GET", Call::Messages),
        ["dlq"] => ("GET", Call::Dlq),
        ["attempts"] => ("GET", Call::Attempts),
        ["messages", "publish"] => ("POST", Call::Publish),
        ["backlog", "top_queued"] => ("GET", Call::TopQueued),
        ["backlog", "oldest_queued"] => ("GET", Call::OldestQueued),
        ["backlog", "aging_summary"] => ("GET", Call::AgingSummary),
        ["backlog", "trends"] => ("GET", Call::Trends),
        ["management", "model"] => ("GET", Call::Model),
        ["applications"] => ("GET", Call::Applications),
        ["secrets", rest @ ..] => secret(rest, method)?,
        ["dlq", verb] => ("POST", Call::Ids(IdsOp::of_dlq(verb)?)),
        ["messages", verb] => match FilterOp::of(verb) {
            Some(op) => ("POST", Call::Filter(op)),
            None => ("POST", Call::Ids(IdsOp::of_messages(verb)?)),
        },
        ["applications", application, "endpoints"] => return Some(("GET", Place::Application(application))),
        ["applications", application, "endpoints", endpoint, rest @ ..] => {
            let (methods, call) = below_endpoint(rest, method)?;
            return Some((methods, Place::Endpoint(application, endpoint, call)));
        }
        _ => return None,
    };
    Some((methods, Place::Plain(call)))
}

/// Below `/secrets`. Where one of the methods there is asked of the wrong one of the two paths, nothing is found.
fn secret(rest: &[&str], method: &Method) -> Option<(&'static str, Call)> {
    let known = [Method::GET, Method::POST, Method::DELETE].contains(method);
    match rest {
        [pool] if !known || method != Method::DELETE => {
            let call = if method == Method::POST { Call::AddSecret } else { Call::Secrets };
            Some(("GET, POST", call((*pool).to_owned())))
        }
        [pool, id] if !known || method == Method::DELETE => {
            Some(("DELETE", Call::DeleteSecret((*pool).to_owned(), (*id).to_owned())))
        }
        _ => None,
    }
}

fn below_endpoint(rest: &[&str], method: &Method) -> Option<(&'static str, WithLabels)> {
    Some(match rest {
        [] if method == Method::GET => ("GET, PUT, DELETE", Call::Endpoint),
        [] if method == Method::DELETE => ("GET, PUT, DELETE", Call::DeleteEndpoint),
        [] => ("GET, PUT, DELETE", Call::PutEndpoint),
        ["messages"] => ("GET", Call::ScopedMessages),
        ["messages", "publish"] => ("POST", Call::ScopedPublish),
        ["messages", verb] => match FilterOp::of(verb)? {
            FilterOp::Cancel => ("POST", |labels| Call::ScopedFilter(FilterOp::Cancel, labels)),
            FilterOp::Requeue => ("POST", |labels| Call::ScopedFilter(FilterOp::Requeue, labels)),
            FilterOp::Resume => ("POST", |labels| Call::ScopedFilter(FilterOp::Resume, labels)),
        },
        _ => return None,
    })
}
