//! The server under attack, its legitimate senders, and what must hold afterwards.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e2e::client::Client;
use e2e::conn::{Conn, RawAnswer, last};
use e2e::fail::{Attempt, fail};
use e2e::rig::{PATIENCE, Rig};
use e2e::{pki, ports, tls};
use rustls::ClientConfig;
use serde_json::json;

use crate::Attack;

const CONFIG: &str = "
ingress { listen {{ingress}} TLS }
pull_api { listen {{pull}} auth token raw:tok max_batch 1000 max_lease_batch 1000 }
admin_api { listen {{admin}} }
queue_limits { max_depth 1000000 }
/good { pull { path /good } }
/bad { max_body 64kb pull { path /bad } }
/large { auth hmac raw:unknown-to-all max_body 8mb pull { path /large } }
/any { pull { path /any } }
/smuggled { pull { path /smuggled } }
";
const CERTIFICATE: &str = "tls { cert_file {{dir}}/server.pem key_file {{dir}}/server.key }";

/// Memory of the server without load, and a little more.
const BASE_MEMORY: u64 = 96 << 20;
/// What a hostile connection may cost.
const MEMORY_PER_CONNECTION: u64 = 32 << 10;

/// How much of an attack is done.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    /// Connections, where their number is the attack.
    pub(crate) crowd: usize,
    /// Attackers at a time, where each does much.
    pub(crate) attackers: usize,
    /// How often each of those goes on at least.
    pub(crate) rounds: usize,
    /// Legitimate senders, and requests of each.
    pub(crate) senders: usize,
    pub(crate) requests: usize,
    /// Between two requests of a sender.
    pub(crate) pace: Duration,
    /// Whether to wait until the server's deadlines have passed.
    pub(crate) patient: bool,
}

impl Scale {
    pub(crate) const SMALL: Self =
        Self { crowd: 300, attackers: 2, rounds: 3, senders: 2, requests: 40, pace: Duration::ZERO, patient: false };
    pub(crate) const LARGE: Self = Self {
        crowd: 5_000,
        attackers: 8,
        rounds: 50,
        senders: 4,
        requests: 1_000,
        pace: Duration::from_millis(4),
        patient: true,
    };
}

/// Tells an attack that the legitimate senders are done, and them that it has begun.
#[derive(Debug, Default)]
pub(crate) struct Stop {
    state: Mutex<(bool, bool)>,
    changed: Condvar,
}

impl Stop {
    fn change(&self, change: impl FnOnce(&mut (bool, bool))) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// The attack is under way.
    pub(crate) fn begun(&self) {
        self.change(|state| state.0 = true);
    }

    fn stop(&self) {
        self.change(|state| state.1 = true);
    }

    fn wait_until_begun(&self) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(state, |(begun, _)| !*begun));
    }

    /// Waits for at most this long; whether it is time to stop.
    pub(crate) fn within(&self, time: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, time, |(_, stopped)| !*stopped);
        waited.unwrap_or_else(PoisonError::into_inner).0.1
    }
}

/// Marks an attack as begun even when it fails before it has.
struct Begun<'a>(&'a Stop);

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.0.begun();
    }
}

/// How long legitimate requests took, shortest first.
#[derive(Debug)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time within which so many per cent of the requests were answered.
    pub(crate) fn within(&self, per_cent: usize) -> Duration {
        let at = (self.0.len() * per_cent).div_ceil(100);
        self.0.get(at.saturating_sub(1)).copied().unwrap_or_default()
    }
}

/// The server.
#[derive(Debug)]
pub(crate) struct Site {
    rig: Rig,
    tls: Option<Arc<ClientConfig>>,
    /// Bodies of legitimate requests that were answered 202.
    acked: Mutex<Vec<String>>,
    /// Requests to `/bad` that were answered 202.
    bad: AtomicU64,
    next: AtomicU64,
}

impl Site {
    /// Starts a server, with TLS or without.
    pub(crate) fn start(tls: bool) -> Attempt<Self> {
        own_descriptors();
        let mut rig = Rig::new(&CONFIG.replace("TLS", if tls { CERTIFICATE } else { "" }))?;
        pki::write(rig.dir())?;
        rig.start()?;
        let tls = tls::client(&if tls { json!({"ca": "ca.pem"}) } else { json!(false) }, rig.dir())?;
        Ok(Self { rig, tls, acked: Mutex::default(), bad: AtomicU64::new(0), next: AtomicU64::new(0) })
    }

    /// The public listener.
    pub(crate) fn addr(&self) -> SocketAddr {
        ports::local(self.rig.names.port("ingress").unwrap())
    }

    /// How its clients do TLS.
    pub(crate) fn tls(&self) -> &Arc<ClientConfig> {
        self.tls.as_ref().unwrap()
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Attempt<Conn> {
        Ok(Conn::open(self.addr(), PATIENCE, self.tls.clone())?)
    }

    /// Most memory so far, in bytes.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.rig.server.peak_memory()
    }

    /// Notes a message that an attacker has stored with good right.
    pub(crate) fn stored_bad(&self) {
        self.bad.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets an attack and the legitimate senders go on side by side.
    pub(crate) fn under(&self, attack: Attack, scale: &Scale) -> Attempt<Times> {
        let stop = Stop::default();
        thread::scope(|scope| {
            let attacker = scope.spawn(|| {
                let _begun = Begun(&stop);
                attack(self, scale, &stop)
            });
            stop.wait_until_begun();
            let senders: Vec<_> = (0..scale.senders).map(|_| scope.spawn(|| self.send(scale, &stop))).collect();
            let sent: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
            stop.stop();
            let attacked = attacker.join().unwrap();
            let mut times = vec![];
            for sent in sent {
                times.extend(sent?);
            }
            times.sort_unstable();
            attacked.map(|()| Times(times))
        })
    }

    /// One legitimate sender: every request must be answered 202.
    fn send(&self, scale: &Scale, stop: &Stop) -> Attempt<Vec<Duration>> {
        let mut conn = self.connect()?;
        let mut times = vec![];
        for _ in 0..scale.requests {
            let body = format!("good-{}", self.next.fetch_add(1, Ordering::Relaxed));
            let begun = Instant::now();
            conn.within(PATIENCE);
            conn.send(request("/good", &body).as_bytes())?;
            let answer = conn.answer("POST")?;
            times.push(begun.elapsed());
            if answer.status != 202 {
                return fail(format!("a legitimate request is answered {}: {:?}", answer.status, answer.body));
            }
            self.acked.lock().unwrap().push(body);
            if !scale.pace.is_zero() {
                stop.within(scale.pace);
            }
        }
        Ok(times)
    }

    /// What must hold when all attacks are over. Stops the server.
    pub(crate) fn finish(mut self, scale: &Scale) -> Attempt<()> {
        self.send(&Scale { requests: 1, ..scale.clone() }, &Stop::default())?;
        let (health, _) = self.rig.client("admin")?.get("/healthz")?;
        assert_eq!(health, 200);
        let peak = self.peak_memory();
        let bound = BASE_MEMORY + scale.crowd as u64 * MEMORY_PER_CONNECTION;
        assert!(peak.is_none_or(|peak| peak <= bound), "{peak:?} bytes of memory, the bound is {bound}");

        let mut worker = self.rig.client("pull")?.token("tok");
        let mut acked = std::mem::take(&mut *self.acked.lock().unwrap());
        acked.sort_unstable();
        assert_eq!(drained(&mut worker, "/good")?, acked, "exactly what was acknowledged is stored");
        assert_eq!(drained(&mut worker, "/bad")?.len() as u64, self.bad.load(Ordering::Relaxed));
        for route in ["/smuggled", "/large"] {
            assert_eq!(drained(&mut worker, route)?, Vec::<String>::new(), "{route}");
        }
        assert_eq!(self.rig.logged(&["panicked"]), Vec::<String>::new());
        assert_eq!(self.rig.server.stop("TERM", PATIENCE)?, Some(0), "{}", self.rig.server.log_tail());
        Ok(())
    }
}

/// All messages of a route.
fn drained(worker: &mut Client, route: &str) -> Attempt<Vec<String>> {
    let mut bodies = worker.drain(route, "0s")?;
    bodies.sort_unstable();
    Ok(bodies)
}

/// A request as it should be.
pub(crate) fn request(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// An answer of this status after which the connection ends.
pub(crate) fn refused(conn: &mut Conn, status: u16) -> Attempt<RawAnswer> {
    let answer = conn.answer("POST")?;
    if answer.status != status || last(&answer.headers, "connection") != Some("close") {
        return fail(format!("wanted {status} and the end, got {answer:?}"));
    }
    while conn.fill()? {}
    Ok(answer)
}

/// Lets this process open as many files as the system permits.
fn own_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}
