//! Bodies and parameters of requests: strict JSON, durations as the reference writes them.
//!
//! `null` and the empty text stand for a member that is not there.

use std::borrow::Cow;
use std::time::Duration;

use hookaido_http::json::parse_object;
use hookaido_http::path::escapes_are_valid;
use hookaido_model::Span;
use serde::Deserialize;

use crate::PullError;
use crate::ops::Wish;

/// Body of `dequeue`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dequeue {
    pub(crate) batch: Option<i64>,
    pub(crate) max_wait: Option<String>,
    pub(crate) lease_ttl: Option<String>,
}

/// Body of `ack`, `nack` and `extend`. They share one set of members; what an operation has no use for does not disturb it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settle {
    pub(crate) lease_id: Option<String>,
    pub(crate) lease_ids: Option<Vec<Option<String>>>,
    pub(crate) extend_by: Option<String>,
    pub(crate) delay: Option<String>,
    pub(crate) dead: Option<bool>,
    pub(crate) reason: Option<String>,
}

impl Dequeue {
    /// Reads the body. One that is empty or `null` asks for nothing in particular.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, PullError> {
        match body.trim_ascii() {
            b"" | b"null" => Ok(Self::default()),
            _ => parse(body),
        }
    }

    /// What it wishes for.
    pub(crate) fn wish(&self) -> Result<Wish, PullError> {
        Ok(Wish {
            batch: self.batch,
            lease_ttl: duration("lease_ttl", self.lease_ttl.as_deref())?,
            max_wait: duration("max_wait", self.max_wait.as_deref())?,
            max_bytes: None,
        })
    }
}

impl Settle {
    /// Reads the body.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, PullError> {
        parse(body)
    }

    /// The names of several leases; a `null` among them is an empty one.
    pub(crate) fn many(&mut self) -> Option<Vec<String>> {
        Some(self.lease_ids.take()?.into_iter().map(Option::unwrap_or_default).collect())
    }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, PullError> {
    parse_object(body)
        .map_err(|error| PullError::Invalid(format!("the body is not what this operation takes: {error}")))
}

/// The duration of a member, zero where it is negative; `None` where it is missing or empty.
pub(crate) fn duration(name: &str, text: Option<&str>) -> Result<Option<Duration>, PullError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    match Span::parse(text) {
        Some(span) => Ok(Some(span.or_zero())),
        None => Err(PullError::Invalid(format!("`{name}` takes a duration such as 30s, 1m30s or 250ms"))),
    }
}

/// Parameters of a stream: `batch` and `lease_ttl`, both above zero. Others are passed over; the first of a name counts.
pub(crate) fn stream_wish(query: &str) -> Result<Wish, PullError> {
    let invalid = |text: &str| PullError::Invalid(text.to_owned());
    let mut wish = Wish::default();
    if let Some(batch) = parameter(query, "batch") {
        let batch = batch.parse::<i64>().ok().filter(|batch| *batch > 0);
        wish.batch = Some(batch.ok_or_else(|| invalid("`batch` takes a whole number above zero"))?);
    }
    if let Some(ttl) = parameter(query, "lease_ttl") {
        let ttl = Span::parse(&ttl).map(Span::or_zero).filter(|ttl| !ttl.is_zero());
        wish.lease_ttl = Some(ttl.ok_or_else(|| invalid("`lease_ttl` takes a duration above zero, such as 30s"))?);
    }
    Ok(wish)
}

/// The value of a parameter; `None` where it is missing or empty. A pair with a semicolon or a broken escape is passed over.
fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    let mut pairs = query.split('&').filter_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let fine = !pair.contains(';') && escapes_are_valid(key) && escapes_are_valid(value);
        fine.then(|| (plain(key), plain(value)))
    });
    let (_, value) = pairs.find(|(key, _)| *key == name)?;
    Some(value).filter(|value| !value.is_empty())
}

fn plain(text: &str) -> Cow<'_, str> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    match spaced {
        Cow::Borrowed(text) => percent_encoding::percent_decode_str(text).decode_utf8_lossy(),
        Cow::Owned(text) => percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_left_to_the_configuration() {
        for body in ["", " \n", "null", "{}", r#"{"batch":null,"max_wait":null,"lease_ttl":""}"#] {
            let wish = Dequeue::parse(body.as_bytes()).unwrap().wish().unwrap();
            assert_eq!(wish, Wish::default(), "{body}");
        }
        let wish = Dequeue::parse(br#"{"batch":5,"lease_ttl":"-1s","max_wait":"1.5s"}"#).unwrap().wish().unwrap();
        let (lease_ttl, max_wait) = (Some(Duration::ZERO), Some(Duration::from_millis(1500)));
        let want = Wish { batch: Some(5), lease_ttl, max_wait, max_bytes: None };
        assert_eq!(wish, want);
    }

    #[test]
    fn complaints_name_the_member() {
        for (body, name) in [
            (r#"{"x":1}"#, "`x`"),
            (r#"{"BATCH":1}"#, "`BATCH`"),
            (r#"{"batch":1,"batch":2}"#, "`batch`"),
            (r#"{"batch":1.5}"#, "`batch`"),
            (r#"{"batch":"1"}"#, "`batch`"),
            (r#"{"max_wait":5}"#, "`max_wait`"),
            (r#"{"max_wait":"5"}"#, "`max_wait`"),
            (r#"{"lease_ttl":"1d"}"#, "`lease_ttl`"),
            ("[1]", "a JSON object"),
            ("{} {}", "trailing"),
        ] {
            let complaint = Dequeue::parse(body.as_bytes()).and_then(|body| body.wish()).unwrap_err().to_string();
            assert!(complaint.contains(name), "{body}: {complaint}");
        }
        for (body, name) in
            [(r#"{"lease_ids":["a",5]}"#, "`lease_ids`"), (r#"{"dead":1}"#, "`dead`"), ("", "EOF"), ("null", "null")]
        {
            let complaint = Settle::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(complaint.contains(name), "{body}: {complaint}");
        }
    }

    #[test]
    fn parameters_of_streams_are_above_zero() {
        let fine = stream_wish("x=1&batch=10&lease_ttl=%31s&batch=0").unwrap();
        assert_eq!((fine.batch, fine.lease_ttl), (Some(10), Some(Duration::from_secs(1))));
        for query in ["batch=&lease_ttl=&Batch=x", "batch=x;y", "batch=%zz&x", "batch&batch=x", "lease_ttl=%"] {
            assert_eq!(stream_wish(query).unwrap(), Wish::default(), "{query}");
        }
        assert_eq!(stream_wish("b%61tch=%2B7").unwrap().batch, Some(7));
        for query in
            ["batch=x", "batch=0", "batch=-1", "batch=1.5", "batch=+7", "lease_ttl=x", "lease_ttl=0", "lease_ttl=-1s"]
        {
            assert!(stream_wish(query).is_err(), "{query}");
        }
    }
}
