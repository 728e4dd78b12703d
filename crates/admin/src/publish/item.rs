//! One message to publish: its JSON and its checks.

use std::sync::Arc;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use hookaido_model::{Content, JsonMap, LaneId, UnixMillis};
use hookaido_queue::store::NewMessage;
use serde::Deserialize;
use smallvec::smallvec;

use crate::Table;
use crate::body::{Pairs, Text};
use crate::error::{Fault, Refusal};
use crate::query::labels;
use crate::table::RouteEntry;

/// Padded, and as forgiving about the unused bits of the last character as the reference is.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) id: Text<'a>,
    #[serde(borrow)]
    route: Text<'a>,
    #[serde(borrow)]
    target: Text<'a>,
    #[serde(borrow)]
    application: Text<'a>,
    #[serde(borrow)]
    endpoint_name: Text<'a>,
    #[serde(borrow)]
    payload_b64: Text<'a>,
    #[serde(borrow)]
    headers: Pairs<'a>,
    #[serde(borrow)]
    trace: Pairs<'a>,
    #[serde(borrow)]
    received_at: Text<'a>,
    #[serde(borrow)]
    next_run_at: Text<'a>,
}

/// Whether a route takes published messages at all.
pub(super) fn open_for(table: &Table, route: &RouteEntry, scoped: bool) -> Result<(), Refusal> {
    let way = if scoped { route.publish.managed } else { route.publish.direct };
    if !(route.publish.enabled && way) {
        return Err(Fault::RouteDisabled.because(format!("the route {} does not take published messages", route.path)));
    }
    match route.pulled {
        true if !table.policy.allow_pull_routes => {
            Err(Fault::PullDisabled.because("`defaults.publish_policy.allow_pull_routes` is off"))
        }
        false if !table.policy.allow_deliver_routes => {
            Err(Fault::DeliverDisabled.because("`defaults.publish_policy.allow_deliver_routes` is off"))
        }
        _ => Ok(()),
    }
}

impl Item<'_> {
    /// What needs no route.
    pub(super) fn check_form(&self, scoped: bool) -> Result<(), Refusal> {
        if self.id.given().is_none() {
            return Err(Fault::Body.because("`id` is required"));
        }
        let managed = match (self.application.given(), self.endpoint_name.given()) {
            (None, None) => false,
            (Some(application), Some(endpoint)) => labels(application, endpoint).map(|_labels| true)?,
            _ => return Err(Fault::Body.because("`application` and `endpoint_name` go together")),
        };
        match self.route.given() {
            Some(route) if !route.starts_with('/') => Err(Fault::Body.because("`route` starts with a slash")),
            _ if scoped => Ok(()),
            _ if managed => {
                let detail =
                    "publish to /applications/{application}/endpoints/{endpoint_name}/messages/publish instead";
                Err(Fault::ScopedPublishRequired.because(detail))
            }
            None => Err(Fault::Body.because("`route` is required")),
            Some(_) => Ok(()),
        }
    }

    /// Checks everything else; also gives route and target.
    pub(super) fn message<'t>(
        &self,
        table: &'t Table,
        scope: Option<&'t RouteEntry>,
        now: UnixMillis,
    ) -> Result<(&'t str, &'t str, NewMessage), Refusal> {
        let route = match scope {
            None => self.direct_route(table)?,
            Some(_) if self.route.given().is_some() || self.application.given().is_some() => {
                return Err(
                    Fault::SelectorForbidden.because("the path says which endpoint is meant; leave selectors out")
                );
            }
            Some(route) => route,
        };
        let (target, lane) = self.lane(route)?;
        let received_at = time(&self.received_at, Fault::ReceivedAt, "received_at")?.unwrap_or(now);
        let next_run_at = time(&self.next_run_at, Fault::NextRunAt, "next_run_at")?.unwrap_or(received_at);
        let content = Content {
            payload: self.payload(route.max_body)?,
            headers: self.headers(route.max_headers)?,
            trace: JsonMap::from_pairs(self.trace.iter()),
        };
        let id = Some(Arc::from(self.id.trimmed()));
        Ok((&route.path, target, NewMessage { lanes: smallvec![lane], id, content, received_at, next_run_at }))
    }

    fn direct_route<'t>(&self, table: &'t Table) -> Result<&'t RouteEntry, Refusal> {
        let path = self.route.trimmed();
        let route = table.route(path);
        let route = route.ok_or_else(|| Fault::RouteNotFound.because(format!("there is no route {path}")))?;
        if route.managed.is_some() {
            let detail = format!("the route {path} is managed; publish through its application and endpoint");
            return Err(Fault::ManagedSelectorRequired.because(detail));
        }
        open_for(table, route, false)?;
        Ok(route)
    }

    /// The lane of the target; it may be left out where there is only one.
    fn lane<'t>(&self, route: &'t RouteEntry) -> Result<(&'t str, LaneId), Refusal> {
        let found = match (self.target.given(), route.lanes.as_slice()) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(target), lanes) => lanes.iter().find(|(known, _)| **known == *target),
        };
        found.map(|(target, lane)| (&**target, *lane)).ok_or_else(|| {
            let known: Vec<_> = route.lanes.iter().map(|(target, _)| format!("`{target}`")).collect();
            Fault::Target.because(format!("`target` of the route {} is one of {}", route.path, known.join(", ")))
        })
    }

    fn payload(&self, max: u64) -> Result<Bytes, Refusal> {
        if self.payload_b64.given().is_none() {
            return Ok(Bytes::new());
        }
        let text = &*self.payload_b64.0;
        let decoded = if text.contains(['\n', '\r']) {
            BASE64.decode(text.replace(['\n', '\r'], ""))
        } else {
            BASE64.decode(text)
        };
        let payload =
            decoded.map_err(|_error| Fault::PayloadB64.because("`payload_b64` is standard base64 with padding"))?;
        let len = payload.len() as u64;
        if len > max {
            return Err(Fault::PayloadTooLarge.because(format!("the payload has {len} bytes, the route takes {max}")));
        }
        Ok(Bytes::from(payload))
    }

    fn headers(&self, max: u64) -> Result<JsonMap, Refusal> {
        let mut len = 0;
        for (name, value) in self.headers.iter() {
            if !is_token(name) {
                return Err(Fault::Header.because(format!("`{name}` is not a header name")));
            }
            if value.bytes().any(|b| (b < 0x20 && b != b'\t') || b == 0x7f) {
                return Err(Fault::Header.because(format!("the value of `{name}` has control characters")));
            }
            len += (name.len() + value.len()) as u64;
        }
        if len > max {
            return Err(Fault::HeadersTooLarge.because(format!("the headers have {len} bytes, the route takes {max}")));
        }
        Ok(JsonMap::from_pairs(self.headers.iter()))
    }
}

/// RFC 9110 section 5.6.2.
fn is_token(name: &str) -> bool {
    let punctuation = b"!#$%&'*+-.^_`|~";
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || punctuation.contains(&b))
}

fn time(text: &Text<'_>, fault: Fault, name: &str) -> Result<Option<UnixMillis>, Refusal> {
    let time = text.given().map(UnixMillis::parse_rfc3339).transpose();
    time.map_err(|error| fault.because(format!("`{name}`: {error}")))
}
