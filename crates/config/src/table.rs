//! The directive table: one row for every directive in every block.
//!
//! From it come the splitting of statements, unknown and duplicate directives with suggestions, defaults, ranges, the formatter's
//! layout and the reference. Lowering asks for values by name and gets the row's default where the file has none.

use hookaido_syntax::Word;

use crate::Context;

mod defaults;
mod observability;
mod route;
mod top;

/// One directive in one block.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name; `/PATH`, `@NAME` and `NAME` stand for names that the author chooses.
    pub name: &'static str,
    /// How many words and blocks follow.
    pub shape: Shape,
    /// What its value must be.
    pub kind: Kind,
    /// The block it opens, if any.
    pub opens: Option<Context>,
    /// Whether it may be written more than once.
    pub repeats: bool,
    /// Its value where it is not written; empty for none.
    pub default: &'static str,
    /// What a reload does with a change.
    pub reload: Reload,
    /// One line of explanation.
    pub doc: &'static str,
}

/// How many words and blocks follow a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// So many words.
    Words(usize),
    /// One word or more, up to the next directive of the block.
    List,
    /// One pair of words or more.
    Pairs,
    /// A block.
    Block,
    /// A word or a block.
    WordOrBlock,
    /// A word and a block.
    NamedBlock,
    /// `inbound { ... }` or `inbound /path { ... }`.
    Channel,
    /// `@name ...` or a block.
    Matchers,
    /// `auth token VALUE`.
    TokenAuth,
    /// `auth hmac | basic | forward ...`.
    RouteAuth,
    /// `sign hmac | signature_header | timestamp_header | secret_selection ...`.
    Sign,
    /// `retry exponential [max N] [base D] [cap D] [jitter F]`.
    Retry,
    /// `redelivery_backoff off`, or `exponential [base D] [cap D] [jitter F]`.
    Backoff,
    /// `deliver "URL" { ... }` or `deliver exec "COMMAND" { ... }`.
    Deliver,
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// There is none, or it has a form of its own.
    None,
    /// Text that is not empty.
    Text,
    /// Any text, blanks at its ends included.
    Raw,
    /// `host:port`; empty takes the default.
    Address,
    /// Empty, or a path that starts with `/`.
    Prefix,
    /// A path that starts with `/`.
    Path,
    /// A whole number in a range.
    Int(i64, i64),
    /// A whole number from 0, or `off`, which is 0: no bound.
    CountOrOff,
    /// A number greater than zero.
    Rate,
    /// A duration; `off` and `0` are zero.
    Duration,
    /// A duration greater than zero.
    PositiveDuration,
    /// A size from 1 byte to 1024gb.
    Size,
    /// A size, or `off`.
    SizeOrOff,
    /// `on` or `off`.
    Switch,
    /// One of these words, in any case.
    OneOf(&'static [&'static str]),
    /// Where a secret is.
    Secret,
    /// `http` or `https`, with a host.
    Url,
    /// A header name.
    HeaderName,
    /// A label of the management model.
    Label,
    /// An RFC 3339 time.
    Time,
}

/// What a reload does with a change of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Applied at once.
    Live,
    /// Refused: the process must be restarted.
    Restart,
}

impl Row {
    const fn new(name: &'static str, shape: Shape, kind: Kind, doc: &'static str) -> Self {
        Self { name, shape, kind, opens: None, repeats: false, default: "", reload: Reload::Live, doc }
    }

    const fn word(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Self {
        let row = Self::new(name, Shape::Words(1), kind, doc);
        Self { default, ..row }
    }

    const fn block(name: &'static str, opens: Context, doc: &'static str) -> Self {
        let row = Self::new(name, Shape::Block, Kind::None, doc);
        Self { opens: Some(opens), ..row }
    }

    const fn shaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    const fn many(self) -> Self {
        Self { repeats: true, ..self }
    }

    const fn restart(self) -> Self {
        Self { reload: Reload::Restart, ..self }
    }

    const fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    const fn by_default(self, default: &'static str) -> Self {
        Self { default, ..self }
    }

    /// Whether its name is chosen by the author.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        matches!(self.name, "/PATH" | "@NAME" | "NAME")
    }

    fn covers(&self, word: &Word) -> bool {
        match self.name {
            "/PATH" => word.quoted || word.value.starts_with('/'),
            "@NAME" => !word.quoted && word.value.starts_with('@'),
            "NAME" => !word.quoted || !word.value.is_empty(),
            name => !word.quoted && word.value == name,
        }
    }
}

/// The directives of a block.
#[must_use]
pub fn rows(context: Context) -> &'static [Row] {
    match context {
        Context::Top => top::TOP,
        Context::Ingress => top::INGRESS,
        Context::PullApi => top::PULL_API,
        Context::AdminApi => top::ADMIN_API,
        Context::Tls => top::TLS,
        Context::ProxyProtocol => top::PROXY_PROTOCOL,
        Context::RateLimit => top::RATE_LIMIT,
        Context::QueueLimits => top::QUEUE_LIMITS,
        Context::QueueRetention => top::QUEUE_RETENTION,
        Context::DeliveredRetention => top::DELIVERED_RETENTION,
        Context::DlqRetention => top::DLQ_RETENTION,
        Context::AttemptsRetention => top::ATTEMPTS_RETENTION,
        Context::Secrets => top::SECRETS,
        Context::Secret => top::SECRET,
        Context::Vars => top::VARS,
        Context::Defaults => defaults::DEFAULTS,
        Context::Egress => defaults::EGRESS,
        Context::PublishPolicy => defaults::PUBLISH_POLICY,
        Context::DeliverDefaults => defaults::DELIVER,
        Context::TrendSignals => defaults::TREND_SIGNALS,
        Context::AdaptiveBackpressure => defaults::ADAPTIVE_BACKPRESSURE,
        Context::Observability => observability::OBSERVABILITY,
        Context::AccessLog => observability::ACCESS_LOG,
        Context::RuntimeLog => observability::RUNTIME_LOG,
        Context::Metrics => observability::METRICS,
        Context::Tracing => observability::TRACING,
        Context::TracingTls => observability::TRACING_TLS,
        Context::TracingRetry => observability::TRACING_RETRY,
        Context::Channel => route::CHANNEL,
        Context::Route => route::ROUTE,
        Context::Match => route::MATCH,
        Context::HmacAuth => route::HMAC_AUTH,
        Context::ForwardAuth => route::FORWARD_AUTH,
        Context::Publish => route::PUBLISH,
        Context::Queue => route::QUEUE,
        Context::Pull => route::PULL,
        Context::Deliver => route::DELIVER,
    }
}

/// The row of a statement that starts with `word`.
pub(crate) fn row_of(context: Context, word: &Word) -> Option<&'static Row> {
    rows(context).iter().find(|row| row.covers(word))
}

/// The row with this name; `None` is a mistake in this crate.
#[must_use]
pub fn row(context: Context, name: &str) -> Option<&'static Row> {
    rows(context).iter().find(|row| row.name == name)
}
