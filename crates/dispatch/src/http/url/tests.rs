use super::*;

fn parsed(text: &str) -> String {
    TargetUrl::parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).uri.to_string()
}

#[test]
fn urls_are_sent_as_written_where_that_is_possible() {
    for (text, want) in [
        ("http://a.example/in/x?token=1&k=%20", "http://a.example/in/x?token=1&k=%20"),
        ("HTTP://A.Example:80", "http://a.example/"),
        ("https://a.example:443?x=1", "https://a.example/?x=1"),
        ("https://a.example:80/", "https://a.example:80/"),
        ("http://a.example/a b/ü?q=a b#frag", "http://a.example/a%20b/%C3%BC?q=a%20b"),
        ("http://a.example/in//x/../y", "http://a.example/in//x/../y"),
        ("http://u:p%40@a.example:9/in", "http://a.example:9/in"),
        ("http://a@b@a.example/", "http://a.example/"),
        ("http://[::1]:8080/x", "http://[::1]:8080/x"),
        ("http://[::FFFF:127.0.0.1]", "http://[::ffff:127.0.0.1]/"),
        ("http://my_host.internal:8/", "http://my_host.internal:8/"),
        ("http://a.example:/x", "http://a.example/x"),
    ] {
        assert_eq!(parsed(text), want, "{text}");
    }
}

#[test]
fn unusable_urls_are_refused() {
    for (text, want) in [
        ("", UrlError::NoScheme),
        ("a.example/x", UrlError::NoScheme),
        (":bad", UrlError::NoScheme),
        ("//a.example", UrlError::NoScheme),
        ("ftp://a.example", UrlError::Scheme("ftp".to_owned())),
        ("http:a.example", UrlError::Host),
        ("http:///x", UrlError::Host),
        ("http://", UrlError::Host),
        ("http://@/", UrlError::Host),
        ("http://a b/", UrlError::Host),
        ("http://bücher.example/", UrlError::Host),
        ("http://[::1/", UrlError::Host),
        ("http://[fe80::1%25eth0]/", UrlError::Host),
        ("http://a%2eexample/", UrlError::Host),
        ("http://a.example:0/", UrlError::Port),
        ("http://a.example:99999/", UrlError::Port),
        ("http://a.example:+80/", UrlError::Port),
    ] {
        assert_eq!(TargetUrl::parse(text), Err(want), "{text}");
    }
}

#[test]
fn a_backslash_ends_the_host() {
    let url = TargetUrl::parse("http://good.example\\@evil.example/").unwrap();
    assert_eq!(url.host(), "good.example");
}

#[test]
fn user_information_becomes_credentials() {
    let of = |text: &str| TargetUrl::parse(text).unwrap().credentials.map(|v| v.to_str().unwrap().to_owned());
    assert_eq!(of("http://u:p%40@a/"), Some("Basic dTpwQA==".to_owned()));
    assert_eq!(of("http://u@a/"), Some("Basic dTo=".to_owned()));
    assert_eq!(of("http://a/"), None);
    assert!(!format!("{:?}", TargetUrl::parse("http://u:p%40@a/")).contains("dTpwQA"));
}

#[test]
fn locations_are_resolved() {
    let base = TargetUrl::parse("http://u:p@a.example:8080/b/c/d?q=1").unwrap();
    for (location, want) in [
        ("/moved", "http://a.example:8080/moved"),
        ("x?y=2", "http://a.example:8080/b/c/x?y=2"),
        ("?y=2", "http://a.example:8080/b/c/d?y=2"),
        ("#f", "http://a.example:8080/b/c/d?q=1"),
        ("//other.example/x", "http://other.example/x"),
        ("https://other.example/x:y", "https://other.example/x:y"),
        ("x/y:z", "http://a.example:8080/b/c/x/y:z"),
    ] {
        assert_eq!(base.join(location).unwrap().uri.to_string(), want, "{location}");
    }
    assert!(base.join("/moved").unwrap().credentials.is_some());
    assert!(base.join("//other.example/").unwrap().credentials.is_none());
    assert!(base.join("http://a.example:8081/").unwrap().credentials.is_none());
    assert_eq!(base.join(":bad"), Err(UrlError::NoScheme));
    assert_eq!(base.join("ftp://x/"), Err(UrlError::Scheme("ftp".to_owned())));
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_written_gives_a_plain_uri_or_an_error(text in r"(https?|HTTP|ftp)?:?/{0,3}[\[\]a-zA-Z0-9@:.%\\/?# ü_-]{0,40}") {
            if let Ok(url) = TargetUrl::parse(&text) {
                let authority = url.uri.authority().unwrap().as_str();
                prop_assert!(!authority.contains(['@', '\\', '%']) && !url.host().is_empty());
                prop_assert!(matches!(url.scheme(), "http" | "https"));
                prop_assert!(url.uri.path().starts_with('/'));
                let again = TargetUrl::parse(&url.uri.to_string()).unwrap();
                prop_assert_eq!(again.uri, url.uri);
            }
        }

        #[test]
        fn a_location_leads_to_a_plain_uri_or_an_error(location in r"(https?:)?/{0,3}[\[\]a-z0-9@:.%\\/?# ü]{0,30}") {
            let base = TargetUrl::parse("http://u:p@a.example/b/c").unwrap();
            if let Ok(url) = base.join(&location) {
                prop_assert!(!url.uri.authority().unwrap().as_str().contains('@'));
                prop_assert!(url.same_origin(&base) || url.credentials != base.credentials);
            }
        }
    }
}
