//! Sealed versions in a file beside the queue: one JSON document, replaced as a whole and synced before a change is answered.
//!
//! It is small and changes rarely, so nothing cheaper is needed. Names and windows stand there in the clear, bound to the sealed
//! values; no value does.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hookaido_model::UnixMillis;
use serde::{Deserialize, Serialize};

/// The form that this code writes; a file of a later one is refused.
const FORMAT: u32 = 1;
/// Largest file that is read or written, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A version as it is kept.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) id: Arc<str>,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: Option<UnixMillis>,
    pub(super) created_at: UnixMillis,
    /// Id of the key that sealed it.
    pub(super) key: Arc<str>,
    pub(super) sealed: Arc<[u8]>,
}

/// Versions by pool, in the order in which they came.
pub(super) type Records = BTreeMap<Arc<str>, Vec<Record>>;

impl Record {
    /// What the sealed value is bound to: its pool and everything else that stands beside it.
    pub(super) fn bound(&self, pool: &str) -> Vec<u8> {
        let mut bound = Vec::with_capacity(pool.len() + self.id.len() + 40);
        for text in [pool, &*self.id] {
            bound.extend_from_slice(&(text.len() as u64).to_le_bytes());
            bound.extend_from_slice(text.as_bytes());
        }
        for at in [self.not_before, self.not_after.unwrap_or(UnixMillis(i64::MAX)), self.created_at] {
            bound.extend_from_slice(&at.0.to_le_bytes());
        }
        bound
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    versions: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    pool: Arc<str>,
    id: Arc<str>,
    not_before: i64,
    not_after: Option<i64>,
    created_at: i64,
    key: Arc<str>,
    sealed: String,
}

/// Reads the file; nothing is in one that does not exist.
pub(super) fn load(path: &Path) -> io::Result<Records> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Records::new()),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 64 MiB"));
    }
    let invalid = |why: String| io::Error::new(io::ErrorKind::InvalidData, why);
    let document: Document =
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!("not a file of runtime secrets: {error}")))?;
    if document.format != FORMAT {
        return Err(invalid(format!(
            "written by a later version (format {}, this one knows {FORMAT})",
            document.format
        )));
    }
    let mut records = Records::new();
    for row in document.versions {
        let sealed = STANDARD.decode(&row.sealed);
        let sealed = sealed.map_err(|_error| invalid(format!("version {} of {}: not base64", row.id, row.pool)))?;
        records.entry(row.pool).or_default().push(Record {
            id: row.id,
            not_before: UnixMillis(row.not_before),
            not_after: row.not_after.map(UnixMillis),
            created_at: UnixMillis(row.created_at),
            key: row.key,
            sealed: sealed.into(),
        });
    }
    Ok(records)
}

/// Replaces the file. When this returns without an error, the content survives a power cut.
pub(super) fn save(path: &Path, records: &Records) -> io::Result<()> {
    let rows = records.iter().flat_map(|(pool, versions)| versions.iter().map(move |version| (pool, version)));
    let rows = rows.map(|(pool, version)| Row {
        pool: Arc::clone(pool),
        id: Arc::clone(&version.id),
        not_before: version.not_before.0,
        not_after: version.not_after.map(|at| at.0),
        created_at: version.created_at.0,
        key: Arc::clone(&version.key),
        sealed: STANDARD.encode(&version.sealed),
    });
    let mut bytes = serde_json::to_vec_pretty(&Document { format: FORMAT, versions: rows.collect() })?;
    bytes.push(b'\n');
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file would be larger than 64 MiB"));
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let written = write_beside(Path::new(&beside), &bytes).and_then(|()| std::fs::rename(&beside, path));
    if let Err(error) = written {
        let _left = std::fs::remove_file(&beside);
        return Err(error);
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write_beside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
