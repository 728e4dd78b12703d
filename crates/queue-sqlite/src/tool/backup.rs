//! A copy of a queue file, made beside a running server.
//!
//! Page by page, within one read transaction. Without one, SQLite's backup begins again with every commit of the server and never ends
//! under load. With one, the server's log cannot begin anew before the last page is copied; copying pages is the shortest way there (`VACUUM
//! INTO` makes every row again, on a processor that the server needs). Should the log grow too much even so, the backup is given up, never
//! the server. The copy appears under its name only when it is whole and on the disk.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};
use rustix::io::Errno;

use super::error::ToolError;
use super::open::{Reading, beside, folder, reading, size};
use super::{Progress, Unit, Watch};
use crate::file::PAGE;
use crate::lanes::Lanes;

/// Pages copied in one step.
const STEP: i32 = 256;
/// Steps after which the copy is synced, so that the disk never has much to write at once beside the server's own syncs.
const SYNC_EVERY: u32 = 16;
/// After a step beside a server that writes, the backup rests this many times as long, so that the server hardly notices.
const REST: u32 = 6;
/// The longest rest.
const LONGEST_REST: Duration = Duration::from_millis(250);
/// Steps without a change of the log after which nobody is thought to write.
const CALM: u32 = 64;
/// The log may grow by one part in this many of what is free on its file system.
const PART: u64 = 4;

/// A backup that was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// Bytes of the copy.
    pub bytes: u64,
    /// Messages in it, of all states.
    pub messages: u64,
}

/// Copies the queue at `from` to `to`, which must not exist unless `replace` says so. The copy is one file, without a log.
///
/// # Errors
/// `from` cannot be read, `to` cannot be written or exists, there is no room, or the log grew too much. `to` is as it was then.
pub fn backup(from: &Path, to: &Path, replace: bool, watch: Watch<'_>) -> Result<Backup, ToolError> {
    let source = reading(from)?;
    let identity = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
    if let Ok(found) = identity(to) {
        if identity(from).is_ok_and(|queue| queue == found) {
            return Err(ToolError::Same { file: to.to_owned() });
        }
        if !replace {
            return Err(ToolError::Exists { file: to.to_owned() });
        }
    }
    let part = Part::create(from, to)?;
    copy(&source, from, &part, watch)?;
    drop(source);
    let messages = finish(&part.path).map_err(|source| ToolError::sqlite(&part.path, source))?;
    let bytes = size(&part.path);
    part.keep(to, replace)?;
    Ok(Backup { bytes, messages })
}

/// The copy in the making, under another name. Removed when dropped.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// An empty file beside `to`, with the permissions of `from`: it will hold the same secrets.
    fn create(from: &Path, to: &Path) -> Result<Self, ToolError> {
        let path = beside(to, &format!(".part-{}", std::process::id()));
        let io = |source| ToolError::io(&path, source);
        let permissions = std::fs::metadata(from).map_err(|source| ToolError::io(from, source))?.permissions();
        let file = OpenOptions::new().write(true).create_new(true).open(&path).map_err(|source| {
            let folder = folder(to);
            if folder.exists() { io(source) } else { ToolError::Missing { file: folder.to_owned() } }
        })?;
        let part = Self { path, file };
        part.file.set_permissions(permissions).map_err(|source| ToolError::io(&part.path, source))?;
        Ok(part)
    }

    /// Makes the copy appear as `to`, in one step that a power cut does not undo.
    fn keep(self, to: &Path, replace: bool) -> Result<(), ToolError> {
        let io = |source| ToolError::io(to, source);
        self.file.sync_all().map_err(io)?;
        let flags = if replace { RenameFlags::empty() } else { RenameFlags::NOREPLACE };
        match renameat_with(CWD, &self.path, CWD, to, flags) {
            Err(Errno::EXIST) => return Err(ToolError::Exists { file: to.to_owned() }),
            // A file system that cannot promise it; whether there is such a file was asked before.
            Err(Errno::INVAL | Errno::NOSYS) => std::fs::rename(&self.path, to).map_err(io)?,
            Err(error) => return Err(io(error.into())),
            Ok(()) => {}
        }
        File::open(folder(to)).and_then(|folder| folder.sync_all()).map_err(io)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        for ending in ["", "-wal", "-shm", "-journal"] {
            let _may_not_be_there = std::fs::remove_file(beside(&self.path, ending));
        }
    }
}

fn copy(source: &Reading, from: &Path, part: &Part, watch: Watch<'_>) -> Result<(), ToolError> {
    let read = |source| ToolError::sqlite(from, source);
    let write = |source| ToolError::sqlite(&part.path, source);
    // Begins with the first statement that reads; from here on every page is as it is now.
    let snapshot = source.conn.unchecked_transaction().map_err(read)?;
    snapshot.query_row("SELECT count(*) FROM lane", [], |_| Ok(())).map_err(read)?;
    let pages = snapshot.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0)).map_err(read)?.cast_unsigned();
    room_for(pages * u64::from(PAGE), &part.path)?;
    let mut log = Log::of(from);

    let mut copy = destination(&part.path).map_err(write)?;
    let work = rusqlite::backup::Backup::new(&snapshot, &mut copy).map_err(write)?;
    let mut steps = 0;
    loop {
        let begun = Instant::now();
        let more = match work.step(STEP).map_err(write)? {
            StepResult::Done => false,
            StepResult::More => true,
            // Another process holds the file for a moment.
            _ => {
                std::thread::park_timeout(Duration::from_millis(20));
                true
            }
        };
        let left = u64::try_from(work.progress().remaining).unwrap_or(0);
        let bytes = |pages: u64| pages * u64::from(PAGE);
        let done = bytes(pages.saturating_sub(left));
        watch(Progress { doing: "copying", done, total: bytes(pages), unit: Unit::Bytes });
        if !more {
            break;
        }
        log.check(from)?;
        steps += 1;
        if steps % SYNC_EVERY == 0 {
            part.file.sync_data().map_err(|source| ToolError::io(&part.path, source))?;
        }
        if log.is_written() {
            std::thread::park_timeout((begun.elapsed() * REST).min(LONGEST_REST));
        }
    }
    drop(work);
    copy.close().map_err(|(_, source)| write(source))
}

/// A connection that writes the copy as a plain file: nobody else looks at it, and it is synced as a whole.
fn destination(path: &Path) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    conn.query_row("PRAGMA journal_mode = OFF", [], |_| Ok(()))?;
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -2048;")?;
    Ok(conn)
}

/// Takes the mark of write-ahead logging off the copy, so that it can be read anywhere as one file, and counts its messages.
fn finish(path: &Path) -> rusqlite::Result<u64> {
    let conn = destination(path)?;
    conn.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    let messages = Lanes::load(&conn)?.all().iter().flat_map(|lane| lane.counts()).sum();
    conn.close().map_err(|(_, error)| error)?;
    Ok(messages)
}

fn room_for(need: u64, path: &Path) -> Result<(), ToolError> {
    let folder = folder(path);
    let free = free_on(folder);
    if free < need { Err(ToolError::NoRoom { folder: folder.to_owned(), need, free }) } else { Ok(()) }
}

fn free_on(folder: &Path) -> u64 {
    statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The server's log when the copy began.
struct Log {
    path: PathBuf,
    bytes: u64,
    free: u64,
    changed: Option<SystemTime>,
    /// Steps since it last changed.
    calm: u32,
}

impl Log {
    fn of(queue: &Path) -> Self {
        let path = beside(queue, "-wal");
        Self { bytes: size(&path), free: free_on(folder(queue)), changed: None, calm: CALM, path }
    }

    /// Whether a server writes it these days.
    fn is_written(&mut self) -> bool {
        let changed = std::fs::metadata(&self.path).and_then(|meta| meta.modified()).ok();
        let before = std::mem::replace(&mut self.changed, changed);
        let same = before.is_none() || before == changed;
        self.calm = if same { self.calm.saturating_add(1) } else { 0 };
        self.calm < CALM
    }

    fn check(&self, queue: &Path) -> Result<(), ToolError> {
        let grown = size(&self.path).saturating_sub(self.bytes);
        if grown > self.free / PART {
            return Err(ToolError::LogGrew { file: queue.to_owned(), grown, free: self.free });
        }
        Ok(())
    }
}
