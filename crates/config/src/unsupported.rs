//! What is understood but has no engine yet: `run` refuses it, `config validate` accepts it.
//!
//! One row for each feature; the row goes when its engine comes.

use hookaido_model::SecretRef;
use hookaido_model::config::{Config, IngressAuth, QueueBackend, RouteWork, SecretPool, SigningSecret, Transport};

/// A feature without an engine: what it is called, and whether a configuration uses it.
type Row = (&'static str, fn(&Config) -> bool);

static UNSUPPORTED: &[Row] = &[
    ("`tls` of a listener", |config| {
        config.ingress.tls.is_some()
            || config.admin_api.tls.is_some()
            || config.pull_api.as_ref().is_some_and(|api| api.tls.is_some())
    }),
    ("`pull_api.grpc_listen`", |config| config.pull_api.as_ref().is_some_and(|api| api.grpc_listen.is_some())),
    ("`auth forward`", |config| config.routes.iter().any(|route| matches!(route.auth, IngressAuth::Forward(_)))),
    ("`observability.tracing`", |config| config.observability.tracing.is_some()),
    ("`queue postgres`", |config| config.backend == QueueBackend::Postgres),
    ("`secret` with `runtime true`", |config| {
        config.secrets.values().any(|pool| matches!(pool, SecretPool::Runtime { .. }))
    }),
    ("`vault:` references", |config| secret_refs(config).any(|secret| matches!(secret, SecretRef::Vault(_)))),
];

/// The features that a configuration uses and that cannot run yet, as they are named in messages.
#[must_use]
pub fn unsupported(config: &Config) -> Vec<&'static str> {
    UNSUPPORTED.iter().filter(|(_, used)| used(config)).map(|(name, _)| *name).collect()
}

fn targets(config: &Config) -> impl Iterator<Item = &Transport> {
    config.routes.iter().flat_map(|route| {
        match &route.work {
            RouteWork::Deliver { targets, .. } => targets.as_slice(),
            RouteWork::Pull(_) => &[],
        }
        .iter()
        .map(|target| &target.transport)
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
    fn features_without_an_engine_are_named() {
        let text = "pull_api { auth token vault:x tls { cert_file a key_file b } }
            secrets { secret s { runtime true } }
            /a { auth forward https://h/ pull { path /a } }
            /b { deliver exec /bin/cat { } }";
        let config = compile(text.as_bytes(), &FixedEnvironment::default()).config.expect("valid");
        assert_eq!(
            unsupported(&config),
            [
                "`tls` of a listener",
                "`auth forward`",
                "`secret` with `runtime true`",
                "`vault:` references"
            ]
        );
        let plain = compile(b"/a { deliver https://h/ { } }", &FixedEnvironment::default()).config.expect("valid");
        assert!(unsupported(&plain).is_empty());
    }
}
