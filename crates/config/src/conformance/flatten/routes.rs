//! Routes and secrets in the keys of the records.

use std::time::Duration;

use hookaido_model::UnixMillis;
use hookaido_model::config::{
    Channel, Delivery, HmacAuth, HmacScheme, IngressAuth, Match, Route, RouteWork, SecretPool, SecretSelection,
    SecretVersion, Signing, SigningSecret, Transport,
};

use super::{Keys, network, rate_limit, reference, retry};
use crate::Unused;

pub(super) fn secret(keys: &mut Keys, id: &str, pool: &SecretPool) {
    let (version, runtime) = match pool {
        SecretPool::Static(version) => (Some(version), false),
        SecretPool::Runtime { initial, .. } => (initial.as_ref(), true),
    };
    let prefix = format!("Secrets.{id}");
    keys.put(format!("{prefix}.ID"), id);
    keys.put(format!("{prefix}.Runtime"), runtime);
    if let Some(version) = version {
        window(keys, &prefix, version);
    }
}

fn window(keys: &mut Keys, prefix: &str, version: &SecretVersion) {
    let instant = |at: Option<UnixMillis>| at.map(|at| at.to_string()).unwrap_or_default();
    keys.put(format!("{prefix}.ID"), &*version.id);
    keys.put(format!("{prefix}.ValueRef"), reference(&version.value));
    keys.put(format!("{prefix}.ValidFrom"), instant(version.valid_from));
    keys.put(format!("{prefix}.ValidUntil"), instant(version.valid_until));
    keys.put(format!("{prefix}.HasUntil"), version.valid_until.is_some());
}

pub(super) fn route(keys: &mut Keys, prefix: &str, route: &Route, unused: &Unused) {
    keys.put(format!("{prefix}.Path"), &*route.path);
    let channel = match route.channel {
        Channel::Bare => "",
        Channel::Inbound => "inbound",
        Channel::Outbound => "outbound",
        Channel::Internal => "internal",
    };
    keys.put(format!("{prefix}.ChannelType"), channel);
    matching(keys, &format!("{prefix}.Match"), &route.matches);
    auth(keys, prefix, &route.auth);
    rate_limit(keys, &format!("{prefix}.RateLimit"), route.rate_limit.as_ref());
    keys.put(format!("{prefix}.MaxBodyBytes"), route.max_body);
    keys.put(format!("{prefix}.MaxHeaderBytes"), route.max_headers);
    keys.put(format!("{prefix}.Publish"), route.publish.enabled);
    keys.put(format!("{prefix}.PublishDirect"), route.publish.direct);
    keys.put(format!("{prefix}.PublishManaged"), route.publish.managed);
    if let Some(managed) = &route.managed {
        keys.put(format!("{prefix}.Application"), managed.application.as_str());
        keys.put(format!("{prefix}.EndpointName"), managed.endpoint.as_str());
    }
    keys.put(format!("{prefix}.QueueBackend"), route.backend.as_str());
    match &route.work {
        RouteWork::Pull(pull) => {
            keys.put(format!("{prefix}.DeliverConcurrency"), unused.defaults.concurrency);
            keys.put(format!("{prefix}.Pull.Path"), &*pull.path);
            keys.secrets(&format!("{prefix}.Pull.AuthTokens"), &pull.auth_tokens);
        }
        RouteWork::Deliver { concurrency, targets } => {
            keys.put(format!("{prefix}.DeliverConcurrency"), *concurrency);
            for (at, target) in targets.iter().enumerate() {
                delivery(keys, &format!("{prefix}.Deliveries.{at}"), target);
            }
        }
    }
}

fn matching(keys: &mut Keys, prefix: &str, matches: &Match) {
    keys.texts(&format!("{prefix}.Methods"), &matches.methods);
    keys.texts(&format!("{prefix}.Hosts"), matches.hosts.iter().map(|host| &host.0));
    keys.texts(&format!("{prefix}.HeaderExists"), &matches.header_exists);
    keys.texts(&format!("{prefix}.QueryExists"), &matches.query_exists);
    for (name, pairs) in [("Headers", &matches.headers), ("Query", &matches.query)] {
        for (at, (key, value)) in pairs.iter().enumerate() {
            keys.put(format!("{prefix}.{name}.{at}.Name"), key.as_str());
            keys.put(format!("{prefix}.{name}.{at}.Value"), value.as_str());
        }
    }
    for (at, (address, bits)) in matches.remote_ips.iter().enumerate() {
        keys.put(format!("{prefix}.RemoteIPs.{at}"), network(*address, *bits));
    }
}

fn auth(keys: &mut Keys, prefix: &str, auth: &IngressAuth) {
    match auth {
        IngressAuth::None | IngressAuth::Basic(_) => {}
        IngressAuth::Hmac(hmac) => self::hmac(keys, prefix, hmac),
        IngressAuth::Forward(forward) => {
            keys.put(format!("{prefix}.AuthForward.Enabled"), true);
            keys.put(format!("{prefix}.AuthForward.URL"), &*forward.url);
            keys.duration(format!("{prefix}.AuthForward.Timeout"), Some(forward.timeout));
            keys.put(format!("{prefix}.AuthForward.BodyLimitBytes"), forward.body_limit.unwrap_or(0));
            keys.texts(&format!("{prefix}.AuthForward.CopyHeaders"), &forward.copy_headers);
        }
    }
}

fn hmac(keys: &mut Keys, prefix: &str, hmac: &HmacAuth) {
    keys.secrets(&format!("{prefix}.AuthHMACSecrets"), &hmac.secrets);
    keys.texts(&format!("{prefix}.AuthHMACSecretRefs"), &hmac.secret_ids);
    let provider = match &hmac.scheme {
        HmacScheme::Github => "github",
        HmacScheme::Gitea => "gitea",
        HmacScheme::Stripe => "stripe",
        HmacScheme::Cituro => "cituro",
        HmacScheme::Canonical { headers, tolerance } => {
            let written = |text: &str, default: &str| if text == default { String::new() } else { text.to_owned() };
            keys.put(format!("{prefix}.AuthHMACSignatureHeader"), written(&headers.signature, "X-Signature"));
            keys.put(format!("{prefix}.AuthHMACTimestampHeader"), written(&headers.timestamp, "X-Timestamp"));
            keys.put(format!("{prefix}.AuthHMACNonceHeader"), written(&headers.nonce, "X-Nonce"));
            let tolerance = Some(*tolerance).filter(|tolerance| *tolerance != Duration::from_secs(300));
            keys.duration(format!("{prefix}.AuthHMACTolerance"), tolerance);
            return;
        }
    };
    keys.put(format!("{prefix}.AuthHMACProvider"), provider);
}

fn delivery(keys: &mut Keys, prefix: &str, delivery: &Delivery) {
    retry(keys, &format!("{prefix}.Retry"), &delivery.retry);
    keys.duration(format!("{prefix}.Timeout"), Some(delivery.timeout));
    match &delivery.transport {
        Transport::Exec(exec) => {
            keys.put(format!("{prefix}.IsExec"), true);
            keys.put(format!("{prefix}.Command"), &*exec.command);
            keys.put(format!("{prefix}.URL"), &*delivery.target);
            for (name, value) in &exec.env {
                keys.put(format!("{prefix}.ExecEnv.{name}"), value.as_str());
            }
        }
        Transport::Http(http) => {
            keys.put(format!("{prefix}.URL"), &*delivery.target);
            for (at, (name, value)) in http.headers.iter().enumerate() {
                keys.put(format!("{prefix}.Headers.{at}.Name"), name.as_str());
                keys.put(format!("{prefix}.Headers.{at}.Value"), value.as_str());
            }
            if let Some(signing) = &http.signing {
                self::signing(keys, &format!("{prefix}.SigningHMAC"), signing);
            }
        }
    }
}

fn signing(keys: &mut Keys, prefix: &str, signing: &Signing) {
    keys.put(format!("{prefix}.Enabled"), true);
    keys.put(format!("{prefix}.SignatureHeader"), signing.signature_header.as_str());
    keys.put(format!("{prefix}.TimestampHeader"), signing.timestamp_header.as_str());
    keys.put(format!("{prefix}.SecretSelection"), "newest_valid");
    match &signing.secret {
        SigningSecret::Single(secret) => keys.put(format!("{prefix}.SecretRef"), reference(secret)),
        SigningSecret::Versions { versions, selection, .. } => {
            if *selection == SecretSelection::OldestValid {
                keys.put(format!("{prefix}.SecretSelection"), "oldest_valid");
            }
            for (at, version) in versions.iter().enumerate() {
                window(keys, &format!("{prefix}.SecretVersions.{at}"), version);
            }
        }
    }
}
