//! Directives of the file and of its blocks about listeners, the queue, secrets and variables.

use super::{Kind, Row, Shape};
use crate::Context;

const MAX: i64 = i64::MAX;

pub(super) static TOP: &[Row] = &[
    Row::block("ingress", Context::Ingress, "The listener that receives webhooks."),
    Row::block(
        "pull_api",
        Context::PullApi,
        "The API from which workers pull; required as soon as a route has `pull`.",
    ),
    Row::block("admin_api", Context::AdminApi, "The API for operators: health, messages, dead letters, publishing."),
    Row::block("queue_limits", Context::QueueLimits, "How many messages may wait."),
    Row::block(
        "queue_retention",
        Context::QueueRetention,
        "How long messages may wait, and how often old ones are pruned.",
    ),
    Row::block("delivered_retention", Context::DeliveredRetention, "How long acknowledged messages are kept."),
    Row::block("dlq_retention", Context::DlqRetention, "How long and how many dead letters are kept."),
    Row::block(
        "attempts_retention",
        Context::AttemptsRetention,
        "How long and how many records of deliveries are kept.",
    ),
    Row::block("secrets", Context::Secrets, "Named secrets with the time in which each is valid."),
    Row::block("vars", Context::Vars, "Values to be used elsewhere as `{vars.NAME}`."),
    Row::block(
        "defaults",
        Context::Defaults,
        "What holds for every route that says nothing else, and policies of the process.",
    ),
    Row::block("observability", Context::Observability, "Logs, metrics and traces."),
    Row::block("@NAME", Context::Match, "A named set of conditions, used by routes as `match @NAME`.").many(),
    Row::block("inbound", Context::Channel, "Routes that receive webhooks; the same as writing them bare.")
        .shaped(Shape::Channel)
        .many(),
    Row::block("outbound", Context::Channel, "Routes that are published to by the admin API and pushed.")
        .shaped(Shape::Channel)
        .many(),
    Row::block("internal", Context::Channel, "Routes that are published to by the admin API and pulled.")
        .shaped(Shape::Channel)
        .many(),
    Row::block("/PATH", Context::Route, "A route: requests to this path and below it, and the queue of the same name.")
        .many(),
];

const TLS_BLOCK: Row =
    Row::block("tls", Context::Tls, "Serve TLS, and perhaps ask clients for a certificate.").restart();

const TRUSTED_PROXIES: Row = Row::new(
    "trusted_proxies",
    Shape::List,
    Kind::Text,
    "Addresses or networks of proxies that are believed when they say for whom they ask.",
)
.many();

const CLIENT_IP_HEADER: Row = Row::word(
    "client_ip_header",
    Kind::OneOf(&["auto", "x-forwarded-for", "forwarded"]),
    "auto",
    "Header in which trusted proxies say it; `auto` takes `X-Forwarded-For`, or `Forwarded` where that is missing.",
);

const PROXY_PROTOCOL_BLOCK: Row = Row::block(
    "proxy_protocol",
    Context::ProxyProtocol,
    "Balancers whose connections start with a PROXY header, version 1 or 2.",
);

const MAX_CONNECTIONS: Row =
    Row::word("max_connections", Kind::Int(1, 1_000_000), "8192", "Most connections at a time; more have to wait.")
        .restart();

const MAX_CONNECTIONS_PER_IP: Row = Row::word(
    "max_connections_per_ip",
    Kind::CountOrOff,
    "",
    "Most connections of one address; 4096 if not given, but none for loopback, and never for trusted proxies and balancers.",
);

const TOKEN: Row = Row::new(
    "auth",
    Shape::TokenAuth,
    Kind::Secret,
    "`auth token REF`: a bearer token that is accepted; repeat it for more.",
)
.many();

pub(super) static INGRESS: &[Row] = &[
    Row::word("listen", Kind::Address, ":8080", "Address to bind.").restart(),
    Row::block(
        "rate_limit",
        Context::RateLimit,
        "Limit for every route that has none of its own; a second one with `key client_ip` limits each client.",
    )
    .many(),
    TLS_BLOCK,
    TRUSTED_PROXIES,
    CLIENT_IP_HEADER,
    PROXY_PROTOCOL_BLOCK,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_IP,
];

pub(super) static PULL_API: &[Row] = &[
    Row::word("listen", Kind::Address, ":9443", "Address to bind; equal to another `listen` it shares that listener.")
        .restart(),
    Row::word("grpc_listen", Kind::Text, "", "Address of the gRPC worker API; never shared.").restart(),
    Row::word("prefix", Kind::Prefix, "", "Path in front of every endpoint.").restart(),
    TOKEN,
    TLS_BLOCK,
    Row::word("max_batch", Kind::Int(1, MAX), "100", "Most messages of one dequeue.").restart(),
    Row::word("max_lease_batch", Kind::Int(1, MAX), "100", "Most leases of one ack, nack or extend.").restart(),
    Row::word("default_lease_ttl", Kind::PositiveDuration, "30s", "Lease time of a request that names none.").restart(),
    Row::word("max_lease_ttl", Kind::Duration, "off", "Longest lease time; `off` for no bound.").restart(),
    Row::word("default_max_wait", Kind::Duration, "0", "How long a dequeue waits for a message if it does not say.")
        .restart(),
    Row::word("max_wait", Kind::Duration, "off", "Longest wait of a dequeue; `off` for no bound.").restart(),
    Row::word("sse_keepalive", Kind::Duration, "", "Interval of keep-alive comments on streams; 15s if not given."),
    Row::word("sse_max_connection", Kind::Duration, "off", "Longest life of a stream; `off` for no bound."),
    TRUSTED_PROXIES,
    CLIENT_IP_HEADER,
    PROXY_PROTOCOL_BLOCK,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_IP,
];

pub(super) static ADMIN_API: &[Row] = &[
    Row::word(
        "listen",
        Kind::Address,
        "127.0.0.1:2019",
        "Address to bind; equal to another `listen` it shares that listener.",
    )
    .restart(),
    Row::word("prefix", Kind::Prefix, "", "Path in front of every endpoint.").restart(),
    TOKEN,
    TLS_BLOCK,
    TRUSTED_PROXIES,
    CLIENT_IP_HEADER,
    PROXY_PROTOCOL_BLOCK,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_IP,
];

pub(super) static PROXY_PROTOCOL: &[Row] = &[
    Row::new(
        "from",
        Shape::List,
        Kind::Text,
        "Addresses or networks of the balancers; others are served without a header.",
    )
    .many(),
    Row::word("timeout", Kind::PositiveDuration, "5s", "Longest time for the header."),
];

pub(super) static TLS: &[Row] = &[
    Row::word("cert_file", Kind::Text, "", "PEM file with the certificate chain.").restart(),
    Row::word("key_file", Kind::Text, "", "PEM file with the private key.").restart(),
    Row::word("client_ca", Kind::Text, "", "PEM file with the CAs that client certificates are checked against.")
        .restart(),
    Row::word(
        "client_auth",
        Kind::OneOf(&["none", "off", "request", "require", "require_any", "verify_if_given", "require_and_verify"]),
        "",
        "What is asked of clients; `require_and_verify` if `client_ca` is given.",
    )
    .restart(),
];

pub(super) static RATE_LIMIT: &[Row] = &[
    Row::word("rps", Kind::Rate, "", "Requests a second, on average."),
    Row::word("burst", Kind::Int(1, MAX), "", "Requests at once; `rps` rounded up if not given."),
    Row::word(
        "key",
        Kind::OneOf(&["client_ip"]),
        "",
        "`client_ip` counts for each client address (IPv6 by /64) instead of for all together.",
    ),
];

pub(super) static QUEUE_LIMITS: &[Row] = &[
    Row::word("max_depth", Kind::Int(0, MAX), "10000", "Most messages queued or leased; 0 for no bound.").restart(),
    Row::word("drop_policy", Kind::OneOf(&["reject", "drop_oldest"]), "reject", "What happens when the queue is full.")
        .restart(),
];

pub(super) static QUEUE_RETENTION: &[Row] = &[
    Row::word("max_age", Kind::Duration, "7d", "Queued messages older than this are removed; `off` keeps them.")
        .restart(),
    Row::word("prune_interval", Kind::Duration, "5m", "Time between two prunings of any kind.").restart(),
];

pub(super) static DELIVERED_RETENTION: &[Row] = &[Row::word(
    "max_age",
    Kind::Duration,
    "off",
    "Acknowledged messages are kept this long; `off` removes them at once.",
)];

pub(super) static DLQ_RETENTION: &[Row] = &[
    Row::word("max_age", Kind::Duration, "30d", "Dead letters older than this are removed; `off` keeps them.")
        .restart(),
    Row::word("max_depth", Kind::CountOrOff, "10000", "Most dead letters, the oldest go first; `off` for no bound.")
        .restart(),
];

pub(super) static ATTEMPTS_RETENTION: &[Row] = &[
    Row::word("max_age", Kind::Duration, "7d", "Records of deliveries older than this are removed; `off` keeps them.")
        .restart(),
    Row::word("max_rows", Kind::CountOrOff, "200000", "Most records, the oldest go first; `off` for no bound.")
        .restart(),
];

pub(super) static SECRETS: &[Row] = &[Row::block("secret", Context::Secret, "A secret and its name.")
    .shaped(Shape::NamedBlock)
    .of_kind(Kind::Text)
    .many()];

pub(super) static SECRET: &[Row] = &[
    Row::word("value", Kind::Secret, "", "Where the secret is."),
    Row::word("valid_from", Kind::Time, "", "First instant at which it counts; required with `value`."),
    Row::word("valid_until", Kind::Time, "", "First instant at which it no longer counts; none for ever."),
    Row::word("runtime", Kind::Switch, "off", "Versions may be added through the admin API."),
    Row::word("max_versions", Kind::Int(1, MAX), "32", "Most versions of a `runtime` secret."),
];

pub(super) static VARS: &[Row] = &[Row::word("NAME", Kind::Raw, "", "A value; it may use other variables.").many()];
