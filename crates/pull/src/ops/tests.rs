use super::*;

fn limits() -> PullLimits {
    PullLimits {
        max_batch: 100,
        max_lease_batch: 3,
        default_lease_ttl: Duration::from_secs(20),
        max_lease_ttl: Some(Duration::from_secs(60)),
        default_max_wait: Duration::from_secs(1),
        max_wait: Some(Duration::from_secs(5)),
        sse_keepalive: None,
        sse_max_connection: None,
    }
}

fn wish(batch: Option<i64>, lease_ttl: Option<u64>, max_wait: Option<u64>) -> (u32, u64, u64) {
    let secs = |secs: Option<u64>| secs.map(Duration::from_secs);
    let wish = Wish { batch, lease_ttl: secs(lease_ttl), max_wait: secs(max_wait), max_bytes: None }
        .within(&limits(), LaneId(7));
    assert_eq!(wish.lane, LaneId(7));
    (wish.max, wish.ttl.as_secs(), wish.max_wait.as_secs())
}

#[test]
fn wishes_are_held_within_the_limits() {
    assert_eq!(wish(None, None, None), (1, 20, 1));
    assert_eq!(wish(Some(50), Some(40), Some(3)), (50, 40, 3));
    assert_eq!(wish(Some(500), Some(400), Some(30)), (100, 60, 5));
    assert_eq!(wish(Some(i64::MAX), None, None), (100, 20, 1));
    assert_eq!(wish(Some(0), Some(0), Some(0)), (1, 30, 0));
    assert_eq!(wish(Some(-5), None, None), (1, 20, 1));
}

#[test]
fn without_limits_wishes_are_as_asked() {
    let limits = PullLimits { max_lease_ttl: None, max_wait: None, ..limits() };
    let wish = Wish {
        lease_ttl: Some(Duration::from_secs(9999)),
        max_wait: Some(Duration::from_secs(999)),
        ..Wish::default()
    };
    let wish = wish.within(&limits, LaneId(1));
    assert_eq!((wish.ttl.as_secs(), wish.max_wait.as_secs()), (9999, 999));
}

fn named(one: Option<&str>, many: Option<&[&str]>) -> Result<Leases, NamingError> {
    let many = many.map(|many| many.iter().map(|name| (*name).to_owned()).collect());
    Leases::named(one.map(str::to_owned), many, 3)
}

#[test]
fn leases_are_named_in_one_form() {
    let many = |names: &[&str]| Ok(Leases::Many(names.iter().map(|name| (*name).to_owned()).collect()));
    assert_eq!(named(Some(" a "), None), Ok(Leases::One("a".to_owned())));
    assert_eq!(named(Some("a"), Some(&[])), Ok(Leases::One("a".to_owned())));
    assert_eq!(named(Some(""), Some(&["b"])), many(&["b"]));
    assert_eq!(named(None, Some(&["a", "b", " a", "", "c", "c"])), many(&["a", "b", "c"]));
    assert_eq!(named(Some("a"), Some(&["b"])), Err(NamingError::Both));
    assert_eq!(named(None, Some(&["a", "b", "c", "d"])), Err(NamingError::TooMany { most: 3 }));
    assert_eq!(named(None, Some(&[" ", ""])), Err(NamingError::Blank));
    for (one, many) in [(None, None), (Some(" "), None), (None, Some(&[][..]))] {
        assert_eq!(named(one, many), Err(NamingError::Neither), "{one:?} {many:?}");
    }
}
