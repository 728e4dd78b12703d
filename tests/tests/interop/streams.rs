//! Streams of messages, read by curl.

use std::path::Path;
use std::thread;
use std::time::Duration;

use e2e::clock;
use e2e::fail::{Attempt, Fail, fail};
use serde_json::Value;

use crate::Report;
use crate::site::Site;
use crate::tool::{Post, Tool, lacking, want};

/// The server ends a stream before curl loses its patience.
const CONFIG: &str = "ingress { listen {{ingress}} }
pull_api { listen {{pull}}
 auth token raw:tok
 sse_keepalive 300ms
 sse_max_connection 2s
}
/a { pull { path /a } }
";

pub(crate) fn check(report: &mut Report, binary: &Path) -> Attempt<()> {
    if let Some(why) = lacking(&["curl"], "--version") {
        report.skipped("curl streams", &why);
        return Ok(());
    }
    let site = Site::start(binary, CONFIG, |_| Ok(()))?;
    report.note("curl/stream", stream(&site));
    report.note("curl/stream_without_token", refused(&site));
    Ok(())
}

fn curl(site: &Site, options: &[&str], path: &str) -> Attempt<String> {
    let url = format!("http://{}{path}", site.at("pull")?);
    let tool = Tool::new("curl").args(["-q", "-s", "-i", "-N", "--noproxy", "*", "--max-time", "10"]);
    tool.args(options).arg(url).run()?.printed()
}

fn send(site: &Site, body: &[u8]) -> Attempt<()> {
    let post = Post { url: format!("http://{}/a", site.at("ingress")?), headers: vec![], body, options: vec![] };
    want("a webhook", "0 202 1.1", &post.send(site.dir())?)
}

/// One message is there before the stream, one comes later; both with all that a worker needs, comments between them.
fn stream(site: &Site) -> Attempt<()> {
    send(site, b"before")?;
    let told = thread::scope(|scope| {
        let reader = scope.spawn(|| curl(site, &["-H", "Authorization: Bearer tok"], "/a/stream"));
        clock::pause(Duration::from_millis(900));
        send(site, b"later")?;
        reader.join().map_err(|_panic| Fail("curl's thread failed".to_owned()))?
    })?;
    let text = told.replace("\r\n", "\n");
    let (head, body) = text.split_once("\n\n").unwrap_or_default();
    let head = head.to_lowercase();
    if !head.starts_with("http/1.1 200") || !head.contains("content-type: text/event-stream") {
        return fail(format!("the head is {head:?}"));
    }
    let blocks: Vec<&str> = body.split("\n\n").filter(|block| !block.trim().is_empty()).collect();
    let comments = blocks.iter().filter(|block| block.starts_with(": keepalive")).count();
    let mut payloads = vec![];
    for block in blocks.iter().filter(|block| !block.starts_with(':')) {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        want("event", "message", field("event: "))?;
        let data: Value = serde_json::from_str(field("data: ")).map_err(|error| Fail(format!("data: {error}")))?;
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        want("id", &text("lease_id"), field("id: "))?;
        payloads.push(text("payload_b64"));
        let lease = serde_json::json!({"lease_id": text("lease_id")}).to_string();
        let acked = curl(site, &["-H", "Authorization: Bearer tok", "--data-binary", &lease], "/a/ack")?;
        want("ack", "HTTP/1.1 204", acked.get(..12).unwrap_or_default())?;
    }
    want("payloads", "[\"YmVmb3Jl\", \"bGF0ZXI=\"]", &format!("{payloads:?}"))?;
    if comments >= 2 { Ok(()) } else { fail(format!("{comments} comments in two seconds")) }
}

fn refused(site: &Site) -> Attempt<()> {
    let told = curl(site, &[], "/a/stream")?;
    want("without a token", "HTTP/1.1 401", told.get(..12).unwrap_or_default())
}
