//! The gRPC worker API of the real binary: every call, every refusal, and callers that go away.
#![expect(clippy::unwrap_used, reason = "tests may stop at the first surprise")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use e2e::clock;
use e2e::fail::Attempt;
use e2e::grpc::{Connect, Grpc, Refusal, framed};
use e2e::pki;
use e2e::rig::{PATIENCE, Rig, await_that};
use hookaido_pull_grpc::generated::{
    AckRequest, AckResponse, DequeueRequest, DequeueResponse, ExtendRequest, LeaseConflict, NackRequest, NackResponse,
};
use prost::Message as _;
use prost_types::Duration as Span;
use serde_json::{Value, json};

const CONFIG: &str = "
ingress { listen {{ingress}} }
pull_api { listen {{pull}} grpc_listen {{grpc}} prefix /p auth token raw:tok max_lease_batch 3 TLS }
admin_api { listen {{admin}} }
observability { metrics { listen {{metrics}} } }
defaults { max_body 20mb }
/a { pull { path /a } }
/b { pull { path /b auth token raw:btok } }
";
/// Far less than anything that waits would wait.
const AT_ONCE: Duration = Duration::from_secs(5);

fn started() -> Attempt<Rig> {
    Rig::started(&CONFIG.replace("TLS", ""))
}

fn client(rig: &Rig) -> Attempt<Grpc> {
    Ok(Grpc::connect(rig.names.port("grpc")?)?.token("tok"))
}

fn span(millis: i64) -> Option<Span> {
    Some(Span { seconds: millis / 1000, nanos: i32::try_from(millis % 1000).unwrap_or_default() * 1_000_000 })
}

fn wish(batch: u32, max_wait: i64) -> DequeueRequest {
    DequeueRequest { endpoint: "/a".to_owned(), batch, max_wait: span(max_wait), lease_ttl: None }
}

fn ack(lease_ids: &[&str]) -> AckRequest {
    let lease_ids = lease_ids.iter().map(|lease| (*lease).to_owned()).collect();
    AckRequest { endpoint: "/a".to_owned(), lease_id: String::new(), lease_ids }
}

fn nack(lease: &str) -> NackRequest {
    NackRequest { endpoint: "/a".to_owned(), lease_id: lease.to_owned(), ..NackRequest::default() }
}

/// Lease, body and attempt of each message.
fn dequeue(client: &Grpc, batch: u32, max_wait: i64) -> Attempt<Vec<(String, Bytes, i32)>> {
    let answer: DequeueResponse = client.call("Dequeue", &wish(batch, max_wait))?.unwrap();
    Ok(answer.items.into_iter().map(|item| (item.lease_id, item.payload, item.attempt)).collect())
}

fn bodies(taken: &[(String, Bytes, i32)]) -> Vec<(&[u8], i32)> {
    taken.iter().map(|(_, body, attempt)| (&body[..], *attempt)).collect()
}

fn refused(code: u16, message: &str) -> Refusal {
    Refusal { code, message: message.to_owned() }
}

fn invalid<M>(message: &str) -> Result<M, Refusal> {
    Err(refused(3, message))
}

/// By the time that this is answered, the server has seen everything that went over the connection before.
fn in_step(client: &Grpc) -> Attempt<()> {
    let nothing = ExtendRequest { endpoint: "/a".to_owned(), lease_id: "none".to_owned(), extend_by: span(1000) };
    assert_eq!(client.call::<()>("Extend", &nothing)?, Err(refused(9, "lease is invalid or expired")));
    Ok(())
}

#[test]
fn messages_are_worked_off() -> Attempt<()> {
    let mut rig = started()?;
    let client = client(&rig)?;
    assert_eq!(rig.client("ingress")?.with("X-Kind", "one").post("/a", "\u{fc}1")?, 202);
    let answer: DequeueResponse = client.call("Dequeue", &wish(5, 5000))?.unwrap();
    let [item] = answer.items.as_slice() else { panic!("{answer:?}") };
    assert_eq!((item.route.as_str(), &item.payload[..], item.attempt), ("/a", "\u{fc}1".as_bytes(), 1));
    assert_eq!(item.headers.get("X-Kind").map(String::as_str), Some("one"));
    assert_eq!(item.trace.get("path").map(String::as_str), Some("/a"));
    assert!(item.id.starts_with("evt_") && item.lease_id.starts_with("lease_"), "{item:?}");
    let received = item.received_at.unwrap();
    assert!((clock::unix_now() - received.seconds).abs() < 60, "{received:?}");
    assert!(item.next_run_at.unwrap().seconds >= received.seconds);

    // Back at once, then as a dead letter; each repeat is a success, another verdict on a lease that ended is not.
    for _ in 0..2 {
        let put_back: NackResponse = client.call("Nack", &nack(&item.lease_id))?.unwrap();
        assert_eq!(put_back, NackResponse { succeeded: 1, conflicts: vec![] });
    }
    let again = dequeue(&client, 1, 5000)?;
    assert_eq!(bodies(&again), [("\u{fc}1".as_bytes(), 2)]);
    let lease = &again[0].0;
    let more = ExtendRequest { endpoint: "/a".to_owned(), lease_id: lease.clone(), extend_by: span(60_000) };
    assert_eq!(client.call::<()>("Extend", &more)?, Ok(()));
    let dead = NackRequest { dead: true, reason: "no good".to_owned(), delay: span(-1000), ..nack(lease) };
    assert_eq!(client.call::<NackResponse>("Nack", &dead)?.unwrap().succeeded, 1);
    let late = AckRequest { lease_id: lease.clone(), ..ack(&[]) };
    assert_eq!(client.call::<AckResponse>("Ack", &late)?, Err(refused(9, "lease is invalid or expired")));
    let (_, dlq) = rig.client("admin")?.get("/dlq")?;
    assert_eq!(dlq["items"][0]["dead_reason"], "no good", "{dlq}");

    // A delay that is over wakes whoever waits.
    assert_eq!(rig.client("ingress")?.post("/a", "2")?, 202);
    let lease = &dequeue(&client, 1, 5000)?[0].0;
    let later = NackRequest { delay: span(50), ..nack(lease) };
    assert_eq!(client.call::<NackResponse>("Nack", &later)?.unwrap().succeeded, 1);
    let again = dequeue(&client, 1, 20_000)?;
    assert_eq!(bodies(&again), [(&b"2"[..], 2)]);
    let one = AckRequest { lease_id: format!(" {} ", again[0].0), ..ack(&[]) };
    for _ in 0..2 {
        assert_eq!(client.call::<AckResponse>("Ack", &one)?.unwrap(), AckResponse { acked: 1, conflicts: vec![] });
    }
    assert_eq!(dequeue(&client, 1, 0)?, []);
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    Ok(())
}

#[test]
fn batches_name_their_conflicts_and_http_sees_the_same_leases() -> Attempt<()> {
    let rig = started()?;
    let (client, mut http) = (client(&rig)?, rig.client("pull")?.token("tok"));
    let mut ingress = rig.client("ingress")?;
    for body in ["1", "2", "3", "4"] {
        assert_eq!(ingress.post("/a", body)?, 202);
    }
    let over_http = http.dequeue("/p/a", 2, "30s", "5s")?;
    let taken = dequeue(&client, 9, 5000)?;
    assert_eq!(bodies(&taken), [(&b"3"[..], 1), (b"4", 1)]);
    let leases = [taken[0].0.as_str(), "unknown", over_http[0].lease.as_str()];
    let conflict = LeaseConflict { lease_id: "unknown".to_owned(), expired: false };
    let want = AckResponse { acked: 2, conflicts: vec![conflict.clone()] };
    for _ in 0..2 {
        assert_eq!(client.call::<AckResponse>("Ack", &ack(&leases))?.unwrap(), want);
    }
    assert_eq!(http.ack("/p/a", &[leases[0], leases[2]])?, 200, "a repeat over the other transport");
    let rest = NackRequest { lease_ids: vec![taken[1].0.clone(), "unknown".to_owned()], dead: true, ..nack("") };
    let want = NackResponse { succeeded: 1, conflicts: vec![conflict] };
    assert_eq!(client.call::<NackResponse>("Nack", &rest)?.unwrap(), want);

    // As soon as a route has tokens of its own, a lease belongs to its route.
    let foreign = Grpc::connect(rig.names.port("grpc")?)?.token("btok");
    let theirs = AckRequest { endpoint: "/b".to_owned(), lease_id: over_http[1].lease.clone(), lease_ids: vec![] };
    assert_eq!(foreign.call::<AckResponse>("Ack", &theirs)?, Err(refused(9, "lease is invalid or expired")));
    assert_eq!(http.ack("/p/a", &[&over_http[1].lease])?, 200);

    let (_, page) = rig.client("metrics")?.get("/metrics")?;
    let page = page.as_str().unwrap();
    for line in [
        "hookaido_pull_acked_total{route=\"/a\"} 7",
        "hookaido_pull_ack_conflict_total{route=\"/a\"} 2",
        "hookaido_pull_ack_conflict_total{route=\"/b\"} 1",
        "hookaido_pull_nacked_total{route=\"/a\"} 1",
        "hookaido_pull_nack_conflict_total{route=\"/a\"} 1",
        "hookaido_pull_dequeue_total{route=\"/a\",status=\"200\"} 2",
        "hookaido_pull_lease_active{route=\"/a\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line}\n{page}");
    }
    Ok(())
}

#[test]
fn what_is_wrong_is_said_in_order() -> Attempt<()> {
    let rig = started()?;
    let known = client(&rig)?;
    let nobody = Grpc::connect(rig.names.port("grpc")?)?;
    let foreign = Grpc::connect(rig.names.port("grpc")?)?.token("btok");
    let several = Grpc::connect(rig.names.port("grpc")?)?.with("authorization", "Basic eA==").token("bad").token("tok");
    let at = |endpoint: &str| DequeueRequest { endpoint: endpoint.to_owned(), ..wish(1, 0) };
    let bad = Some(Span { seconds: 1, nanos: -1 });
    let ask = |client: &Grpc, request: DequeueRequest| client.call::<DequeueResponse>("Dequeue", &request);
    let unauthorized = Err(refused(16, "request is not authorized"));
    assert_eq!(ask(&nobody, at(""))?, invalid("endpoint is required"));
    let waiting = DequeueRequest { max_wait: bad, lease_ttl: bad, ..at("/a") };
    assert_eq!(ask(&nobody, waiting.clone())?, invalid("max_wait must be a valid duration"));
    assert_eq!(
        ask(&nobody, DequeueRequest { max_wait: None, ..waiting })?,
        invalid("lease_ttl must be a valid duration")
    );
    for (client, endpoint) in
        [(&nobody, "/a"), (&foreign, "/a"), (&known, "/b"), (&foreign, "/nope"), (&nobody, "/nope")]
    {
        assert_eq!(ask(client, at(endpoint))?, unauthorized, "{endpoint}");
    }
    for endpoint in ["/nope", "/p/a", "/a/", "a", "/A"] {
        assert_eq!(ask(&known, at(endpoint))?, Err(refused(5, "pull endpoint is not configured")), "{endpoint}");
    }
    for (client, endpoint) in [(&known, " /a "), (&foreign, "/b"), (&several, "/a")] {
        assert_eq!(ask(client, at(endpoint))?, Ok(DequeueResponse::default()), "{endpoint}");
    }

    let one_and_many = AckRequest { lease_id: "x".to_owned(), ..ack(&["y"]) };
    for (request, want) in [
        (ack(&[]), "lease_id or lease_ids is required"),
        (ack(&["", " "]), "lease_ids must include at least one non-empty lease id"),
        (ack(&["1", "2", "3", "4"]), "lease_ids exceeds max batch"),
        (one_and_many, "use either lease_id or lease_ids, not both"),
    ] {
        assert_eq!(known.call::<AckResponse>("Ack", &request)?, invalid(want));
        assert_eq!(nobody.call::<AckResponse>("Ack", &request)?, Err(refused(16, "request is not authorized")));
    }
    let undated = NackRequest { delay: bad, dead: true, ..nack("x") };
    assert_eq!(known.call::<NackResponse>("Nack", &undated)?, invalid("delay must be a valid duration"));
    let extend =
        |lease: &str, extend_by| ExtendRequest { endpoint: "/nope".to_owned(), lease_id: lease.to_owned(), extend_by };
    for (request, want) in [
        (extend("", span(1)), "lease_id and extend_by are required"),
        (extend("x", None), "lease_id and extend_by are required"),
        (extend("x", bad), "extend_by must be a valid duration"),
    ] {
        assert_eq!(nobody.call::<()>("Extend", &request)?, invalid(want));
    }
    assert_eq!(known.call::<()>("Extend", &extend("x", span(0)))?, Err(refused(5, "pull endpoint is not configured")));
    in_step(&known)
}

#[test]
fn what_is_no_call_is_refused() -> Attempt<()> {
    let rig = started()?;
    let client = client(&rig)?;
    let dequeue = "/hookaido.worker.v1.WorkerService/Dequeue";
    let empty = framed(&wish(1, 0).encode_to_vec(), false);
    let code = |path: &str, body: Bytes, headers: &[(&str, &str)]| -> Attempt<u16> {
        Ok(client.raw(path, body, headers)?.message::<DequeueResponse>()?.map_or_else(|refusal| refusal.code, |_| 0))
    };
    assert_eq!(code(dequeue, empty.clone(), &[])?, 0);
    assert_eq!(code("/hookaido.worker.v1.WorkerService/Publish", empty.clone(), &[])?, 12);
    assert_eq!(code("/grpc.health.v1.Health/Check", empty.clone(), &[])?, 12);
    assert_eq!(code("/", empty.clone(), &[])?, 12);
    assert_eq!(client.raw(dequeue, empty.clone(), &[(":method", "GET")])?.status, 405);
    assert_eq!(client.raw(dequeue, empty.clone(), &[("content-type", "application/json")])?.status, 415);
    assert_eq!(client.raw(dequeue, empty.clone(), &[("content-type", "application/grpcx")])?.status, 415);
    assert_eq!(code(dequeue, empty.clone(), &[("content-type", "application/grpc+proto")])?, 0);
    assert_eq!(code(dequeue, empty.clone(), &[("grpc-timeout", "soon")])?, 13);
    for damaged in [
        Bytes::new(),
        empty.slice(..4),
        empty.slice(..7),
        framed(b"\xff\xff\xff", false),
        framed(b"\x0a\x02\xff\xfe", false),
    ] {
        assert_eq!(code(dequeue, damaged.clone(), &[])?, 13, "{damaged:?}");
    }
    assert_eq!(code(dequeue, framed(b"", true), &[])?, 13, "compressed, nobody knows how");
    assert_eq!(code(dequeue, empty.clone(), &[("grpc-encoding", "deflate")])?, 12);

    // Sizes: what is announced, what is sent, and what it becomes when it is unpacked. Unknown fields are passed over.
    let padded = |size: usize| {
        let mut message = wish(1, 0).encode_to_vec();
        prost::encoding::bytes::encode(50, &vec![b'x'; size], &mut message);
        message
    };
    assert_eq!(code(dequeue, framed(&padded(4_000_000), false), &[])?, 0);
    assert_eq!(code(dequeue, framed(&padded(4 << 20), false), &[])?, 8);
    assert_eq!(code(dequeue, Bytes::from_static(b"\0\xff\xff\xff\xffx"), &[])?, 8);
    let packed = |message: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packer, message).unwrap();
        framed(&packer.finish().unwrap(), true)
    };
    assert_eq!(code(dequeue, packed(&padded(100_000)), &[("grpc-encoding", "gzip")])?, 0);
    assert_eq!(code(dequeue, packed(&padded(100 << 20)), &[("grpc-encoding", "gzip")])?, 8);
    assert_eq!(code(dequeue, framed(b"no gzip", true), &[("grpc-encoding", "gzip")])?, 13);
    in_step(&client)
}

#[test]
fn whoever_waits_is_woken_by_whatever_makes_a_message_ready() -> Attempt<()> {
    let rig = started()?;
    let client = client(&rig)?;
    let (mut ingress, mut http) = (rig.client("ingress")?, rig.client("pull")?.token("tok"));
    let mut admin = rig.client("admin")?.with("X-Hookaido-Audit-Reason", "test");
    let woken = |wake: &mut dyn FnMut() -> Attempt<u16>| -> Attempt<(String, String)> {
        let waiting = client.start("Dequeue", &wish(1, 60_000));
        in_step(&client)?;
        let began = Instant::now();
        let status = wake()?;
        assert!((200..300).contains(&status), "{status}");
        let answer: DequeueResponse = waiting.end()?.unwrap();
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        Ok((answer.items[0].id.clone(), answer.items[0].lease_id.clone()))
    };
    let (id, lease) = woken(&mut || ingress.post("/a", "m"))?;
    let (_, lease) = woken(&mut || Ok(http.ask("/p/a/nack", &json!({ "lease_id": lease }))?.0))?;
    assert_eq!(http.ask("/p/a/nack", &json!({"lease_id": lease, "dead": true}))?.0, 204);
    let ids = json!({ "ids": [id] });
    let (_, lease) = woken(&mut || Ok(admin.ask("/dlq/requeue", &ids)?.0))?;
    drop(lease);
    assert_eq!(admin.ask("/messages/cancel", &ids)?.0, 200);
    woken(&mut || Ok(admin.ask("/messages/resume", &ids)?.0))?;
    // The message is held, and its lease ends while somebody waits.
    assert_eq!(admin.ask("/messages/cancel", &ids)?.0, 200);
    assert_eq!(admin.ask("/messages/resume", &ids)?.0, 200);
    let brief = DequeueRequest { lease_ttl: span(100), ..wish(1, 0) };
    assert_eq!(client.call::<DequeueResponse>("Dequeue", &brief)?.unwrap().items.len(), 1);
    woken(&mut || Ok(200))?;
    Ok(())
}

#[test]
fn callers_that_go_away_are_given_nothing() -> Attempt<()> {
    let rig = started()?;
    let (gone, here, mut ingress) = (client(&rig)?, client(&rig)?, rig.client("ingress")?);
    let waiting: Vec<_> = (0..5).map(|_| gone.start("Dequeue", &wish(1, 60_000))).collect();
    in_step(&gone)?;
    waiting.into_iter().for_each(e2e::grpc::Running::cancel);
    in_step(&gone)?;
    assert_eq!(ingress.post("/a", "after a reset")?, 202);
    let taken = dequeue(&here, 1, 10_000)?;
    assert_eq!(bodies(&taken), [(&b"after a reset"[..], 1)]);

    let impatient = client(&rig)?.with("grpc-timeout", "100m");
    let ended = impatient.call::<DequeueResponse>("Dequeue", &wish(1, 60_000))?;
    assert_eq!(ended, Err(refused(4, "the deadline of the call is over")));
    assert_eq!(ingress.post("/a", "after a deadline")?, 202);
    assert_eq!(bodies(&dequeue(&here, 1, 10_000)?), [(&b"after a deadline"[..], 1)]);

    let broken = client(&rig)?;
    let waiting = broken.start("Dequeue", &wish(1, 60_000));
    in_step(&broken)?;
    drop((waiting, broken));
    await_that("the connection to end", || {
        let page = rig.client("metrics").ok()?.get("/metrics").ok()?.1;
        let open = page.as_str()?.lines().find(|line| line.starts_with("hookaido_http_connections_active"))?.to_owned();
        // Two gRPC workers, the sender, and whoever asks.
        open.ends_with(" 5").then_some(())
    })?;
    assert_eq!(ingress.post("/a", "after a broken connection")?, 202);
    assert_eq!(bodies(&dequeue(&here, 1, 10_000)?), [(&b"after a broken connection"[..], 1)]);
    Ok(())
}

#[test]
fn what_a_caller_has_no_room_for_goes_back_when_it_goes_away() -> Attempt<()> {
    let rig = started()?;
    let here = client(&rig)?;
    let full =
        Grpc::connect_with(rig.names.port("grpc")?, Connect { window: Some(0), ..Connect::default() })?.token("tok");
    assert_eq!(rig.client("ingress")?.post("/a", "m")?, 202);
    full.cancel_at_head("Dequeue", &wish(1, 5000), || {
        assert_eq!(dequeue(&here, 1, 0).unwrap(), [], "it is leased for now");
    })?;
    assert_eq!(bodies(&dequeue(&here, 1, 10_000)?), [(&b"m"[..], 1)]);
    Ok(())
}

#[test]
fn an_answer_fits_into_what_clients_take() -> Attempt<()> {
    let rig = started()?;
    let (client, mut ingress) = (client(&rig)?, rig.client("ingress")?);
    let body = "x".repeat(1_400_000);
    for _ in 0..5 {
        assert_eq!(ingress.post("/a", &body)?, 202);
    }
    let mut sizes = vec![];
    while sizes.iter().sum::<usize>() < 5 {
        let answer: DequeueResponse = client.call("Dequeue", &wish(5, 5000))?.unwrap();
        assert!(answer.encoded_len() < 4 << 20, "{} bytes", answer.encoded_len());
        sizes.push(answer.items.len());
    }
    assert_eq!(sizes, [2, 2, 1]);
    // One that is larger comes alone.
    assert_eq!(ingress.post("/a", &"y".repeat(5 << 20))?, 202);
    assert_eq!(dequeue(&client, 5, 5000)?[0].1.len(), 5 << 20);
    Ok(())
}

#[test]
fn tls_and_client_certificates_are_those_of_the_pull_api() -> Attempt<()> {
    let tls = "tls { cert_file {{dir}}/server.pem key_file {{dir}}/server.key MODE }";
    let mut rig = Rig::new(&CONFIG.replace("TLS", &tls.replace("MODE", "")))?;
    pki::write(rig.dir())?;
    rig.start()?;
    let port = rig.names.port("grpc")?;
    let dir = rig.dir().to_owned();
    let connect = |wanted: &Value| {
        let client = Grpc::connect_with(port, Connect { tls: Some((wanted, &dir)), window: None })?.token("tok");
        in_step(&client)
    };
    connect(&json!({"ca": "ca.pem"}))?;
    assert!(connect(&json!({"ca": "other.pem"})).is_err(), "a client that trusts somebody else");
    let plain = Grpc::connect(port).and_then(|client| client.call::<DequeueResponse>("Dequeue", &wish(1, 0)));
    assert!(plain.is_err(), "{plain:?}");
    let mode = "client_ca {{dir}}/ca.pem client_auth require_and_verify";
    rig.configure(&CONFIG.replace("TLS", &tls.replace("MODE", mode)))?;
    assert_eq!(rig.server.stop("TERM", PATIENCE)?, Some(0));
    rig.start()?;
    connect(&json!({"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}))?;
    assert!(connect(&json!({"ca": "ca.pem"})).is_err(), "no certificate");
    assert!(connect(&json!({"ca": "ca.pem", "cert": "other.pem", "key": "other.key"})).is_err(), "of another CA");
    Ok(())
}

#[test]
fn reloads_change_tokens_at_once_and_refuse_another_address() -> Attempt<()> {
    let mut rig = started()?;
    let client = client(&rig)?;
    let waiting = client.start("Dequeue", &wish(1, 60_000));
    in_step(&client)?;
    let changed = CONFIG.replace("TLS", "").replace("raw:tok ", "raw:new ");
    rig.configure(&changed)?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_ok"], 1)?;
    assert_eq!(waiting.end::<DequeueResponse>()?, Ok(DequeueResponse::default()), "the wait ends with its token");
    let old = client.call::<DequeueResponse>("Dequeue", &wish(1, 0))?;
    assert_eq!(old, Err(refused(16, "request is not authorized")), "on the same connection");
    let new = Grpc::connect(rig.names.port("grpc")?)?.token("new");
    assert_eq!(dequeue(&new, 1, 0)?, []);
    rig.configure(&changed.replace("grpc_listen {{grpc}}", ""))?;
    rig.server.signal("HUP")?;
    rig.await_log(&["config_reloaded_restart_required", "pull_api.grpc_listen"], 1)?;
    assert_eq!(dequeue(&new, 1, 0)?, []);
    Ok(())
}

#[test]
fn a_stop_answers_whoever_waits() -> Attempt<()> {
    let mut rig = started()?;
    let client = client(&rig)?;
    let waiting: Vec<_> = (0..20).map(|_| client.start("Dequeue", &wish(1, 60_000))).collect();
    in_step(&client)?;
    let began = Instant::now();
    rig.server.signal("TERM")?;
    for call in waiting {
        assert_eq!(call.end::<DequeueResponse>()?, Ok(DequeueResponse::default()));
    }
    assert_eq!(rig.ended()?, 0);
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert_eq!(rig.logged(&["pull_worker_grpc_listening"]).len(), 1, "{}", rig.log());
    assert_eq!(rig.logged(&["worker_grpc", "/Dequeue", "\"status\":200,\"grpc_status\":0"]).len(), 20, "{}", rig.log());
    Ok(())
}
