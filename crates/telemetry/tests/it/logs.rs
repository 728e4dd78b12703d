//! Lines of the runtime log and the access log.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::config::{AccessLog as AccessConfig, LogLevel, LogOutput, RuntimeLog};
use hookaido_model::{ManualClock, UnixMillis};
use hookaido_telemetry::log::layer::JsonLayer;
use hookaido_telemetry::{AccessLine, ClientLine, LogError, LogHandles, build_logs};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

const WAIT: Duration = Duration::from_secs(10);

fn file(path: &Path) -> LogOutput {
    LogOutput::File(path.to_str().unwrap().to_owned())
}

fn runtime(path: &Path, level: Option<LogLevel>) -> RuntimeLog {
    RuntimeLog { level, output: file(path) }
}

fn access(path: &Path, enabled: bool) -> AccessConfig {
    AccessConfig { enabled, output: file(path) }
}

fn logs(runtime: &RuntimeLog, access: &AccessConfig, cli: Option<LogLevel>) -> (LogHandles, JsonLayer) {
    let clock = ManualClock::at(UnixMillis(1_770_379_200_007));
    build_logs(runtime, access, cli, Arc::new(clock)).unwrap()
}

fn lines(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn a_line(path: &str) -> AccessLine<'_> {
    AccessLine {
        component: "ingress",
        method: "POST",
        path,
        status: 202,
        grpc_status: None,
        bytes: 20,
        duration: Duration::from_nanos(1_435_745),
        remote: "127.0.0.1:48424".parse().unwrap(),
        via: None,
        client: ClientLine::None,
    }
}

#[test]
fn an_event_is_a_line_with_time_level_and_name_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runtime.log");
    let (handles, layer) = logs(&runtime(&path, None), &access(&path, false), None);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let error = std::io::Error::other("it \"broke\"\n");
        tracing::warn!(
            target: "hookaido",
            route = %"/hooks/a",
            attempt = 2_u32,
            delay = u64::try_from(Duration::from_millis(50).as_nanos()).unwrap(),
            shared = false,
            share = 0.5,
            %error,
            "delivery_retry"
        );
        tracing::debug!(target: "hookaido", "too_quiet");
    });
    handles.flush(WAIT);
    let text = fs::read_to_string(&path).unwrap();
    let start =
        "{\"time\":\"2026-02-06T12:00:00.007Z\",\"level\":\"WARN\",\"msg\":\"delivery_retry\",\"route\":\"/hooks/a\",";
    assert!(text.starts_with(start), "{text}");
    assert_eq!(
        lines(&path),
        [json!({"time": "2026-02-06T12:00:00.007Z", "level": "WARN", "msg": "delivery_retry", "route": "/hooks/a",
                "attempt": 2, "delay": 50_000_000, "shared": false, "share": 0.5, "error": "it \"broke\"\n"})]
    );
}

#[test]
fn the_level_of_the_command_line_wins_over_all_but_off() {
    for (file_level, cli, shown) in [
        (None, None, vec!["INFO", "WARN", "ERROR"]),
        (Some(LogLevel::Warn), None, vec!["WARN", "ERROR"]),
        (Some(LogLevel::Warn), Some(LogLevel::Debug), vec!["DEBUG", "INFO", "WARN", "ERROR"]),
        (Some(LogLevel::Debug), Some(LogLevel::Error), vec!["ERROR"]),
        (Some(LogLevel::Off), None, vec![]),
        (Some(LogLevel::Off), Some(LogLevel::Debug), vec![]),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("runtime.log");
        let (handles, layer) = logs(&runtime(&path, file_level), &access(&path, false), cli);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "hookaido", "m");
            tracing::info!(target: "hookaido", "m");
            tracing::warn!(target: "hookaido", "m");
            tracing::error!(target: "hookaido", "m");
        });
        handles.flush(WAIT);
        let levels: Vec<String> = lines(&path).iter().map(|line| line["level"].as_str().unwrap().to_owned()).collect();
        assert_eq!(levels, shown);
    }
}

#[test]
fn level_and_output_change_while_running() {
    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first.log"), dir.path().join("second.log"));
    let (handles, layer) = logs(&runtime(&first, Some(LogLevel::Error)), &access(&first, false), None);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        let emit = |at: &str| tracing::info!(target: "hookaido", at, "event");
        emit("before");
        handles.reload(&runtime(&second, Some(LogLevel::Info)), &access(&second, true), None).unwrap();
        emit("after");
    });
    handles.access().write(&a_line("/a"));
    handles.flush(WAIT);
    assert_eq!(lines(&first), Vec::<Value>::new());
    let seen: Vec<Value> = lines(&second).iter().map(|line| line["msg"].clone()).collect();
    assert_eq!(seen, ["event", "http_request"]);
}

#[test]
fn a_failed_reload_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runtime.log");
    let (handles, layer) = logs(&runtime(&path, None), &access(&path, true), None);
    let missing = dir.path().join("no/such/folder/access.log");
    let error = handles.reload(&runtime(&path, Some(LogLevel::Off)), &access(&missing, true), None).unwrap_err();
    assert!(matches!(&error, LogError::Open { path, .. } if path.ends_with("access.log")), "{error}");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(target: "hookaido", "still_here");
    });
    handles.access().write(&a_line("/a"));
    handles.flush(WAIT);
    assert_eq!(lines(&path).len(), 2);
}

#[test]
fn other_crates_are_shown_from_warn_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("runtime.log");
    let (handles, layer) = logs(&runtime(&path, Some(LogLevel::Debug)), &access(&path, false), None);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(target: "h2::server", "chatter");
        tracing::warn!(target: "h2::server", "trouble");
        tracing::debug!(target: "hookaido_queue", "ours");
    });
    handles.flush(WAIT);
    let seen: Vec<Value> = lines(&path).iter().map(|line| line["msg"].clone()).collect();
    assert_eq!(seen, ["trouble", "ours"]);
}

#[test]
fn a_request_is_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, true), None);
    assert!(handles.access().enabled());
    handles.access().write(&a_line("/hooks/a\"b"));
    handles.flush(WAIT);
    assert_eq!(
        lines(&path),
        [json!({"time": "2026-02-06T12:00:00.007Z", "level": "INFO", "msg": "http_request", "component": "ingress",
                "method": "POST", "path": "/hooks/a\"b", "status": 202, "bytes": 20, "duration": 1_435_745,
                "remote_addr": "127.0.0.1:48424"})]
    );
}

#[test]
fn a_line_says_who_came_through_whom_and_with_which_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, true), None);
    let names = ["uri:spiffe://c/\"x\"".to_owned(), "dns:".to_owned() + &"n".repeat(600)];
    let verified = ClientLine::Verified { subject: "CN=a\\,b", names: &names, fingerprint: "ab" };
    let (remote, via) = ("198.51.100.7:0".parse().unwrap(), Some("10.0.0.1:80".parse().unwrap()));
    handles.access().write(&AccessLine { remote, via, client: verified, ..a_line("/") });
    handles.access().write(&AccessLine { client: ClientLine::Unverified, ..a_line("/") });
    handles.flush(WAIT);
    let lines = lines(&path);
    let member = |line: usize, name: &str| lines[line].get(name).cloned().unwrap_or_default();
    assert_eq!((member(0, "remote_addr"), member(0, "via")), ("198.51.100.7".into(), "10.0.0.1:80".into()));
    assert_eq!(member(0, "client_cert"), "verified");
    assert_eq!((member(0, "client_subject"), member(0, "client_fingerprint")), ("CN=a\\,b".into(), "ab".into()));
    assert_eq!(member(0, "client_san")[0], names[0]);
    assert_eq!(member(0, "client_san")[1].as_str().unwrap().len(), 512);
    assert_eq!((member(1, "client_cert"), member(1, "client_subject")), ("unverified".into(), Value::Null));
}

#[test]
fn a_long_path_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, true), None);
    handles.access().write(&a_line(&"/é".repeat(2000)));
    handles.flush(WAIT);
    assert_eq!(lines(&path)[0]["path"].as_str().unwrap().len(), 2047);
}

#[test]
fn an_access_log_that_is_off_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("both.log");
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, false), None);
    assert!(!handles.access().enabled());
    handles.access().write(&a_line("/a"));
    handles.flush(WAIT);
    assert_eq!(lines(&path), Vec::<Value>::new());
}

#[test]
fn a_moved_file_is_opened_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("access.log"), dir.path().join("access.log.1"));
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, true), None);
    handles.access().write(&a_line("/1"));
    handles.flush(WAIT);
    fs::rename(&path, &moved).unwrap();
    handles.reopen();
    handles.access().write(&a_line("/2"));
    handles.flush(WAIT);
    assert_eq!(lines(&moved)[0]["path"], "/1");
    assert_eq!(lines(&path)[0]["path"], "/2");
}

#[test]
fn lines_of_many_threads_are_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("access.log");
    let (handles, _layer) = logs(&runtime(&path, None), &access(&path, true), None);
    let log = handles.access();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| log.write(&a_line("/hooks/a"))));
        }
    });
    handles.flush(WAIT);
    assert_eq!(lines(&path).len(), 2000);
    assert_eq!(handles.dropped().access, 0);
}

/// A pipe that nobody reads takes no more after 64 KiB: writers must go on, and the loss must be counted.
#[cfg(target_os = "linux")]
#[test]
fn a_stuck_output_loses_lines_and_delays_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    // Opened for both, so that opening waits for nobody.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let (handles, _layer) = logs(&runtime(&dir.path().join("runtime.log"), None), &access(&path, true), None);
    let log = handles.access();
    let total = 20_000;
    for _ in 0..total {
        log.write(&a_line("/hooks/a"));
    }
    let dropped = handles.dropped().access;
    assert!(dropped > 1000 && dropped < total, "{dropped}");
    // Let the writer out, so that the test ends without waiting for it.
    std::thread::spawn(move || std::io::copy(&mut { reader }, &mut std::io::sink()));
}
