//! Signature schemes as data: where the signature stands, what it covers, and when it counts.
//!
//! Providers differ in these points only, so a new one is a value here and no code elsewhere.

use std::time::Duration;

use hookaido_model::config::HmacScheme;
use http::HeaderName;

use crate::AuthError;

/// Tolerance of the providers that sign a timestamp; their own libraries use the same.
const PROVIDER_TOLERANCE: Duration = Duration::from_secs(300);

/// One scheme of HMAC-SHA256 signatures in hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// Header of the signature.
    pub header: HeaderName,
    /// How the signature stands in it.
    pub form: Form,
    /// What is signed.
    pub content: Content,
    /// Where the signed time stands; `None` when nothing is said about time.
    pub time: Option<SignedTime>,
    /// Header of a value that counts once.
    pub nonce: Option<HeaderName>,
    /// The instant that must lie in the window of a named secret.
    pub judged: Judged,
}

/// How signatures stand in a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// After this prefix, which may be empty.
    Prefixed(&'static str),
    /// As `tag=hex` among comma-separated parts; several may be there, and other parts are passed over.
    Tagged(&'static str),
}

/// What is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// The body.
    Body,
    /// The time as sent, a dot, the body.
    TimeDotBody,
    /// The time as sent, method, cleaned path and the hex SHA-256 of the body, joined by newlines.
    Canonical,
}

/// The time that a sender signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedTime {
    /// Where it stands.
    pub place: TimePlace,
    /// What one of it is worth, in milliseconds.
    pub unit_ms: i64,
    /// Most it may be off, to either side.
    pub tolerance: Duration,
}

/// Where the signed time stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In a header of its own.
    Header(HeaderName),
    /// As `tag=number` in the header of the signature.
    Tag(&'static str),
}

/// Which instant the window of a secret is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// The signed one.
    AtSignedTime,
    /// The present.
    Now,
}

impl Scheme {
    /// The scheme of a configuration.
    ///
    /// # Errors
    /// If one of the header names is none.
    pub fn new(scheme: &HmacScheme) -> Result<Self, AuthError> {
        Ok(match scheme {
            HmacScheme::Canonical { headers, tolerance } => Self {
                header: header_name(&headers.signature)?,
                form: Form::Prefixed(""),
                content: Content::Canonical,
                time: Some(SignedTime {
                    place: TimePlace::Header(header_name(&headers.timestamp)?),
                    unit_ms: 1000,
                    tolerance: *tolerance,
                }),
                nonce: Some(header_name(&headers.nonce)?),
                judged: Judged::AtSignedTime,
            },
            HmacScheme::Github => Self::body("x-hub-signature-256", "sha256="),
            HmacScheme::Gitea => Self::body("x-gitea-signature", ""),
            HmacScheme::Stripe => Self::timed("stripe-signature", "v1", 1000),
            HmacScheme::Cituro => Self::timed("x-cituro-signature", "s", 1),
        })
    }

    fn body(header: &'static str, prefix: &'static str) -> Self {
        Self {
            header: HeaderName::from_static(header),
            form: Form::Prefixed(prefix),
            content: Content::Body,
            time: None,
            nonce: None,
            judged: Judged::Now,
        }
    }

    fn timed(header: &'static str, tag: &'static str, unit_ms: i64) -> Self {
        Self {
            header: HeaderName::from_static(header),
            form: Form::Tagged(tag),
            content: Content::TimeDotBody,
            time: Some(SignedTime { place: TimePlace::Tag("t"), unit_ms, tolerance: PROVIDER_TOLERANCE }),
            nonce: None,
            judged: Judged::Now,
        }
    }
}

/// The name as [`HeaderName`].
pub(crate) fn header_name(text: &str) -> Result<HeaderName, AuthError> {
    HeaderName::from_bytes(text.as_bytes()).ok().ok_or_else(|| AuthError::HeaderName(text.to_owned()))
}

/// The parts `tag=...` of a comma-separated header, in order.
pub(crate) fn tagged<'a>(header: &'a [u8], tag: &'static str) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    header.split(|b| *b == b',').filter_map(move |part| {
        let rest = part.trim_ascii().strip_prefix(tag.as_bytes())?;
        rest.strip_prefix(b"=").map(<[u8]>::trim_ascii)
    })
}
