//! What is understood but has no engine yet: `run` refuses it, `config validate` accepts it.
//!
//! One row for each feature; the row goes when its engine comes.

use hookaido_model::SecretRef;
use hookaido_model::config::{Config, IngressAuth, QueueBackend, RouteWork, SecretPool, SigningSecret, Transport};
use hookaido_syntax::{Diagnostic, Item, Span, Statement, Tree, statements};

use crate::Context;
use crate::layout::{BlockLayout, opened};

/// A feature without an engine.
struct Row {
    /// What it is called.
    name: &'static str,
    /// Whether a configuration uses it.
    used: fn(&Config) -> bool,
    /// Whether a statement is where it is written.
    written: fn(Context, &Statement<'_>) -> bool,
}

static UNSUPPORTED: &[Row] = &[
    Row {
        name: "`tracing`",
        used: |config| config.observability.tracing.is_some(),
        written: |_, statement| starts(statement, &["tracing"]),
    },
    Row {
        name: "the backend `postgres`",
        used: |config| config.backend == QueueBackend::Postgres,
        written: |_, statement| starts(statement, &["queue"]),
    },
];

/// One error if a configuration has a `grpc_listen`: for a program that was built without that capability.
#[must_use]
pub fn without_grpc(config: &Config, tree: &Tree) -> Option<Diagnostic> {
    config.pull_api.as_ref()?.grpc_listen.as_ref()?;
    let written = |_, statement: &Statement<'_>| starts(statement, &["grpc_listen"]);
    let span = first_place(tree.items(), Context::Top, written).unwrap_or_default();
    let message = "`grpc_listen` cannot run here: this program was built without gRPC";
    let help = "build it with the feature `grpc`, which is on by default, or remove the directive";
    Some(Diagnostic::error("E0901", span, message).with_help(help))
}

/// One error for each feature that a configuration uses and that cannot run yet, at the first place that uses it.
#[must_use]
pub fn unsupported(config: &Config, tree: &Tree) -> Vec<Diagnostic> {
    let used = UNSUPPORTED.iter().filter(|row| (row.used)(config));
    used.map(|row| {
        let span = first_place(tree.items(), Context::Top, row.written).unwrap_or_default();
        Diagnostic::error("E0901", span, format!("{} cannot run here: not supported yet", row.name))
            .with_help("remove it, or wait for a version that has it; `config validate` accepts it")
    })
    .collect()
}

/// Whether a statement starts with these bare words.
fn starts(statement: &Statement<'_>, words: &[&str]) -> bool {
    statement.words().count() >= words.len() && statement.words().zip(words).all(|(word, text)| word.is(text))
}

/// The first statement, in the order of the file, that satisfies `wanted`.
fn first_place(items: &[Item], context: Context, wanted: fn(Context, &Statement<'_>) -> bool) -> Option<Span> {
    statements(items, &[], &BlockLayout(context)).iter().find_map(|statement| {
        if wanted(context, statement) {
            return statement.words().last().map(|word| Span::new(statement.span().start, word.span.end));
        }
        let (block, inner) = statement.block().zip(opened(context, statement.items))?;
        first_place(&block.items, inner, wanted)
    })
}

fn targets(config: &Config) -> impl Iterator<Item = &Transport> {
    config.routes.iter().flat_map(|route| {
        let targets = match &route.work {
            RouteWork::Deliver { targets, .. } => targets.as_slice(),
            RouteWork::Pull(_) => &[],
        };
        targets.iter().map(|target| &target.transport)
    })
}

/// Every reference to a secret that a configuration holds.
pub fn secret_refs(config: &Config) -> impl Iterator<Item = &SecretRef> {
    let tokens = config.pull_api.iter().flat_map(|api| &api.auth_tokens).chain(&config.admin_api.auth_tokens);
    let pools = config.secrets.values().filter_map(|pool| match pool {
        SecretPool::Static(version) => Some(&version.value),
        SecretPool::Runtime { initial, .. } => initial.as_ref().map(|version| &version.value),
    });
    let routes = config.routes.iter().flat_map(|route| {
        let auth = match &route.auth {
            IngressAuth::Hmac(hmac) => hmac.secrets.as_slice(),
            IngressAuth::None | IngressAuth::Basic(_) | IngressAuth::Forward(_) => &[],
        };
        let pull = match &route.work {
            RouteWork::Pull(pull) => pull.auth_tokens.as_slice(),
            RouteWork::Deliver { .. } => &[],
        };
        auth.iter().chain(pull)
    });
    let signing = targets(config).filter_map(|transport| match transport {
        Transport::Http(http) => http.signing.as_ref(),
        Transport::Exec(_) => None,
    });
    let signing = signing.filter_map(|signing| match &signing.secret {
        SigningSecret::Single(secret) => Some(secret),
        // Versions are those of the pools above.
        SigningSecret::Versions { .. } => None,
    });
    tokens.chain(pools).chain(routes).chain(signing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FixedEnvironment, compile};

    #[test]
    fn features_without_an_engine_are_named_and_found() {
        let text = "pull_api { auth token vault:x tls { cert_file a key_file b } grpc_listen :1 }
            defaults { adaptive_backpressure { enabled on } }
            observability { tracing { enabled on collector https://h/ } }
            secrets { secret s { runtime true } }
            /a { auth forward https://h/ pull { path /a } }
            /b { queue sqlite deliver exec /bin/cat { } deliver https://h/ { sign hmac raw:x } }";
        let compiled = compile(text.as_bytes(), &FixedEnvironment::default());
        let config = compiled.config.as_ref().expect("valid");
        let shown =
            |d: &Diagnostic| (d.message.split(" cannot").next().unwrap().to_owned(), compiled.tree.slice(d.span));
        let shown: Vec<_> = unsupported(config, &compiled.tree).iter().map(shown).collect();
        let want = [("`tracing`", "tracing")];
        assert_eq!(shown, want.map(|(name, place)| (name.to_owned(), place)));
        let grpc = without_grpc(config, &compiled.tree).expect("written");
        assert_eq!((grpc.code, compiled.tree.slice(grpc.span)), ("E0901", "grpc_listen :1"));
        let plain = compile(b"/a { deliver https://h/ { } }", &FixedEnvironment::default());
        let config = plain.config.expect("valid");
        assert!(unsupported(&config, &plain.tree).is_empty() && without_grpc(&config, &plain.tree).is_none());
    }
}
