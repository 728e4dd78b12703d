//! What stands in front of a listener: `trusted_proxies`, `proxy_protocol`, bounds of connections.

use std::net::IpAddr;

use hookaido_model::config::{AddressCap, ClientIpHeader, Front, ProxyProtocol};

use super::Lowering;
use super::listeners::clamp;
use super::values::is_given;
use crate::read::Section;
use crate::value;

/// The directives of `ingress`, `pull_api` or `admin_api` about those in front.
pub(super) fn front(lowering: &mut Lowering, section: &Section) -> Front {
    let trusted_proxies = networks(lowering, section, "trusted_proxies");
    let client_ip_header = match lowering.one_of(section, "client_ip_header") {
        Some("x-forwarded-for") => ClientIpHeader::XForwardedFor,
        Some("forwarded") => ClientIpHeader::Forwarded,
        _ => ClientIpHeader::Auto,
    };
    if let Some(node) = section.find("client_ip_header").filter(|_| !is_given(section, "trusted_proxies")) {
        let message = "`client_ip_header` does nothing without `trusted_proxies`";
        lowering.warn("W0402", node.span, message);
    }
    Front {
        trusted_proxies,
        client_ip_header,
        proxy_protocol: section.section("proxy_protocol").and_then(|block| proxy_protocol(lowering, block)),
        max_connections: lowering.int_given(section, "max_connections").map(clamp),
        max_connections_per_ip: match lowering.int_given(section, "max_connections_per_ip") {
            None => AddressCap::Standard,
            Some(0) => AddressCap::Off,
            Some(most) => AddressCap::Most(clamp(most)),
        },
    }
}

fn proxy_protocol(lowering: &mut Lowering, section: &Section) -> Option<ProxyProtocol> {
    let from = networks(lowering, section, "from");
    let timeout = lowering.duration(section, "timeout");
    if from.is_empty() {
        if !is_given(section, "from") {
            let help = "write `from NETWORK ...`, the balancers that send it";
            lowering.error_help("E0451", section.span, "`proxy_protocol` needs `from`", help);
        }
        return None;
    }
    Some(ProxyProtocol { from, timeout })
}

/// Addresses and networks of every statement with this name.
pub(super) fn networks(lowering: &mut Lowering, section: &Section, name: &str) -> Vec<(IpAddr, u8)> {
    let mut networks = Vec::new();
    for network in lowering.texts(section, name) {
        match value::network(&network.value) {
            Some(parsed) => networks.push(parsed),
            None => {
                let message = format!("`{}` is neither an address nor a network", network.value.escape_debug());
                let help = "write it like `203.0.113.7` or `203.0.113.0/24`";
                lowering.error_help("E0214", network.span.unwrap_or_default(), message, help);
            }
        }
    }
    networks
}
