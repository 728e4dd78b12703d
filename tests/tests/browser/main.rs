//! Streams in a real browser: Chromium's `EventSource` and `fetch` on a page of this test.
//!
//! `EventSource` cannot send a token, and the pull API takes none in a query and lets no other origin in, as in Hookaido 2. So a page
//! reaches it through a server of its own, here a small proxy that adds the token. Part of `make soak`; passed over without Chromium.

mod proxy;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use e2e::fail::Attempt;
use e2e::ports;
use e2e::rig::{Rig, await_within};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::os::unix::process::CommandExt as _;

use proxy::Proxy;

/// The stream ends every second, so that the browser has to come back.
const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} auth token raw:tok sse_max_connection 1s }
admin_api { listen {{admin}} }
/a { pull { path /a } }
";
const CHROMIUM: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with a profile of its own. It and the processes it started end when this is dropped.
struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page, if there is a browser.
    fn open(url: &str) -> Attempt<Option<Self>> {
        let there = |name: &&&str| {
            Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        };
        let Some(program) = CHROMIUM.iter().find(there) else { return Ok(None) };
        let profile = tempfile::Builder::new().prefix("hookaido-browser-").tempdir()?;
        let mut command = Command::new(program);
        command.args(["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]);
        command.args(["--disable-background-networking", "--disable-component-update", "--remote-debugging-port=0"]);
        if rustix::process::getuid().is_root() {
            // Its sandbox needs a user of its own.
            command.arg("--no-sandbox");
        }
        command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        Ok(Some(Self { child: command.spawn()?, _profile: profile }))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _gone_already = kill_process_group(group, Signal::KILL);
        }
        drop(self.child.wait());
    }
}

#[test]
#[ignore = "soak: needs Chromium"]
fn soak_a_browser_reads_streams() -> Attempt<()> {
    let rig = Rig::started(CONFIG)?;
    let pull = ports::local(rig.names.port("pull")?);
    let proxy = Proxy::start(pull, include_str!("page.html"))?;
    let Some(_browser) = Browser::open(&format!("http://{}/#{pull}", proxy.address))? else {
        println!("skipped: there is no Chromium here ({})", CHROMIUM.join(", "));
        return Ok(());
    };
    let mut provider = rig.client("ingress")?;
    let told = |what: &str| await_within(PATIENCE, what, || proxy.told(what));
    assert_eq!(told("/ready")?, json!("event source"));
    for body in ["one", "two"] {
        assert_eq!(provider.post("/a", body)?, 202);
    }
    // The next two come after the stream was ended, over the connection that the browser makes by itself.
    await_within(PATIENCE, "the browser to come back", || (proxy.streams() >= 2).then_some(()))?;
    for body in ["three", "four"] {
        assert_eq!(provider.post("/a", body)?, 202);
    }
    assert_eq!(told("/ready")?, json!("fetch"));
    for body in ["five", "six"] {
        assert_eq!(provider.post("/a", body)?, 202);
    }
    let report = told("/report")?;
    println!("{report}");
    assert_eq!(report.get("error"), None);
    assert_eq!(report["eventSource"]["bodies"], json!(["one", "two", "three", "four"]));
    assert_eq!(report["eventSource"]["acks"], json!([204, 204, 204, 204]));
    assert_eq!(report["eventSource"]["sameIds"], json!(true));
    assert!(report["eventSource"]["opened"].as_u64() >= Some(2), "{report}");
    assert_eq!(report["fetched"], json!({"status": 200, "bodies": ["five", "six"], "acks": [204, 204]}));
    assert_eq!(report["foreign"], json!(["refused", "refused"]));
    assert_eq!(rig.client("pull")?.token("tok").drain("/a", "0s")?, Vec::<String>::new(), "all were acknowledged");
    Ok(())
}
