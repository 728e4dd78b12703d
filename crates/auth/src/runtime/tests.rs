use std::collections::BTreeMap;

use super::*;
use crate::FixedSecrets;
use hookaido_model::SecretRef;
use hookaido_model::config::{SecretPool, SecretVersion};

const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const KEEP: Duration = Duration::from_secs(2);
const NOW: UnixMillis = UnixMillis(1_700_000_000_999);

fn at(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

fn wanted(pools: &[(&str, Option<&str>, u32)]) -> BTreeMap<String, SecretPool> {
    let pool = |(name, value, max_versions): &(&str, Option<&str>, u32)| {
        let initial = value.map(|value| SecretVersion {
            id: (*name).into(),
            value: SecretRef::parse(value).unwrap(),
            valid_from: Some(UnixMillis(0)),
            valid_until: None,
        });
        ((*name).to_owned(), SecretPool::Runtime { id: (*name).into(), initial, max_versions: *max_versions })
    };
    pools.iter().map(pool).collect()
}

/// A process that has taken a configuration.
fn started(file: Option<&Path>, pools: &[(&str, Option<&str>, u32)]) -> RuntimeSecrets {
    let secrets = RuntimeSecrets::new(Some(KEY), None, file.map(Path::to_owned));
    reload(&secrets, pools);
    secrets
}

fn reload(secrets: &RuntimeSecrets, pools: &[(&str, Option<&str>, u32)]) -> SecretPools {
    let prepared = secrets.prepare(&wanted(pools), &FixedSecrets::default(), NOW).unwrap();
    let pools = prepared.pools.clone();
    secrets.commit(prepared, KEEP);
    pools
}

fn new(value: &str, from: Option<i64>, until: Option<i64>) -> NewVersion {
    NewVersion { value: SecretValue::new(value), not_before: from.map(at), not_after: until.map(at) }
}

fn ids(secrets: &RuntimeSecrets, pool: &str) -> Vec<String> {
    secrets.versions(pool).unwrap().iter().map(|version| version.id.to_string()).collect()
}

/// Whether a version of the pool has this value.
fn knows(secrets: &RuntimeSecrets, pool: &str, value: &str) -> bool {
    let mac = crate::pool::MacKey::new(&SecretValue::new(value)).sign(&[b"x"]);
    secrets.versions(pool).unwrap().iter().any(|version| version.key.sign(&[b"x"]) == mac)
}

#[test]
fn versions_survive_a_restart_and_a_removed_one_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db-secrets");
    let secrets = started(Some(&path), &[("p", None, 8)]);
    let first = secrets.add("p", &new("first", Some(-5000), Some(60_000)), NOW).unwrap();
    let second = secrets.add("p", &new("second", None, None), NOW).unwrap();
    assert_eq!((second.not_before, second.not_after), (UnixMillis(1_700_000_000_000), None), "all of this second");
    secrets.add("p", &new("third", None, None), NOW).unwrap();
    assert_eq!(ids(&secrets, "p")[1..], [second.id.to_string(), first.id.to_string()]);
    secrets.remove("p", &second.id).unwrap();
    assert!(matches!(secrets.remove("p", &second.id), Err(ChangeError::NoVersion)));
    let left = ids(&secrets, "p");
    drop(secrets);

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("first") && !text.contains("third"), "{text}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let secrets = started(Some(&path), &[("p", None, 8)]);
    assert_eq!(ids(&secrets, "p"), left);
    assert!(knows(&secrets, "p", "first") && knows(&secrets, "p", "third") && !knows(&secrets, "p", "second"));
    let version = &secrets.versions("p").unwrap()[1];
    assert_eq!((version.valid_from, version.valid_until), (Some(at(-5000)), Some(at(60_000))));
}

#[test]
fn the_first_version_of_the_configuration_seeds_an_empty_pool_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db-secrets");
    let seeded = [("p", Some("raw:boot"), 8)];
    let secrets = started(Some(&path), &seeded);
    assert_eq!(ids(&secrets, "p"), ["sec_bootstrap"]);
    let added = secrets.add("p", &new("k", None, None), NOW).unwrap();
    drop(secrets);
    // its value is not read again: the variable may be gone
    let secrets = started(Some(&path), &[("p", Some("env:GONE"), 8)]);
    assert!(knows(&secrets, "p", "boot") && knows(&secrets, "p", "k"));
    secrets.remove("p", "sec_bootstrap").unwrap();
    reload(&secrets, &seeded);
    assert_eq!(ids(&secrets, "p"), [added.id.to_string()]);
    secrets.remove("p", &added.id).unwrap();
    reload(&secrets, &seeded);
    assert!(ids(&secrets, "p").is_empty(), "a reload does not bring back what was deleted");
    let error = RuntimeSecrets::new(Some(KEY), None, None).prepare(
        &wanted(&[("p", Some("env:GONE"), 8)]),
        &FixedSecrets::default(),
        NOW,
    );
    assert!(error.unwrap_err().to_string().contains("GONE"));
}

#[test]
fn a_reload_keeps_pools_that_stay_and_parks_those_that_go() {
    let secrets = started(None, &[("p", None, 8), ("q", None, 8)]);
    let before = reload(&secrets, &[("p", None, 8), ("q", None, 8)]);
    secrets.add("q", &new("k", None, None), NOW).unwrap();
    let after = reload(&secrets, &[("p", None, 8)]);
    assert!(Arc::ptr_eq(before.get("p").unwrap(), after.get("p").unwrap()));
    assert!(secrets.versions("q").is_none());
    assert!(matches!(secrets.add("q", &new("k", None, None), NOW), Err(ChangeError::NoPool)));
    assert!(matches!(secrets.remove("q", "x"), Err(ChangeError::NoPool)));
    reload(&secrets, &[("q", None, 8)]);
    assert!(knows(&secrets, "q", "k"), "what was added is there again");
    // a preparation that is given up changes nothing
    drop(secrets.prepare(&wanted(&[("r", Some("raw:x"), 8)]), &FixedSecrets::default(), NOW).unwrap());
    assert!(secrets.versions("r").is_none() && secrets.versions("q").is_some());
}

#[test]
fn a_full_pool_makes_room_with_what_has_ended() {
    let secrets = started(None, &[("p", None, 2)]);
    secrets.add("p", &new("old", Some(-9000), Some(-10)), NOW).unwrap();
    secrets.add("p", &new("older", Some(-9000), Some(-20)), NOW).unwrap();
    secrets.add("p", &new("a", None, None), NOW).unwrap();
    assert!(knows(&secrets, "p", "old") && !knows(&secrets, "p", "older"));
    secrets.add("p", &new("b", None, Some(50)), NOW).unwrap();
    assert!(matches!(secrets.add("p", &new("c", None, None), NOW), Err(ChangeError::Full(2))));
    secrets.add("p", &new("c", None, None), at(50)).unwrap();
    // a lower cap removes nothing by itself
    reload(&secrets, &[("p", None, 1)]);
    assert_eq!(ids(&secrets, "p").len(), 2);
    assert!(matches!(secrets.add("p", &new("d", None, None), NOW), Err(ChangeError::Full(2))));
}

#[test]
fn a_sweep_removes_what_ended_long_enough_ago() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db-secrets");
    let secrets = started(Some(&path), &[("p", None, 8), ("q", None, 8)]);
    for (pool, value, until) in [("p", "a", -3000), ("p", "b", -1000), ("q", "c", -3000)] {
        secrets.add(pool, &new(value, Some(-9000), Some(until)), NOW).unwrap();
    }
    reload(&secrets, &[("p", None, 8)]);
    let removed = secrets.sweep(NOW).unwrap();
    assert_eq!(removed, [("p".into(), 1), ("q".into(), 1)]);
    assert!(!knows(&secrets, "p", "a") && knows(&secrets, "p", "b"));
    assert!(secrets.sweep(NOW).unwrap().is_empty());
    assert_eq!(ids(&started(Some(&path), &[("p", None, 8)]), "p").len(), 1);
}

#[test]
fn a_key_is_needed_by_pools_only_and_must_be_the_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db-secrets");
    let prepare = |key, previous, pools: &[(&str, Option<&str>, u32)]| {
        let secrets = RuntimeSecrets::new(key, previous, Some(path.clone()));
        secrets.prepare(&wanted(pools), &FixedSecrets::default(), NOW).map(|prepared| secrets.commit(prepared, KEEP))
    };
    let p = [("p", None, 8)];
    assert!(prepare(None, None, &[]).is_ok() && prepare(Some("x"), None, &[]).is_ok());
    assert!(matches!(prepare(None, None, &p), Err(RuntimeError::NoKey)));
    assert!(matches!(prepare(Some(" "), None, &p), Err(RuntimeError::NoKey)));
    assert!(matches!(prepare(Some("x"), None, &p), Err(RuntimeError::Key(KEY_VARIABLE, _))));
    assert!(matches!(prepare(Some(KEY), Some("x"), &p), Err(RuntimeError::Key(PREVIOUS_KEY_VARIABLE, _))));
    started(Some(&path), &p).add("p", &new("k", None, None), NOW).unwrap();
    assert!(matches!(prepare(Some(OTHER), None, &p), Err(RuntimeError::OtherKey { .. })));
    assert!(prepare(Some(OTHER), None, &[("q", None, 8)]).is_ok(), "a pool that nobody has does not stand in the way");
    assert!(prepare(Some(OTHER), Some(KEY), &p).is_ok());
    // sealed anew: the key before is no longer needed
    assert!(prepare(Some(OTHER), None, &p).is_ok());
    assert!(matches!(prepare(Some(KEY), None, &p), Err(RuntimeError::OtherKey { .. })));
}

#[test]
fn a_file_that_was_changed_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db-secrets");
    started(Some(&path), &[("p", None, 8)]).add("p", &new("k", None, Some(5000)), NOW).unwrap();
    let good = std::fs::read_to_string(&path).unwrap();
    let until = at(5000).0.to_string();
    for (text, what) in [
        (good.replace(&until, "9700000000000"), "was changed"),
        (good.replace("\"pool\": \"p\"", "\"pool\": \"q\""), ""),
        (good.replace("\"format\": 1", "\"format\": 2"), "later version"),
        (good.replace("\"sealed\": \"", "\"sealed\": \"!"), "not base64"),
        (good.replace("\"format\"", "\"other\""), "not a file of runtime secrets"),
        (good.replace("}", ""), "not a file of runtime secrets"),
        (String::new(), "not a file of runtime secrets"),
    ] {
        assert_ne!(text, good);
        std::fs::write(&path, &text).unwrap();
        let secrets = RuntimeSecrets::new(Some(KEY), None, Some(path.clone()));
        let pools = if what.is_empty() { wanted(&[("q", None, 8)]) } else { wanted(&[("p", None, 8)]) };
        let error = secrets.prepare(&pools, &FixedSecrets::default(), NOW).unwrap_err().to_string();
        assert!(error.contains(if what.is_empty() { "was changed" } else { what }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn what_cannot_be_written_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("gone");
    std::fs::create_dir(&folder).unwrap();
    let secrets = started(Some(&folder.join("db-secrets")), &[("p", None, 8)]);
    let kept = secrets.add("p", &new("k", None, Some(1)), NOW).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(secrets.add("p", &new("lost", None, None), NOW), Err(ChangeError::Save(_))));
    assert!(matches!(secrets.remove("p", &kept.id), Err(ChangeError::Save(_))));
    assert!(matches!(secrets.sweep(at(3000)), Err(ChangeError::Save(_))));
    assert_eq!(ids(&secrets, "p"), [kept.id.to_string()]);
    assert!(!knows(&secrets, "p", "lost"));
    std::fs::create_dir(&folder).unwrap();
    secrets.add("p", &new("later", None, None), NOW).unwrap();
    assert_eq!(ids(&started(Some(&folder.join("db-secrets")), &[("p", None, 8)]), "p").len(), 2);
}
