//! Secrets that operators add while the server runs (`runtime true`): the pools, and their sealed versions in a file.
//!
//! Outlives every configuration. A reload prepares what a new one needs and commits it once nothing can fail any more; a pool that both
//! have is the same one, so what is in flight sees a change at once. Values leave this place as keys of signatures only.

mod error;
mod file;
mod keys;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hookaido_model::{UnixMillis, config};
use parking_lot::{Mutex, MutexGuard, RwLock};

pub use self::error::{ChangeError, RuntimeError};
use self::file::{Record, Records, load, save};
use self::keys::{Keys, ordered, version};
use crate::seal::KeyError;
use crate::{Pool, PoolVersion, SecretPools, SecretSource, SecretValue};

/// Longest value of a version, in bytes.
pub const MAX_SECRET: usize = 64 << 10;
/// Variable with the key under which versions are sealed: 32 bytes in base64.
pub const KEY_VARIABLE: &str = "HOOKAIDO_SECRET_ENCRYPTION_KEY";
/// Variable with the key before, while a new one is introduced.
pub const PREVIOUS_KEY_VARIABLE: &str = "HOOKAIDO_SECRET_ENCRYPTION_KEY_PREVIOUS";
/// Id of the version that the configuration gives a pool to start with.
const BOOTSTRAP: &str = "sec_bootstrap";

/// A version to add.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// Never empty, at most [`MAX_SECRET`] bytes.
    pub value: SecretValue,
    /// First instant at which it counts; `None` for from now on.
    pub not_before: Option<UnixMillis>,
    /// First instant at which it no longer counts; `None` for no end.
    pub not_after: Option<UnixMillis>,
}

/// A version that was added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddedVersion {
    /// `sec_` and 16 hex digits.
    pub id: Arc<str>,
    /// First instant at which it counts.
    pub not_before: UnixMillis,
    /// First instant at which it no longer counts.
    pub not_after: Option<UnixMillis>,
    /// When it was added.
    pub created_at: UnixMillis,
}

/// The pools of a configuration, made but not yet in force.
#[derive(Debug)]
pub struct PreparedSecrets {
    /// All named secrets of the configuration, static ones too.
    pub pools: SecretPools,
    live: BTreeMap<Arc<str>, Entry>,
    /// Pools that were not there before, with the number of versions they bring.
    opened: Vec<(Arc<str>, usize)>,
    seeds: Vec<(Arc<str>, Record)>,
}

/// A pool in force.
#[derive(Clone, Debug)]
struct Entry {
    pool: Arc<Pool>,
    max_versions: usize,
}

#[derive(Default)]
struct State {
    /// Everything in the file, also of pools that no configuration has at present; `None` until it is needed.
    records: Option<Records>,
    /// Whether the file is behind.
    unsaved: bool,
    /// How long a version is kept after its end: requests that were signed before may still come.
    keep: Duration,
}

/// Pools of runtime secrets. Shared by everything in a process.
pub struct RuntimeSecrets {
    /// Or what is wrong with a variable; `None` where there is no key.
    keys: Result<Keys, Option<(&'static str, KeyError)>>,
    file: Option<PathBuf>,
    live: RwLock<BTreeMap<Arc<str>, Entry>>,
    state: Mutex<State>,
}

impl fmt::Debug for RuntimeSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.live.read().iter().map(|(name, entry)| (name, entry.max_versions))).finish()
    }
}

impl PreparedSecrets {
    /// Whether there is any pool that the admin API fills.
    #[must_use]
    pub fn has_runtime_pools(&self) -> bool {
        !self.live.is_empty()
    }
}

impl RuntimeSecrets {
    /// No pools yet. Keys are texts of [`KEY_VARIABLE`] and [`PREVIOUS_KEY_VARIABLE`]; whether they are good matters with the first
    /// pool. Without a file, versions last as long as the process. Only one process may use a file; whoever holds the lock of the
    /// database beside it is the one.
    #[must_use]
    pub fn new(key: Option<&str>, previous: Option<&str>, file: Option<PathBuf>) -> Self {
        let given = |key: Option<&'_ str>| key.map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned);
        let keys = match given(key) {
            None => Err(None),
            Some(key) => Keys::parse(&key, given(previous).as_deref()).map_err(Some),
        };
        Self { keys, file, live: RwLock::default(), state: Mutex::default() }
    }

    /// Whether versions outlive the process.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.file.is_some()
    }

    /// Reads and makes everything that a configuration's secrets need and that can fail. Changes nothing that is in force. Blocks.
    ///
    /// # Errors
    /// A value or the file cannot be read, or the key is missing or another one.
    pub fn prepare(
        &self,
        wanted: &BTreeMap<String, config::SecretPool>,
        source: &dyn SecretSource,
        now: UnixMillis,
    ) -> Result<PreparedSecrets, RuntimeError> {
        let mut prepared = PreparedSecrets {
            pools: SecretPools::default(),
            live: BTreeMap::new(),
            opened: Vec::new(),
            seeds: Vec::new(),
        };
        for (name, pool) in wanted {
            let pool = match pool {
                config::SecretPool::Static(version) => {
                    Arc::new(Pool::new(vec![PoolVersion::resolve(version, source)?]))
                }
                config::SecretPool::Runtime { id, initial, max_versions } => {
                    let present = self.live.read().get(id).map(|entry| Arc::clone(&entry.pool));
                    let pool = match present {
                        Some(pool) => pool,
                        None => self.open(&mut prepared, id, initial.as_ref().map(|initial| (initial, source)), now)?,
                    };
                    let max_versions = usize::try_from(*max_versions).unwrap_or(usize::MAX);
                    prepared.live.insert(Arc::clone(id), Entry { pool: Arc::clone(&pool), max_versions });
                    pool
                }
            };
            prepared.pools.insert(name.clone(), pool);
        }
        Ok(prepared)
    }

    /// Makes a pool of what the file has of it, or of the version that the configuration starts it with.
    fn open(
        &self,
        prepared: &mut PreparedSecrets,
        name: &Arc<str>,
        initial: Option<(&config::SecretVersion, &dyn SecretSource)>,
        now: UnixMillis,
    ) -> Result<Arc<Pool>, RuntimeError> {
        let keys = self.keys.as_ref().map_err(|problem| match problem {
            None => RuntimeError::NoKey,
            Some((variable, error)) => RuntimeError::Key(variable, *error),
        })?;
        let mut state = self.loaded()?;
        let State { records, unsaved, .. } = &mut *state;
        let records = records.as_mut().and_then(|records| records.get_mut(name)).filter(|records| !records.is_empty());
        if let Some(records) = records {
            let mut versions = Vec::with_capacity(records.len());
            for record in records.iter_mut().rev() {
                let (version, renewed) = keys.open(name, record)?;
                *unsaved |= renewed;
                versions.push(version);
            }
            prepared.opened.push((Arc::clone(name), versions.len()));
            return Ok(Arc::new(Pool::new(ordered(versions))));
        }
        let Some((initial, source)) = initial else { return Ok(Arc::new(Pool::new(Vec::new()))) };
        let failed = |source| RuntimeError::Seed { pool: Arc::clone(name), source };
        let value = source.resolve(&initial.value).map_err(|error| failed(error.into()))?;
        let new = NewVersion { value, not_before: initial.valid_from, not_after: initial.valid_until };
        let record = keys.record(name, BOOTSTRAP.into(), &new, now);
        let record = record.map_err(|_error| RuntimeError::Changed { pool: Arc::clone(name), id: BOOTSTRAP.into() })?;
        let pool = Pool::new(vec![version(&record, &new.value)]);
        prepared.seeds.push((Arc::clone(name), record));
        Ok(Arc::new(pool))
    }

    /// Lets prepared pools take over. A version stays for `keep` after its end, in which requests signed before may still come. Pools
    /// of the configuration before that are not among them can no longer be changed, and what the file has of them stays there. Must
    /// follow its [`prepare`](Self::prepare) before another one. May write the file, and only logs when it cannot: the pools count all
    /// the same.
    pub fn commit(&self, prepared: PreparedSecrets, keep: Duration) {
        let PreparedSecrets { live, opened, seeds, .. } = prepared;
        let mut state = self.state.lock();
        state.keep = keep;
        for (pool, versions) in opened {
            tracing::info!(target: "hookaido", pool = &*pool, versions, "runtime_secret_hydrated");
        }
        for (pool, record) in seeds {
            tracing::info!(target: "hookaido", pool = &*pool, bootstrap_id = &*record.id, "runtime_secret_seeded_from_config");
            state.records.get_or_insert_default().entry(pool).or_default().push(record);
            state.unsaved = true;
        }
        for (pool, _) in live.iter().filter(|(_, entry)| entry.pool.versions().is_empty()) {
            let detail = "nothing verifies with it until a version is added through the admin API";
            tracing::warn!(target: "hookaido", pool = &**pool, detail, "runtime_secret_pool_empty");
        }
        *self.live.write() = live;
        if state.unsaved
            && let Err(error) = self.save(&mut state)
        {
            tracing::error!(target: "hookaido", err = %error, "runtime_secrets_save_failed");
        }
    }

    /// The versions of a pool, those that begin last first; `None` where there is no such pool.
    #[must_use]
    pub fn versions(&self, pool: &str) -> Option<Arc<[PoolVersion]>> {
        self.live.read().get(pool).map(|entry| entry.pool.versions())
    }

    /// Adds a version. It counts, and survives a power cut, when this returns. Room is made by removing versions that have ended, the
    /// first to end first. Blocks.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn add(&self, pool: &str, new: &NewVersion, now: UnixMillis) -> Result<AddedVersion, ChangeError> {
        let Ok(keys) = &self.keys else { return Err(ChangeError::NoPool) };
        let mut state = self.state.lock();
        let (name, Entry { pool: live, max_versions }) = self.entry(pool)?;
        let mut records = state.records.as_ref().and_then(|records| records.get(&name)).cloned().unwrap_or_default();
        while records.len() >= max_versions {
            let ended = |record: &&Record| record.not_after.is_some_and(|until| until <= now);
            let first = records.iter().filter(ended).min_by_key(|record| record.not_after);
            let first = first.map(|record| Arc::clone(&record.id)).ok_or(ChangeError::Full(records.len()))?;
            records.retain(|record| record.id != first);
        }
        let mut id = new_id()?;
        while records.iter().any(|record| record.id == id) {
            id = new_id()?;
        }
        let record = keys.record(&name, id, new, now)?;
        let Record { id, not_before, not_after, created_at, .. } = record.clone();
        let added = version(&record, &new.value);
        records.push(record);
        let kept = self.exchange(&mut state, &name, records)?;
        let before = live.versions();
        let before = before.iter().filter(|version| kept(&version.id)).cloned();
        live.replace(ordered(std::iter::once(added).chain(before).collect()));
        Ok(AddedVersion { id, not_before, not_after, created_at })
    }

    /// Removes a version. It no longer counts, and does not come back after a power cut, when this returns. Blocks.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub fn remove(&self, pool: &str, id: &str) -> Result<(), ChangeError> {
        let mut state = self.state.lock();
        let (name, Entry { pool: live, .. }) = self.entry(pool)?;
        let mut records = state.records.as_ref().and_then(|records| records.get(&name)).cloned().unwrap_or_default();
        let before = records.len();
        records.retain(|record| *record.id != *id);
        if records.len() == before {
            return Err(ChangeError::NoVersion);
        }
        let kept = self.exchange(&mut state, &name, records)?;
        live.replace(live.versions().iter().filter(|version| kept(&version.id)).cloned().collect());
        Ok(())
    }

    /// Removes every version that has been kept long enough after its end, also of pools that no configuration has at present. Returns
    /// how many went, by pool. Blocks.
    ///
    /// # Errors
    /// Why nothing has changed any more.
    pub fn sweep(&self, now: UnixMillis) -> Result<Vec<(Arc<str>, usize)>, ChangeError> {
        let mut state = self.state.lock();
        let keep = state.keep;
        let ended = |record: &Record| record.not_after.is_some_and(|until| until.plus(keep) <= now);
        let pools = state.records.iter().flatten().filter(|(_, records)| records.iter().any(ended));
        let pools: Vec<(Arc<str>, Vec<Record>)> =
            pools.map(|(name, records)| (Arc::clone(name), records.clone())).collect();
        let mut removed = Vec::with_capacity(pools.len());
        for (name, mut records) in pools {
            let before = records.len();
            records.retain(|record| !ended(record));
            let count = before - records.len();
            let kept = self.exchange(&mut state, &name, records)?;
            if let Ok((_, Entry { pool: live, .. })) = self.entry(&name) {
                live.replace(live.versions().iter().filter(|version| kept(&version.id)).cloned().collect());
            }
            removed.push((name, count));
        }
        Ok(removed)
    }

    fn entry(&self, pool: &str) -> Result<(Arc<str>, Entry), ChangeError> {
        let live = self.live.read();
        let entry = live.get_key_value(pool).map(|(name, entry)| (Arc::clone(name), entry.clone()));
        entry.ok_or(ChangeError::NoPool)
    }

    /// Exchanges the records of a pool and writes the file; puts them back when that fails. Returns what tells which ids are there.
    fn exchange(
        &self,
        state: &mut State,
        pool: &Arc<str>,
        records: Vec<Record>,
    ) -> Result<impl Fn(&Arc<str>) -> bool + use<>, ChangeError> {
        let ids: Vec<Arc<str>> = records.iter().map(|record| Arc::clone(&record.id)).collect();
        let all = state.records.get_or_insert_default();
        let before = if records.is_empty() { all.remove(pool) } else { all.insert(Arc::clone(pool), records) };
        if let Err(error) = self.save(state) {
            let all = state.records.get_or_insert_default();
            match before {
                Some(before) => all.insert(Arc::clone(pool), before),
                None => all.remove(pool),
            };
            return Err(ChangeError::Save(error));
        }
        Ok(move |id: &Arc<str>| ids.contains(id))
    }

    fn save(&self, state: &mut State) -> io::Result<()> {
        if let (Some(file), Some(records)) = (&self.file, &state.records) {
            save(file, records)?;
        }
        state.unsaved = false;
        Ok(())
    }

    /// The state, with the file read.
    fn loaded(&self) -> Result<MutexGuard<'_, State>, RuntimeError> {
        let mut state = self.state.lock();
        if state.records.is_none() {
            let read = |path: &Path| {
                load(path).map_err(|source| RuntimeError::File { path: path.display().to_string(), source })
            };
            state.records = Some(self.file.as_deref().map(read).transpose()?.unwrap_or_default());
        }
        Ok(state)
    }
}

fn new_id() -> Result<Arc<str>, ChangeError> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_unspecified| ChangeError::Seal)?;
    Ok(format!("sec_{:016x}", u64::from_be_bytes(random)).into())
}

#[cfg(test)]
mod tests;
