//! Conditions on client certificates.

use hookaido_model::config::ClientCertRule;

/// A condition by its kind and value, or what the value must be.
pub(crate) fn client_cert(kind: &str, value: &str) -> Result<ClientCertRule, &'static str> {
    match kind {
        "subject" if value == "*" => Ok(ClientCertRule::Any),
        "subject" if value.contains('=') => Ok(ClientCertRule::Subject(value.to_owned())),
        "subject" => Err("must be a distinguished name such as `CN=billing,O=Acme`, or `*`"),
        "common_name" => Ok(ClientCertRule::CommonName(value.to_owned())),
        "san" => san(value),
        "fingerprint" => fingerprint(value).map(ClientCertRule::Fingerprint).ok_or("must be 64 hexadecimal digits"),
        _ => Err("must be of the kind `subject`, `common_name`, `san` or `fingerprint`"),
    }
}

/// An alternative name, told by its form.
fn san(value: &str) -> Result<ClientCertRule, &'static str> {
    if let Ok(address) = value.parse::<std::net::IpAddr>() {
        return Ok(ClientCertRule::Ip(address.to_canonical()));
    }
    if let Some((scheme, rest)) = value.split_once(':') {
        let path = rest.strip_suffix("/*").unwrap_or(rest);
        let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && !path.trim_matches('/').is_empty();
        if !named || path.contains('*') {
            return Err("must be a URI such as `spiffe://cluster/ns/*`, with `*` as its last segment only");
        }
        return Ok(ClientCertRule::Uri(value.to_owned()));
    }
    if let Some((mailbox, domain)) = value.rsplit_once('@') {
        if mailbox.is_empty() || domain.is_empty() || domain.contains('*') || (mailbox != "*" && mailbox.contains('*'))
        {
            return Err("must be a mailbox such as `ops@example.com` or `*@example.com`");
        }
        return Ok(ClientCertRule::Email(format!("{mailbox}@{}", domain.to_ascii_lowercase())));
    }
    let name = value.to_ascii_lowercase();
    let bare = name.strip_prefix("*.").unwrap_or(&name).trim_end_matches('.');
    if bare.is_empty() || bare.contains(['*', '/', ' ']) {
        return Err("must be a host name or `*.example.com`, a URI, a mailbox or an address");
    }
    Ok(ClientCertRule::Dns(name.trim_end_matches('.').to_owned()))
}

/// SHA-256 in hex, with or without colons and `sha256:`.
fn fingerprint(value: &str) -> Option<[u8; 32]> {
    let value = value.to_ascii_lowercase();
    let digits: Vec<u8> = value.strip_prefix("sha256:").unwrap_or(&value).bytes().filter(|b| *b != b':').collect();
    let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|nibble| u8::try_from(nibble).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    digits.chunks(2).map(pair).collect::<Option<Vec<u8>>>()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_value_tells_what_it_is() {
        let hex = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        for (kind, value, want) in [
            ("subject", "*", ClientCertRule::Any),
            ("subject", "CN=a,O=b", ClientCertRule::Subject("CN=a,O=b".to_owned())),
            ("common_name", "Billing", ClientCertRule::CommonName("Billing".to_owned())),
            ("san", "Billing.Internal.", ClientCertRule::Dns("billing.internal".to_owned())),
            ("san", "*.Internal", ClientCertRule::Dns("*.internal".to_owned())),
            ("san", "spiffe://c/ns/a", ClientCertRule::Uri("spiffe://c/ns/a".to_owned())),
            ("san", "spiffe://c/ns/*", ClientCertRule::Uri("spiffe://c/ns/*".to_owned())),
            ("san", "urn:uuid:1", ClientCertRule::Uri("urn:uuid:1".to_owned())),
            ("san", "Ops@Example.COM", ClientCertRule::Email("Ops@example.com".to_owned())),
            ("san", "*@example.com", ClientCertRule::Email("*@example.com".to_owned())),
            ("san", "2001:db8::1", ClientCertRule::Ip("2001:db8::1".parse().unwrap())),
            ("fingerprint", hex.as_str(), ClientCertRule::Fingerprint([0xab; 32])),
            ("fingerprint", colons.as_str(), ClientCertRule::Fingerprint([0xab; 32])),
            ("fingerprint", &format!("sha256:{hex}"), ClientCertRule::Fingerprint([0xab; 32])),
        ] {
            assert_eq!(client_cert(kind, value), Ok(want), "{kind} {value}");
        }
        for (kind, value) in [
            ("subject", "billing"),
            ("san", "*"),
            ("san", "a*b"),
            ("san", "*.*.b"),
            ("san", "spiffe://*/x"),
            ("san", "spiffe:///*"),
            ("san", "*:x"),
            ("san", "o*@b"),
            ("san", "@b"),
            ("fingerprint", "ab"),
            ("fingerprint", &"g".repeat(64)),
            ("fingerprint", &"a".repeat(66)),
            ("cn", "x"),
        ] {
            assert!(client_cert(kind, value).is_err(), "{kind} {value}");
        }
    }
}
