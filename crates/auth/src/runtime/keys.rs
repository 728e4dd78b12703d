//! From versions to sealed records and back.

use std::sync::Arc;

use hookaido_model::UnixMillis;

use super::file::Record;
use super::{ChangeError, KEY_VARIABLE, NewVersion, PREVIOUS_KEY_VARIABLE, RuntimeError};
use crate::seal::{KeyError, SealKey};
use crate::{PoolVersion, SecretValue};

/// The key that seals, and the one before while there is one.
pub(super) struct Keys {
    current: SealKey,
    previous: Option<SealKey>,
}

impl Keys {
    pub(super) fn parse(current: &str, previous: Option<&str>) -> Result<Self, (&'static str, KeyError)> {
        let previous = previous.map(SealKey::parse).transpose().map_err(|error| (PREVIOUS_KEY_VARIABLE, error))?;
        Ok(Self { current: SealKey::parse(current).map_err(|error| (KEY_VARIABLE, error))?, previous })
    }

    fn of(&self, id: &str) -> Option<&SealKey> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(|key| key.id() == id)
    }

    /// Makes the record of a version.
    pub(super) fn record(
        &self,
        pool: &str,
        id: Arc<str>,
        new: &NewVersion,
        now: UnixMillis,
    ) -> Result<Record, ChangeError> {
        let key = Arc::from(self.current.id());
        // Senders sign whole seconds: a version that counts from now on counts for all of this one.
        let not_before = new.not_before.unwrap_or(UnixMillis(now.secs().saturating_mul(1000)));
        let sealed = Arc::from([]);
        let record = Record { id, not_before, not_after: new.not_after, created_at: now, key, sealed };
        let sealed = self.current.seal(&new.value, &record.bound(pool)).map_err(|_error| ChangeError::Seal)?;
        Ok(Record { sealed: sealed.into(), ..record })
    }

    /// Opens a record. One that the previous key sealed is sealed anew.
    pub(super) fn open(&self, pool: &Arc<str>, record: &mut Record) -> Result<(PoolVersion, bool), RuntimeError> {
        let key = self.of(&record.key).ok_or_else(|| RuntimeError::OtherKey {
            pool: Arc::clone(pool),
            id: Arc::clone(&record.id),
            sealed_by: Arc::clone(&record.key),
            ours: self.current.id().to_owned(),
        })?;
        let bound = record.bound(pool);
        let changed = |_error| RuntimeError::Changed { pool: Arc::clone(pool), id: Arc::clone(&record.id) };
        let value = key.open(&record.sealed, &bound).map_err(changed)?;
        let renew = key.id() != self.current.id();
        if renew {
            record.sealed = self.current.seal(&value, &bound).map_err(changed)?.into();
            record.key = self.current.id().into();
        }
        Ok((version(record, &value), renew))
    }
}

pub(super) fn version(record: &Record, value: &SecretValue) -> PoolVersion {
    PoolVersion::new(Arc::clone(&record.id), value, Some(record.not_before), record.not_after)
}

/// Those that begin last come first; of several that begin together, the one that came last.
pub(super) fn ordered(mut versions: Vec<PoolVersion>) -> Vec<PoolVersion> {
    versions.sort_by_key(|version| std::cmp::Reverse(version.valid_from));
    versions
}
