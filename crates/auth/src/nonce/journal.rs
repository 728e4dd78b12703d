//! Used nonces in a file, so that a restart does not open the past to replay.
//!
//! A ring of fixed slots: 8 bytes of hash and 8 of end of validity, little endian, behind a head of magic and hash key. What is
//! overwritten first was used first, and has run out long before. Written when a nonce becomes lasting, not synced: it survives the end of
//! the process however that comes, and at worst a power cut takes the last seconds. Opening rewrites the file with what still counts.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hookaido_model::UnixMillis;

/// Says what the file is, and in which form.
const MAGIC: &[u8; 8] = b"hknonce1";
/// Magic and hash key.
const HEAD: u64 = 24;
/// One nonce.
const SLOT: usize = 16;

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    slots: u64,
    /// Nonces written so far; the next goes to this slot, modulo `slots`.
    next: AtomicU64,
    failing: AtomicBool,
}

/// What a file held.
pub(super) struct Loaded {
    /// Of the hashes.
    pub(super) key: [u8; 16],
    /// Hash and end of what still counts.
    pub(super) used: Vec<(u64, UnixMillis)>,
}

impl Journal {
    /// Reads the file, or starts one with `fresh_key`, and rewrites it with what counts at `now`.
    pub(super) fn open(path: &Path, slots: u64, fresh_key: [u8; 16], now: UnixMillis) -> io::Result<(Self, Loaded)> {
        let loaded = match File::open(path) {
            Ok(file) => read(file, slots, now)?.unwrap_or(Loaded { key: fresh_key, used: Vec::new() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Loaded { key: fresh_key, used: Vec::new() },
            Err(error) => return Err(error),
        };
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        let mut writer = BufWriter::new(file);
        writer.write_all(MAGIC)?;
        writer.write_all(&loaded.key)?;
        for (hash, until) in &loaded.used {
            writer.write_all(&slot(*hash, *until))?;
        }
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        // Otherwise a power cut could bring back the file of the run before, without any of this one's.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _left_to_file_systems_that_cannot = File::open(folder).and_then(|folder| folder.sync_all());
        let next = AtomicU64::new(loaded.used.len() as u64);
        Ok((Self { file, slots, next, failing: AtomicBool::new(false) }, loaded))
    }

    /// Writes one nonce. A failure is reported once until writing works again; the nonce counts in memory all the same.
    pub(super) fn write(&self, hash: u64, until: UnixMillis) {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.slots;
        let outcome = self.file.write_all_at(&slot(hash, until), HEAD + place * SLOT as u64);
        let was_failing = self.failing.swap(outcome.is_err(), Ordering::Relaxed);
        if let (Err(error), false) = (&outcome, was_failing) {
            tracing::warn!(target: "hookaido", %error, "nonce_journal_write_failed");
        }
    }
}

fn slot(hash: u64, until: UnixMillis) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    let (left, right) = slot.split_at_mut(SLOT / 2);
    left.copy_from_slice(&hash.to_le_bytes());
    right.copy_from_slice(&until.0.to_le_bytes());
    slot
}

/// What a file holds; `None` when it is empty. A torn last slot is left out.
fn read(file: File, slots: u64, now: UnixMillis) -> io::Result<Option<Loaded>> {
    let mut reader = BufReader::new(file.take(HEAD + slots * SLOT as u64));
    let (mut magic, mut key) = ([0; 8], [0; 16]);
    if reader.fill_buf()?.is_empty() {
        return Ok(None);
    }
    if reader.read_exact(&mut magic).and_then(|()| reader.read_exact(&mut key)).is_err() || magic != *MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a file of nonces; move it away"));
    }
    let mut used = Vec::new();
    let (mut hash, mut until) = ([0; 8], [0; 8]);
    loop {
        match reader.read_exact(&mut hash).and_then(|()| reader.read_exact(&mut until)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        let until = UnixMillis(i64::from_le_bytes(until));
        if until >= now {
            used.push((u64::from_le_bytes(hash), until));
        }
    }
    // The order of use is lost in a ring that went round; that of the ends is as good.
    used.sort_unstable_by_key(|(_, until)| *until);
    Ok(Some(Loaded { key, used }))
}
