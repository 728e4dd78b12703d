//! Conditions on the client certificate. Only an identity that a listener has verified can meet one.

use hookaido_http::{AltName, Identity};
use hookaido_model::config::{ClientCertKind, ClientCertRule};

/// The conditions of one route: of each kind that is given, one must hold.
#[derive(Debug)]
pub(super) struct ClientCerts {
    rules: Vec<ClientCertRule>,
    kinds: Vec<ClientCertKind>,
}

impl ClientCerts {
    pub(super) fn new(rules: &[ClientCertRule]) -> Self {
        let mut kinds: Vec<ClientCertKind> = Vec::new();
        for kind in rules.iter().map(ClientCertRule::kind) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        Self { rules: rules.to_vec(), kinds }
    }

    /// Whether an identity meets them. Without conditions everybody does, with any nobody who is not known.
    pub(super) fn hold(&self, identity: Option<&Identity>) -> bool {
        if self.rules.is_empty() {
            return true;
        }
        let Some(identity) = identity else { return false };
        let of = |kind: ClientCertKind| self.rules.iter().filter(move |rule| rule.kind() == kind);
        self.kinds.iter().all(|kind| of(*kind).any(|rule| meets(identity, rule)))
    }
}

fn meets(identity: &Identity, rule: &ClientCertRule) -> bool {
    let has = |test: &dyn Fn(&AltName) -> bool| identity.names.iter().any(test);
    match rule {
        ClientCertRule::Any => true,
        ClientCertRule::Subject(subject) => identity.subject == *subject,
        ClientCertRule::CommonName(wanted) => identity.common_names.iter().any(|name| name == wanted),
        ClientCertRule::Fingerprint(fingerprint) => identity.fingerprint == *fingerprint,
        ClientCertRule::Dns(wanted) => has(&|name| matches!(name, AltName::Dns(name) if dns(wanted, name))),
        ClientCertRule::Uri(wanted) => has(&|name| matches!(name, AltName::Uri(uri) if self::uri(wanted, uri))),
        ClientCertRule::Email(wanted) => has(&|name| matches!(name, AltName::Email(name) if email(wanted, name))),
        ClientCertRule::Ip(wanted) => has(&|name| matches!(name, AltName::Ip(address) if address == wanted)),
    }
}

/// `*.domain` holds below the domain, as in `match host`.
fn dns(wanted: &str, name: &str) -> bool {
    match wanted.strip_prefix('*') {
        Some(domain) => name.len() > domain.len() && name.ends_with(domain),
        None => name == wanted,
    }
}

/// `.../*` holds below, unless dots would lead out again.
fn uri(wanted: &str, uri: &str) -> bool {
    match wanted.strip_suffix('*').filter(|above| above.ends_with('/')) {
        Some(above) => uri
            .strip_prefix(above)
            .is_some_and(|below| !below.is_empty() && !below.split('/').any(|segment| matches!(segment, "." | ".."))),
        None => uri == wanted,
    }
}

/// `*@domain` holds for every mailbox there.
fn email(wanted: &str, mailbox: &str) -> bool {
    match wanted.strip_prefix("*@") {
        Some(domain) => mailbox.rsplit_once('@').is_some_and(|(_, of)| of == domain),
        None => mailbox == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let mut identity = Identity::default();
        identity.fingerprint = [7; 32];
        identity.subject = "CN=billing,O=Acme".to_owned();
        identity.common_names = vec!["billing".to_owned()];
        identity.names = vec![
            AltName::Dns("a.billing.internal".to_owned()),
            AltName::Uri("spiffe://cluster/ns/billing/sa/web".to_owned()),
            AltName::Email("ops@example.com".to_owned()),
            AltName::Ip("192.0.2.1".parse().unwrap()),
        ];
        identity
    }

    fn hold(rules: &[ClientCertRule]) -> bool {
        ClientCerts::new(rules).hold(Some(&identity()))
    }

    #[test]
    fn each_condition_looks_at_its_part() {
        use ClientCertRule as R;
        for (rule, want) in [
            (R::Any, true),
            (R::Subject("CN=billing,O=Acme".to_owned()), true),
            (R::Subject("CN=billing".to_owned()), false),
            (R::CommonName("billing".to_owned()), true),
            (R::CommonName("Billing".to_owned()), false),
            (R::Fingerprint([7; 32]), true),
            (R::Fingerprint([8; 32]), false),
            (R::Dns("a.billing.internal".to_owned()), true),
            (R::Dns("*.billing.internal".to_owned()), true),
            (R::Dns("*.internal".to_owned()), true),
            (R::Dns("billing.internal".to_owned()), false),
            (R::Dns("*.a.billing.internal".to_owned()), false),
            (R::Dns("ops@example.com".to_owned()), false),
            (R::Uri("spiffe://cluster/ns/billing/sa/web".to_owned()), true),
            (R::Uri("spiffe://cluster/ns/billing/*".to_owned()), true),
            (R::Uri("spiffe://cluster/ns/bill/*".to_owned()), false),
            (R::Uri("spiffe://cluster/ns/billing/sa/web/*".to_owned()), false),
            (R::Email("ops@example.com".to_owned()), true),
            (R::Email("*@example.com".to_owned()), true),
            (R::Email("*@ample.com".to_owned()), false),
            (R::Ip("192.0.2.1".parse().unwrap()), true),
            (R::Ip("192.0.2.2".parse().unwrap()), false),
        ] {
            assert_eq!(hold(std::slice::from_ref(&rule)), want, "{rule:?}");
            assert!(!ClientCerts::new(&[rule]).hold(None), "nobody meets no condition");
        }
        assert!(!uri("spiffe://c/a/*", "spiffe://c/a/../b") && !uri("spiffe://c/a/*", "spiffe://c/a/"));
        assert!(ClientCerts::new(&[]).hold(None));
    }

    #[test]
    fn conditions_of_one_kind_are_alternatives_and_kinds_add_up() {
        use ClientCertRule as R;
        let (good, bad) = (|| R::Dns("*.internal".to_owned()), || R::Uri("spiffe://other".to_owned()));
        assert!(hold(&[bad(), good()]));
        assert!(!hold(&[bad(), R::Any]));
        assert!(hold(&[R::Fingerprint([1; 32]), good(), R::Fingerprint([7; 32]), R::CommonName("billing".to_owned())]));
        assert!(!hold(&[R::Fingerprint([7; 32]), R::CommonName("other".to_owned()), good()]));
    }
}
