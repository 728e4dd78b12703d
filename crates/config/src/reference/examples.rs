//! One example for every kind of block. Together they use every directive; a test compiles each.

use crate::Context;

/// A complete file that shows a kind of block.
#[must_use]
pub fn example(context: Context) -> &'static str {
    match context {
        Context::Top => TOP,
        Context::Ingress | Context::RateLimit => INGRESS,
        Context::PullApi => PULL_API,
        Context::AdminApi => ADMIN_API,
        Context::Tls => TLS,
        Context::QueueLimits
        | Context::QueueRetention
        | Context::DeliveredRetention
        | Context::DlqRetention
        | Context::AttemptsRetention => STORAGE,
        Context::Secrets | Context::Secret => SECRETS,
        Context::Vars => VARS,
        Context::Defaults | Context::Egress | Context::PublishPolicy | Context::DeliverDefaults => DEFAULTS,
        Context::TrendSignals | Context::AdaptiveBackpressure => SIGNALS,
        Context::Observability | Context::AccessLog | Context::RuntimeLog | Context::Metrics => OBSERVABILITY,
        Context::Tracing | Context::TracingTls | Context::TracingRetry => TRACING,
        Context::Channel => CHANNEL,
        Context::Route | Context::Publish | Context::Queue | Context::Pull => ROUTE,
        Context::Match => MATCH,
        Context::HmacAuth => HMAC_AUTH,
        Context::ForwardAuth => FORWARD_AUTH,
        Context::Deliver => DELIVER,
    }
}

const TOP: &str = r#"pull_api {
  auth token env:PULL_TOKEN
}

@push {
  header "X-GitHub-Event" "push"
}

/webhooks/github {
  match @push
  auth hmac {
    provider github
    secret env:GITHUB_SECRET
  }
  pull {
    path /github
  }
}
"#;

const INGRESS: &str = r#"ingress {
  listen :8080
  rate_limit {
    rps 100
    burst 200
  }
}

/webhooks {
  rate_limit {
    rps 2.5
  }
  deliver "https://ci.example/build" {
  }
}
"#;

const PULL_API: &str = r#"pull_api {
  listen :9443
  grpc_listen 127.0.0.1:9943
  prefix /pull
  auth token env:PULL_TOKEN
  auth token file:/run/secrets/next_pull_token
  max_batch 100
  max_lease_batch 100
  default_lease_ttl 30s
  max_lease_ttl 5m
  default_max_wait 0
  max_wait 30s
  sse_keepalive 15s
  sse_max_connection 1h
}

/webhooks {
  pull {
    path /webhooks
  }
}
"#;

const ADMIN_API: &str = r#"admin_api {
  listen 127.0.0.1:2019
  prefix /admin
  auth token env:ADMIN_TOKEN
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const TLS: &str = r#"ingress {
  tls {
    cert_file /etc/hookaido/tls.crt
    key_file /etc/hookaido/tls.key
    client_ca /etc/hookaido/clients.pem
    client_auth require_and_verify
  }
}

pull_api {
  auth token env:PULL_TOKEN
  tls {
    cert_file /etc/hookaido/tls.crt
    key_file /etc/hookaido/tls.key
  }
}

admin_api {
  tls {
    cert_file /etc/hookaido/tls.crt
    key_file /etc/hookaido/tls.key
  }
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const STORAGE: &str = r#"queue_limits {
  max_depth 10000
  drop_policy reject
}

queue_retention {
  max_age 7d
  prune_interval 5m
}

delivered_retention {
  max_age 24h
}

dlq_retention {
  max_age 30d
  max_depth 10000
}

attempts_retention {
  max_age 7d
  max_rows off
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const SECRETS: &str = r#"secrets {
  secret "2026a" {
    value env:SECRET_A
    valid_from "2026-01-01T00:00:00Z"
    valid_until "2026-07-01T00:00:00Z"
  }
  secret "partner" {
    runtime true
    max_versions 16
  }
}

pull_api {
  auth token env:PULL_TOKEN
}

/webhooks {
  auth hmac secret_ref "2026a"
  pull {
    path /webhooks
  }
}
"#;

const VARS: &str = r#"vars {
  BASE "https://ci.example"
  BUILD "{vars.BASE}/build"
}

/webhooks {
  deliver "{vars.BUILD}" {
  }
}
"#;

const DEFAULTS: &str = r#"defaults {
  max_body 2mb
  max_headers 64kb

  egress {
    allow "*.example.com" 203.0.113.0/24
    deny 169.254.0.0/16
    https_only on
    redirects off
    dns_rebind_protection on
  }

  publish_policy {
    direct on
    managed on
    allow_pull_routes on
    allow_deliver_routes on
    require_actor off
    require_request_id off
    fail_closed off
    actor_allow ci-bot
    actor_prefix deploy-
  }

  deliver {
    retry exponential max 8 base 2s cap 2m jitter 0.2
    timeout 10s
    concurrency 20
  }
}

/webhooks {
  deliver "https://ci.example.com/build" {
  }
}
"#;

const SIGNALS: &str = r#"defaults {
  trend_signals {
    window 15m
    expected_capture_interval 1m
    stale_grace_factor 3
    sustained_growth_consecutive 3
    sustained_growth_min_samples 5
    sustained_growth_min_delta 10
    recent_surge_min_total 20
    recent_surge_min_delta 10
    recent_surge_percent 50
    dead_share_high_min_total 10
    dead_share_high_percent 20
    queued_pressure_min_total 20
    queued_pressure_percent 75
    queued_pressure_leased_multiplier 2
  }

  adaptive_backpressure {
    enabled on
    min_total 200
    queued_percent 80
    ready_lag 30s
    oldest_queued_age 60s
    sustained_growth on
  }
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const OBSERVABILITY: &str = r#"observability {
  access_log {
    enabled on
    output file
    path /var/log/hookaido/access.log
    format json
  }
  runtime_log {
    level info
    output file
    path /var/log/hookaido/runtime.log
    format json
  }
  metrics {
    enabled on
    listen 127.0.0.1:9900
    prefix /metrics
  }
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const TRACING: &str = r#"observability {
  tracing {
    enabled on
    collector "https://otel.example"
    url_path /v1/traces
    timeout 10s
    compression gzip
    insecure off
    proxy_url "http://proxy.example:3128"
    header "X-Tenant" "hooks"
    tls {
      ca_file /etc/hookaido/ca.pem
      cert_file /etc/hookaido/otel.crt
      key_file /etc/hookaido/otel.key
      server_name otel.example
      insecure_skip_verify off
    }
    retry {
      enabled on
      initial_interval 5s
      max_interval 30s
      max_elapsed_time 1m
    }
  }
}

/webhooks {
  deliver "https://ci.example/build" {
  }
}
"#;

const CHANNEL: &str = r#"pull_api {
  auth token env:PULL_TOKEN
}

inbound {
  /webhooks/stripe {
    pull {
      path /stripe
    }
  }
}

outbound /notify {
  deliver "https://hooks.example/notify" {
  }
}

internal {
  /jobs/report {
    pull {
      path /reports
    }
  }
}
"#;

const ROUTE: &str = r#"pull_api {
  auth token env:PULL_TOKEN
}

/webhooks/github {
  application ci
  endpoint_name push
  match {
    method POST
  }
  rate_limit {
    rps 50
  }
  auth basic "github" "{env.GITHUB_PASSWORD}"
  publish {
    enabled on
    direct off
    managed on
  }
  queue {
    backend sqlite
  }
  max_body 5mb
  max_headers 32kb
  pull {
    path /github
    auth token env:GITHUB_WORKER_TOKEN
  }
}

/webhooks/gitlab {
  publish.direct off
  publish.managed on
  deliver_concurrency 5
  deliver "https://ci.example/build" {
  }
}
"#;

const MATCH: &str = r#"pull_api {
  auth token env:PULL_TOKEN
}

/webhooks/github {
  match {
    method POST PUT
    host hooks.example.com "*.example.org"
    header "X-GitHub-Event" "push"
    header_exists "X-GitHub-Delivery"
    query "env" "production"
    query_exists "token"
    remote_ip 203.0.113.0/24 2001:db8::/32
  }
  pull {
    path /github
  }
}
"#;

const HMAC_AUTH: &str = r#"secrets {
  secret "2026a" {
    value env:SECRET_A
    valid_from "2026-01-01T00:00:00Z"
  }
}

pull_api {
  auth token env:PULL_TOKEN
}

/webhooks/github {
  auth hmac {
    provider github
    secret env:GITHUB_SECRET
  }
  pull {
    path /github
  }
}

/webhooks/partner {
  auth hmac {
    secret_ref "2026a"
    signature_header "X-Signature"
    timestamp_header "X-Timestamp"
    nonce_header "X-Nonce"
    tolerance 5m
  }
  pull {
    path /partner
  }
}
"#;

const FORWARD_AUTH: &str = r#"pull_api {
  auth token env:PULL_TOKEN
}

/webhooks {
  auth forward "https://auth.example/check" {
    timeout 2s
    copy_headers "X-User" "X-Tenant"
    body_limit 64kb
  }
  pull {
    path /webhooks
  }
}
"#;

const DELIVER: &str = r#"/webhooks/github {
  deliver "https://ci.example/build" {
    retry exponential max 5 base 1s cap 30s jitter 0.1
    timeout 10s
    header "Authorization" "Bearer {env.CI_TOKEN}"
    sign hmac env:CI_SECRET
    sign signature_header "X-Signature"
    sign timestamp_header "X-Timestamp"
  }
}

/webhooks/deploy {
  deliver exec /opt/hooks/deploy.sh {
    timeout 30s
    env DEPLOY_ENV production
  }
}
"#;
