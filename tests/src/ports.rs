//! Free ports on 127.0.0.1, never the same one twice in a run.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, PoisonError};

use crate::fail::{Attempt, fail};

/// Below the range from which systems take the ports of outgoing connections.
const FIRST: u64 = 18_000;
const COUNT: u64 = 13_900;

static HANDED_OUT: Mutex<Option<HashSet<u16>>> = Mutex::new(None);

/// A port that nobody listens on.
pub fn free() -> Attempt<u16> {
    let mut guard = HANDED_OUT.lock().unwrap_or_else(PoisonError::into_inner);
    let handed_out = guard.get_or_insert_default();
    for _ in 0..500 {
        let Ok(port) = u16::try_from(FIRST + random() % COUNT) else { continue };
        if !handed_out.contains(&port) && TcpListener::bind(local(port)).is_ok() {
            handed_out.insert(port);
            return Ok(port);
        }
    }
    fail("no free port")
}

/// `port` on 127.0.0.1.
pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A random number: every `RandomState` of the standard library is keyed differently.
pub fn random() -> u64 {
    RandomState::new().hash_one(0)
}
