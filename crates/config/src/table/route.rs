//! Directives of routes.

use super::defaults::{RETRY, TIMEOUT};
use super::{Kind, Row, Shape};
use crate::Context;

pub(super) static CHANNEL: &[Row] = &[Row::block("/PATH", Context::Route, "A route of this channel.").many()];

pub(super) static ROUTE: &[Row] = &[
    Row::new("application", Shape::Words(1), Kind::Label, "Application under which the admin API manages the route."),
    Row::new("endpoint_name", Shape::Words(1), Kind::Label, "Name of the route in its application; both or neither."),
    Row::block("match", Context::Match, "Conditions besides the path: a block, or `@NAME` of a named one.")
        .shaped(Shape::Matchers)
        .many(),
    Row::block(
        "rate_limit",
        Context::RateLimit,
        "Limit of this route, in place of the one of ingress; a second one with `key client_ip` limits each client.",
    )
    .many(),
    Row::new("auth", Shape::RouteAuth, Kind::None, "How a request proves itself: `hmac`, `basic` or `forward`.").many(),
    Row::block("publish", Context::Publish, "Whether the admin API may publish here: `on`, `off` or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(Kind::Switch)
        .by_default("on"),
    Row::word("publish.direct", Kind::Switch, "on", "As `direct` in `publish`; not together with the block."),
    Row::word("publish.managed", Kind::Switch, "on", "As `managed` in `publish`; not together with the block."),
    Row::block("queue", Context::Queue, "Store of the messages: a backend or a block.")
        .shaped(Shape::WordOrBlock)
        .of_kind(BACKEND)
        .by_default("sqlite")
        .restart(),
    Row::word("max_body", Kind::Size, "", "Largest body; the one of `defaults` if not given."),
    Row::word("max_headers", Kind::Size, "", "Largest header; the one of `defaults` if not given."),
    Row::block("pull", Context::Pull, "Workers pull the messages."),
    Row::word(
        "deliver_concurrency",
        Kind::Int(1, 10_000),
        "",
        "Most deliveries at a time; the one of `defaults` if not given.",
    ),
    Row::block(
        "deliver",
        Context::Deliver,
        "Messages are pushed to this URL, or given to this command: `deliver exec COMMAND`.",
    )
    .shaped(Shape::Deliver)
    .of_kind(Kind::Url)
    .many(),
];

const BACKEND: Kind = Kind::OneOf(&["sqlite", "memory", "postgres"]);

pub(super) static MATCH: &[Row] = &[
    Row::new("method", Shape::List, Kind::Text, "Methods, any of which will do; POST if not given.").many(),
    Row::new("host", Shape::List, Kind::Text, "Hosts, any of which will do: a name, `*.domain` or `*`.").many(),
    Row::new("header", Shape::Pairs, Kind::Text, "A header and the value it must have.").many(),
    Row::new("header_exists", Shape::List, Kind::HeaderName, "Headers that must be there.").many(),
    Row::new("query", Shape::Pairs, Kind::Text, "A query parameter and the value it must have.").many(),
    Row::new("query_exists", Shape::List, Kind::Text, "Query parameters that must be there.").many(),
    Row::new("remote_ip", Shape::List, Kind::Text, "Addresses or networks, one of which must hold the client.").many(),
    Row::new(
        "client_cert",
        Shape::Pairs,
        Kind::Text,
        "What the verified client certificate must say: `subject`, `common_name`, `san` or `fingerprint`, and a value.",
    )
    .many(),
];

pub(super) static HMAC_AUTH: &[Row] = &[
    Row::new("secret", Shape::List, Kind::Secret, "Where a secret is; any of several may have signed.").many(),
    Row::new("secret_ref", Shape::List, Kind::Text, "Id of a named secret.").many(),
    Row::word(
        "provider",
        Kind::OneOf(&["github", "gitea", "stripe", "cituro"]),
        "",
        "Signatures as this provider makes them.",
    ),
    Row::word("signature_header", Kind::HeaderName, "X-Signature", "Header with the signature."),
    Row::word("timestamp_header", Kind::HeaderName, "X-Timestamp", "Header with the time in seconds."),
    Row::word("nonce_header", Kind::HeaderName, "X-Nonce", "Header with the nonce."),
    Row::word("tolerance", Kind::PositiveDuration, "5m", "Most that the time may be off."),
];

pub(super) static FORWARD_AUTH: &[Row] = &[
    Row::word("timeout", Kind::PositiveDuration, "2s", "Longest time of the question."),
    Row::new(
        "copy_headers",
        Shape::List,
        Kind::HeaderName,
        "Headers of the answer that go into the message, in place of the sender's.",
    )
    .many(),
    Row::word("body_limit", Kind::SizeOrOff, "off", "Most bytes of the body that are passed on; `off` passes all."),
];

pub(super) static PUBLISH: &[Row] = &[
    Row::word("enabled", Kind::Switch, "on", "At all."),
    Row::word("direct", Kind::Switch, "on", "By route path."),
    Row::word("managed", Kind::Switch, "on", "By application and endpoint."),
];

pub(super) static QUEUE: &[Row] =
    &[Row::word("backend", BACKEND, "sqlite", "The one backend of the process.").restart()];

pub(super) static PULL: &[Row] = &[
    Row::new("path", Shape::Words(1), Kind::Path, "Path of the endpoint below the prefix of the pull API."),
    Row::new(
        "auth",
        Shape::TokenAuth,
        Kind::Secret,
        "`auth token REF`: accepted in place of the tokens of the pull API.",
    )
    .many(),
    Row::word(
        "max_receives",
        Kind::CountOrOff,
        "off",
        "A message that was leased so often without an ack goes to the dead letters.",
    ),
    Row::new(
        "redelivery_backoff",
        Shape::Backoff,
        Kind::None,
        "Delay before a message comes again that was given back without one, or whose lease ran out: `off`, or `exponential` with `base`, \
         `cap` and `jitter` in any order, else 1s, 5m and 0.2.",
    )
    .by_default("off"),
];

pub(super) static DELIVER: &[Row] = &[
    RETRY,
    TIMEOUT,
    Row::new("header", Shape::Words(2), Kind::HeaderName, "Name and value of a header of every request.").many(),
    Row::new("env", Shape::Words(2), Kind::Text, "Name and value of an environment variable; only with `exec`.").many(),
    Row::new(
        "sign",
        Shape::Sign,
        Kind::None,
        "Sign requests: `hmac`, `signature_header`, `timestamp_header`, `secret_selection`; not with `exec`.",
    )
    .many(),
];
