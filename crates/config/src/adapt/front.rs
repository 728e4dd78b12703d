//! What stands in front of a listener, as JSON.

use std::net::IpAddr;

use hookaido_model::config::{AddressCap, Front};
use serde_json::{Value, json};

use super::time;

/// Networks as text.
pub(super) fn networks(networks: &[(IpAddr, u8)]) -> Vec<String> {
    networks.iter().map(|(address, bits)| format!("{address}/{bits}")).collect()
}

/// `trusted_proxies` and its neighbours.
pub(super) fn front(front: &Front) -> Value {
    let Front { trusted_proxies, client_ip_header, proxy_protocol, max_connections, max_connections_per_ip } = front;
    json!({
        "trusted_proxies": networks(trusted_proxies),
        "client_ip_header": client_ip_header.as_str(),
        "proxy_protocol": proxy_protocol.as_ref().map(|proxy| {
            json!({"from": networks(&proxy.from), "timeout": time(proxy.timeout)})
        }),
        "max_connections": max_connections,
        "max_connections_per_ip": match max_connections_per_ip {
            AddressCap::Standard => "standard".into(),
            AddressCap::Off => Value::Null,
            AddressCap::Most(most) => (*most).into(),
        },
    })
}
