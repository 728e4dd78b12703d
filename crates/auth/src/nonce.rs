//! Remembers used nonces.
//!
//! A nonce is claimed when a signature verifies. The claim holds at once, so a replay during the first request is refused; it becomes
//! lasting when the message is stored and is given back when it is not, so that the sender may repeat the request as it is.
//! Lives outside the configuration snapshot and therefore survives reloads; with a file, restarts too. Bounded: only senders who know a
//! secret can fill it.

mod journal;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::io;
use std::path::Path;
use std::sync::Arc;

use hookaido_model::UnixMillis;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use self::journal::Journal;

/// Locks, so that requests on different cores rarely wait for each other.
const SHARDS: usize = 64;
/// Nonces that are remembered in all: five minutes of 14,000 signed requests a second, in at most 160 MB.
const CAPACITY: usize = 4 << 20;
/// Time between two sweeps of one shard, in milliseconds.
const SWEEP_MS: i64 = 15_000;

/// Used nonces of all routes.
pub struct NonceStore {
    shards: Vec<Mutex<Shard>>,
    shard_capacity: usize,
    /// Part of every hash; random, so that nobody can aim at a collision.
    key: [u8; 16],
    journal: Option<Journal>,
}

#[derive(Default)]
struct Shard {
    /// From the hash of scope and nonce to the end of the claim.
    until: HashMap<u64, UnixMillis, BuildHasherDefault<Hashed>>,
    next_sweep: UnixMillis,
}

/// A nonce that a request holds. Given back when dropped, unless committed.
#[must_use = "dropping a claim gives the nonce back"]
pub struct Claim {
    store: Arc<NonceStore>,
    /// Hash and end of the claim; `None` once it is committed.
    held: Option<(u64, UnixMillis)>,
}

/// Why a nonce cannot be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// It is in use or has been used.
    #[error("the nonce has been used")]
    Used,
    /// Too many are remembered. Accepting the request would open it to replay.
    #[error("too many nonces are remembered at present")]
    Full,
}

impl NonceStore {
    /// An empty store of the usual size.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Self::with_capacity(CAPACITY)
    }

    /// An empty store for about this many nonces.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Arc<Self> {
        Arc::new(Self::build(capacity, random_key(), None))
    }

    /// A store of the usual size that keeps what is used in a file, too, and starts with what the file has. Only one process may use
    /// the file; whoever holds the lock of the database beside it is the one.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, now: UnixMillis) -> io::Result<Arc<Self>> {
        let (journal, loaded) = Journal::open(path, CAPACITY as u64, random_key(), now)?;
        let store = Self::build(CAPACITY, loaded.key, Some(journal));
        for (hash, until) in loaded.used {
            if let Some(shard) = store.shard(hash) {
                shard.lock().until.insert(hash, until);
            }
        }
        Ok(Arc::new(store))
    }

    fn build(capacity: usize, key: [u8; 16], journal: Option<Journal>) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, shard_capacity: capacity.div_ceil(SHARDS), key, journal }
    }

    /// Claims a nonce within `scope`, the path of a route. It counts as used through `until`, after which the timestamp refuses the
    /// request anyway.
    ///
    /// # Errors
    /// If it is used, or the store is full.
    pub fn claim(
        self: &Arc<Self>,
        scope: &str,
        nonce: &[u8],
        until: UnixMillis,
        now: UnixMillis,
    ) -> Result<Claim, ClaimError> {
        let hash = self.hash(scope, nonce);
        let Some(shard) = self.shard(hash) else { return Err(ClaimError::Full) };
        let mut shard = shard.lock();
        if shard.next_sweep <= now {
            shard.until.retain(|_, until| *until >= now);
            shard.next_sweep = UnixMillis(now.0.saturating_add(SWEEP_MS));
        }
        let full = shard.until.len() >= self.shard_capacity;
        match shard.until.entry(hash) {
            Entry::Occupied(used) if *used.get() >= now => return Err(ClaimError::Used),
            Entry::Occupied(mut expired) => *expired.get_mut() = until,
            Entry::Vacant(_) if full => return Err(ClaimError::Full),
            Entry::Vacant(free) => {
                free.insert(until);
            }
        }
        Ok(Claim { store: Arc::clone(self), held: Some((hash, until)) })
    }

    /// Nonces that are remembered, some of which may have run out.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().until.len()).sum()
    }

    /// Whether none is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn hash(&self, scope: &str, nonce: &[u8]) -> u64 {
        let length = (scope.len() as u64).to_le_bytes();
        let digest = Sha256::new().chain_update(self.key).chain_update(length).chain_update(scope).chain_update(nonce);
        digest.finalize().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
    }

    fn shard(&self, hash: u64) -> Option<&Mutex<Shard>> {
        // The map inside a shard uses the ends of the hash.
        self.shards.get(usize::try_from(hash >> 40).unwrap_or(0) % SHARDS)
    }
}

impl fmt::Debug for NonceStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NonceStore({} nonces)", self.len())
    }
}

impl Claim {
    /// Makes the claim lasting: the message is stored.
    pub fn commit(mut self) {
        let Some((hash, until)) = self.held.take() else { return };
        if let Some(journal) = &self.store.journal {
            journal.write(hash, until);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let Some((hash, _)) = self.held.take() else { return };
        if let Some(shard) = self.store.shard(hash) {
            shard.lock().until.remove(&hash);
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Claim")
    }
}

/// Random enough to keep collisions from being aimed at; the standard library seeds its hashers from the system.
fn random_key() -> [u8; 16] {
    let mut key = [0; 16];
    for half in key.chunks_exact_mut(8) {
        half.copy_from_slice(&RandomState::new().hash_one(half.len()).to_le_bytes());
    }
    key
}

/// Takes keys that are hashes already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn at(ms: i64) -> UnixMillis {
        UnixMillis(NOW.0 + ms)
    }

    #[test]
    fn a_nonce_counts_once_while_its_claim_is_held_and_after_it_is_committed() {
        let store = NonceStore::new();
        let claim = store.claim("/a", b"n", at(1000), NOW).unwrap();
        assert_eq!(store.claim("/a", b"n", at(1000), NOW).unwrap_err(), ClaimError::Used);
        claim.commit();
        assert_eq!(store.claim("/a", b"n", at(1000), at(1000)).unwrap_err(), ClaimError::Used);
        assert!(store.claim("/b", b"n", at(1000), NOW).is_ok());
        assert!(store.claim("/a", b"m", at(1000), NOW).is_ok());
    }

    #[test]
    fn a_dropped_claim_gives_the_nonce_back() {
        let store = NonceStore::new();
        drop(store.claim("/a", b"n", at(1000), NOW).unwrap());
        assert!(store.is_empty());
        assert!(store.claim("/a", b"n", at(1000), NOW).is_ok());
    }

    #[test]
    fn a_nonce_is_free_again_after_its_end() {
        let store = NonceStore::new();
        store.claim("/a", b"n", at(1000), NOW).unwrap().commit();
        store.claim("/a", b"n", at(9000), at(1001)).unwrap().commit();
        assert_eq!(store.claim("/a", b"n", at(9000), at(9000)).unwrap_err(), ClaimError::Used);
    }

    #[test]
    fn a_file_keeps_what_is_used_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db-nonces");
        let store = NonceStore::open(&path, NOW).unwrap();
        store.claim("/a", b"used", at(1000), NOW).unwrap().commit();
        store.claim("/a", b"longer", at(5000), NOW).unwrap().commit();
        drop(store.claim("/a", b"given back", at(1000), NOW).unwrap());
        let held = store.claim("/a", b"in flight", at(1000), NOW).unwrap();
        std::mem::forget(held);
        drop(store);

        let store = NonceStore::open(&path, at(500)).unwrap();
        assert_eq!(store.claim("/a", b"used", at(1000), at(500)).unwrap_err(), ClaimError::Used);
        assert!(store.claim("/b", b"used", at(1000), at(500)).is_ok());
        assert!(store.claim("/a", b"given back", at(1000), at(500)).is_ok());
        assert!(store.claim("/a", b"in flight", at(1000), at(500)).is_ok());
        drop(store);

        let store = NonceStore::open(&path, at(1001)).unwrap();
        assert_eq!(store.len(), 1);
        assert_eq!(store.claim("/a", b"longer", at(5000), at(1001)).unwrap_err(), ClaimError::Used);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 24 + 16);
    }

    #[test]
    fn a_torn_file_is_read_as_far_as_it_goes_and_a_foreign_one_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db-nonces");
        std::fs::write(&path, "something else").unwrap();
        assert_eq!(NonceStore::open(&path, NOW).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(std::fs::read(&path).unwrap(), b"something else");
        std::fs::write(&path, "").unwrap();
        let store = NonceStore::open(&path, NOW).unwrap();
        store.claim("/a", b"one", at(1000), NOW).unwrap().commit();
        store.claim("/a", b"two", at(1000), NOW).unwrap().commit();
        drop(store);
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(24 + 16 + 5).unwrap();
        let store = NonceStore::open(&path, NOW).unwrap();
        assert_eq!(store.claim("/a", b"one", at(1000), NOW).unwrap_err(), ClaimError::Used);
        assert!(store.claim("/a", b"two", at(1000), NOW).is_ok());
        assert!(NonceStore::open(&dir.path().join("no/such/folder"), NOW).is_err());
    }

    #[test]
    fn the_ring_overwrites_what_was_used_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ring");
        let (journal, _) = Journal::open(&path, 4, [7; 16], NOW).unwrap();
        for hash in 0..6 {
            journal.write(hash, at(100));
        }
        let (_, loaded) = Journal::open(&path, 4, [8; 16], NOW).unwrap();
        let mut hashes: Vec<u64> = loaded.used.iter().map(|(hash, _)| *hash).collect();
        hashes.sort_unstable();
        assert_eq!((hashes.as_slice(), loaded.key), (&[2, 3, 4, 5][..], [7; 16]));
    }

    #[test]
    fn a_full_store_refuses_and_a_sweep_makes_room() {
        let store = NonceStore::with_capacity(SHARDS);
        let mut refused = 0;
        for i in 0..10_000u32 {
            match store.claim("/a", &i.to_be_bytes(), at(1000), NOW) {
                Ok(claim) => claim.commit(),
                Err(error) => {
                    assert_eq!(error, ClaimError::Full);
                    refused += 1;
                }
            }
        }
        assert!(store.len() <= SHARDS && refused >= 10_000 - SHARDS);
        let later = at(1001 + SWEEP_MS);
        assert!((0..100u32).any(|i| store.claim("/b", &i.to_be_bytes(), at(99_000), later).is_ok()));
    }
}
