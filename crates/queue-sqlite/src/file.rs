//! The files of one queue: the lock, and connections with their settings.
//!
//! Everything that opens a file is here; nothing here knows what the tables mean.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, FileControl, OpenFlags};
use rustix::fs::{FlockOperation, flock};

use crate::reserve::Reserve;
use crate::{OpenError, SqliteOptions};

/// Below this version a checkpoint that runs beside a writer can damage the file (the WAL reset bug).
const OLDEST_LIBRARY: i32 = 3_051_003;

/// Bytes of a page. The unit in which the log counts.
pub(crate) const PAGE: u32 = 4096;

/// The path of one queue and what was found there. Holds the lock as long as it lives.
#[derive(Debug)]
pub(crate) struct QueueFile {
    pub(crate) path: PathBuf,
    options: SqliteOptions,
    identity: (u64, u64),
    /// Of the write-ahead log, once it was seen.
    log_identity: OnceLock<(u64, u64)>,
    lock: File,
    pub(crate) reserve: Reserve,
}

impl QueueFile {
    /// Locks the path, checks that the file is ours or new, and returns the writer's connection with the present schema.
    pub(crate) fn open(path: &Path, options: SqliteOptions) -> Result<(Self, Connection), OpenError> {
        if rusqlite::version_number() < OLDEST_LIBRARY {
            return Err(OpenError::OldLibrary { found: rusqlite::version() });
        }
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_folders(folder).map_err(|source| OpenError::Io { path: folder.to_owned(), source })?;
        }
        // Locked first: reading a file by other means than SQLite takes away the locks of a store that has it open in this process.
        let (lock, new_lock) = lock(path)?;
        if let Err(refused) = crate::schema::check_kind(path) {
            if let Some(new_lock) = new_lock {
                // Nothing is left beside a file of somebody else.
                let _harmless_if_it_stays = std::fs::remove_file(new_lock);
            }
            return Err(refused);
        }
        let reserve = Reserve::beside(path, options.reserve_bytes);
        let mut file =
            Self { path: path.to_owned(), options, identity: (0, 0), log_identity: OnceLock::new(), lock, reserve };
        let conn = file.connect_first()?;
        file.identity = identity(path).map_err(|source| OpenError::Io { path: path.to_owned(), source })?;
        Ok((file, conn))
    }

    fn connect_first(&self) -> Result<Connection, OpenError> {
        // Says more than SQLite about why a file cannot be written.
        let probe = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path);
        probe.map_err(|source| OpenError::Io { path: self.path.clone(), source })?;
        let sqlite = |source| OpenError::Sqlite { file: self.path.clone(), source };
        let conn = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        crate::schema::migrate(&conn, &self.path)?;
        self.settle_writer(&conn).map_err(sqlite)?;
        Ok(conn)
    }

    /// Another connection that may write: the writer's after a fault, or the checkpointer's.
    pub(crate) fn connect_writer(&self) -> rusqlite::Result<Connection> {
        let conn = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        self.settle_writer(&conn)?;
        Ok(conn)
    }

    /// A connection for the checkpointer, which needs no cache.
    pub(crate) fn connect_checkpointer(&self) -> rusqlite::Result<Connection> {
        let conn = self.connect_writer()?;
        conn.execute_batch("PRAGMA cache_size = 10;")?;
        Ok(conn)
    }

    /// A connection that cannot write.
    pub(crate) fn connect_reader(&self) -> rusqlite::Result<Connection> {
        let conn = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let kib = self.options.cache_bytes / 4096;
        conn.execute_batch(&format!("PRAGMA query_only = ON; PRAGMA cache_size = -{kib};"))?;
        Ok(conn)
    }

    fn settle_writer(&self, conn: &Connection) -> rusqlite::Result<()> {
        let kib = self.options.cache_bytes / 1024;
        conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))?;
        conn.execute_batch(&format!(
            "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -{kib};"
        ))?;
        if let Some(bytes) = self.options.size_limit {
            conn.execute_batch(&format!("PRAGMA max_page_count = {};", bytes / u64::from(PAGE)))?;
        }
        // The log keeps its place on the disk, so that the next run overwrites it rather than growing it again.
        conn.file_control(Some(c"main"), FileControl::PersistWal(&mut 1))
    }

    /// Whether path and log still lead to the files that were opened. What is written to others is not found by the next start.
    pub(crate) fn place(&self) -> InPlace {
        if identity(&self.path).is_ok_and(|found| found != self.identity) {
            return InPlace::Replaced;
        }
        if identity(&self.path).is_err() {
            return InPlace::Gone;
        }
        let log = identity(&self.log()).ok();
        match self.log_identity.get() {
            Some(known) if log == Some(*known) => InPlace::Yes,
            Some(_) => InPlace::WithoutLog,
            None => {
                let _seen_by_another_thread_meanwhile = log.map(|found| self.log_identity.set(found));
                InPlace::Yes
            }
        }
    }

    /// Lets another process open the queue. The last thing done with it.
    pub(crate) fn unlock(&self) {
        let _closing_would_unlock_too = flock(&self.lock, FlockOperation::Unlock);
    }

    /// Path of the write-ahead log.
    pub(crate) fn log(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push("-wal");
        name.into()
    }

    /// Size of the write-ahead log on the disk.
    pub(crate) fn log_bytes(&self) -> u64 {
        std::fs::metadata(self.log()).map_or(0, |meta| meta.len())
    }
}

/// Whether the files are where they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InPlace {
    Yes,
    /// The path leads nowhere.
    Gone,
    /// The path leads to another file.
    Replaced,
    /// The file is there, its log is not.
    WithoutLog,
}

/// A connection with the settings that all have in common.
pub(crate) fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let conn = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    conn.execute_batch(
        "PRAGMA busy_timeout = 5000; PRAGMA temp_store = MEMORY; PRAGMA mmap_size = 0; PRAGMA foreign_keys = OFF;",
    )?;
    Ok(conn)
}

/// Makes the folders that are missing, and has their names outlast a power cut: SQLite syncs the folder that the file is in, but not
/// those above it, and a queue is no safer than the folders it lies in.
fn make_folders(folder: &Path) -> std::io::Result<()> {
    let missing = folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).count();
    std::fs::create_dir_all(folder)?;
    for made in folder.ancestors().take(missing) {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // Not every folder may be read, and not every file system can do this; then it does so by itself, some time.
        let Ok(above) = File::open(above) else { continue };
        match above.sync_all() {
            Err(error) if error.kind() != std::io::ErrorKind::InvalidInput => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

/// Takes the lock beside the file, or says who has it. Also the path of the lock file, if it is new.
fn lock(path: &Path) -> Result<(File, Option<PathBuf>), OpenError> {
    let mut name = path.to_owned().into_os_string();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let io = |source| OpenError::Io { path: lock.clone(), source };
    let known = lock.exists();
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&lock).map_err(io)?;
    if let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
        if error != rustix::io::Errno::WOULDBLOCK {
            return Err(io(error.into()));
        }
        let mut pid = String::new();
        let read = Read::by_ref(&mut file).take(20).read_to_string(&mut pid);
        let pid = pid.trim();
        let told = read.is_ok() && !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit());
        let holder = if told { format!("process {pid}") } else { "another process".to_owned() };
        return Err(OpenError::Locked { file: path.to_owned(), lock: lock.clone(), holder });
    }
    // Who holds it is a courtesy to the reader of the message above; the lock itself does not depend on it.
    let note = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    let _the_disk_may_be_full = note;
    Ok((file, (!known).then_some(lock)))
}
