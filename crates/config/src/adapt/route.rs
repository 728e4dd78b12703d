//! A route as JSON.

use hookaido_model::RetryPolicy;
use hookaido_model::config::{
    Channel, Delivery, HmacScheme, IngressAuth, Match, Route, RouteWork, SecretSelection, SigningSecret, Transport,
};
use serde_json::{Map, Value, json};

use super::front::networks;
use super::{hidden, rate_limit, references, time, without_password};

pub(super) fn route(route: &Route) -> Value {
    let mut object = Map::new();
    object.insert("path".into(), (*route.path).into());
    let channel = match route.channel {
        Channel::Bare | Channel::Inbound => "inbound",
        Channel::Outbound => "outbound",
        Channel::Internal => "internal",
    };
    object.insert("channel".into(), channel.into());
    object.insert("match".into(), matches(&route.matches));
    object.insert("auth".into(), auth(&route.auth));
    object.insert("rate_limit".into(), route.rate_limit.as_ref().map(rate_limit).into());
    object.insert("client_limit".into(), route.client_limit.as_ref().map(rate_limit).into());
    object.insert("max_body".into(), route.max_body.into());
    object.insert("max_headers".into(), route.max_headers.into());
    let publish = &route.publish;
    let publish = json!({"enabled": publish.enabled, "direct": publish.direct, "managed": publish.managed});
    object.insert("publish".into(), publish);
    let managed = route.managed.as_ref();
    object.insert("application".into(), managed.map(|managed| managed.application.clone()).into());
    object.insert("endpoint_name".into(), managed.map(|managed| managed.endpoint.clone()).into());
    match &route.work {
        RouteWork::Pull(pull) => {
            let backoff = pull
                .redelivery
                .backoff
                .map(|delays| json!({"base": time(delays.base), "cap": time(delays.cap), "jitter": delays.jitter}));
            let pull = json!({
                "path": &*pull.path,
                "auth": references(&pull.auth_tokens),
                "max_receives": pull.redelivery.max_receives,
                "redelivery_backoff": backoff,
            });
            object.insert("pull".into(), pull);
        }
        RouteWork::Deliver { concurrency, targets } => {
            object.insert("deliver_concurrency".into(), (*concurrency).into());
            object.insert("deliver".into(), targets.iter().map(delivery).collect::<Vec<_>>().into());
        }
    }
    Value::Object(object)
}

fn matches(matches: &Match) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Vec<Value> {
        pairs.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
    };
    let methods = if matches.methods.is_empty() { vec!["POST".to_owned()] } else { matches.methods.clone() };
    json!({
        "method": methods,
        "host": matches.hosts.iter().map(|host| host.0.as_str()).collect::<Vec<_>>(),
        "header": pairs(&matches.headers),
        "header_exists": matches.header_exists,
        "query": pairs(&matches.query),
        "query_exists": matches.query_exists,
        "remote_ip": networks(&matches.remote_ips),
        "client_cert": matches.client_certs.iter().map(|rule| {
            json!({"kind": rule.kind().as_str(), "value": rule.value()})
        }).collect::<Vec<_>>(),
    })
}

fn auth(auth: &IngressAuth) -> Value {
    match auth {
        IngressAuth::None => Value::Null,
        IngressAuth::Basic(users) => json!({"kind": "basic", "users": hidden(users.iter().map(|(user, _)| user))}),
        IngressAuth::Forward(forward) => json!({
            "kind": "forward",
            "url": without_password(&forward.url),
            "timeout": time(forward.timeout),
            "copy_headers": forward.copy_headers,
            "body_limit": forward.body_limit,
        }),
        IngressAuth::Hmac(hmac) => {
            let provider = match &hmac.scheme {
                HmacScheme::Canonical { .. } => None,
                HmacScheme::Github => Some("github"),
                HmacScheme::Gitea => Some("gitea"),
                HmacScheme::Stripe => Some("stripe"),
                HmacScheme::Cituro => Some("cituro"),
            };
            let mut object = Map::new();
            object.insert("kind".into(), "hmac".into());
            object.insert("provider".into(), provider.into());
            object.insert("secret".into(), references(&hmac.secrets).into());
            object.insert("secret_ref".into(), hmac.secret_ids.clone().into());
            if let HmacScheme::Canonical { headers, tolerance } = &hmac.scheme {
                object.insert("signature_header".into(), headers.signature.clone().into());
                object.insert("timestamp_header".into(), headers.timestamp.clone().into());
                object.insert("nonce_header".into(), headers.nonce.clone().into());
                object.insert("tolerance".into(), time(*tolerance));
            }
            Value::Object(object)
        }
    }
}

fn delivery(delivery: &Delivery) -> Value {
    let mut object = Map::new();
    match &delivery.transport {
        Transport::Http(http) => {
            object.insert("url".into(), without_password(&delivery.target).into());
            object.insert("header".into(), hidden(http.headers.iter().map(|(name, _)| name)).into());
            let sign = http.signing.as_ref().map(|signing| {
                let (secrets, selection) = match &signing.secret {
                    SigningSecret::Single(secret) => (vec![secret.to_string()], None),
                    SigningSecret::Versions { versions, pools, selection } => {
                        let ids = versions.iter().map(|version| version.id.to_string());
                        let selection = match selection {
                            SecretSelection::NewestValid => "newest_valid",
                            SecretSelection::OldestValid => "oldest_valid",
                        };
                        (ids.chain(pools.iter().map(ToString::to_string)).collect(), Some(selection))
                    }
                };
                json!({
                    "hmac": secrets,
                    "secret_selection": selection,
                    "signature_header": signing.signature_header,
                    "timestamp_header": signing.timestamp_header,
                })
            });
            object.insert("sign".into(), sign.into());
        }
        Transport::Exec(exec) => {
            object.insert("exec".into(), (*exec.command).into());
            object.insert("env".into(), hidden(exec.env.keys()).into());
        }
    }
    object.insert("retry".into(), retry(&delivery.retry));
    object.insert("timeout".into(), time(delivery.timeout));
    Value::Object(object)
}

fn retry(retry: &RetryPolicy) -> Value {
    json!({
        "kind": "exponential",
        "max": retry.max,
        "base": time(retry.base),
        "cap": time(retry.cap),
        "jitter": retry.jitter,
    })
}
