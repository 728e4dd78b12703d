//! Room on the disk that is kept back for the time when it is full.
//!
//! A file beside the queue, of blocks that hold nothing. When the disk is full it is given up, and what lets the queue shrink goes on in
//! its room: settling messages needs log pages, and the log begins anew only when the file has room for what is in it. New messages are
//! taken again once the whole reserve could be kept back once more. Where a file system cannot keep room there is no reserve.

use std::fs::OpenOptions;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// The reserve takes at most this part of the file system.
const PART: u64 = 4;

/// The reserve of one queue file.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

/// There is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DiskFull;

impl Reserve {
    /// A reserve of `bytes` for the queue at `queue`, less on a very small file system. Not taken yet.
    pub(crate) fn beside(queue: &Path, bytes: u64) -> Self {
        let mut name = queue.as_os_str().to_owned();
        name.push(".reserve");
        let folder = queue.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let all = statvfs(folder).map_or(u64::MAX, |disk| disk.f_blocks.saturating_mul(disk.f_frsize));
        Self { path: name.into(), bytes: bytes.min(all / PART) }
    }

    /// Keeps the room back, if it is not kept already.
    pub(crate) fn take(&self) -> Result<(), DiskFull> {
        match self.allocate() {
            Err(Errno::NOSPC | Errno::DQUOT) => {
                self.give_up();
                Err(DiskFull)
            }
            // Not every file system can do this; then acks wait for room like everything else.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Gives the room to whoever writes first. Whether there was any.
    pub(crate) fn give_up(&self) -> bool {
        std::fs::remove_file(&self.path).is_ok()
    }

    fn allocate(&self) -> Result<(), Errno> {
        let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        if self.bytes == 0 {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&self.path).map_err(errno)?;
        let found = file.metadata().map_err(errno)?;
        if found.len() == self.bytes && found.blocks() * 512 >= self.bytes {
            return Ok(());
        }
        fallocate(&file, FallocateFlags::empty(), 0, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_kept_and_given_up() {
        let folder = tempfile::tempdir().unwrap();
        let queue = folder.path().join("queue.db");
        std::fs::write(&queue, "").unwrap();
        let reserve = Reserve::beside(&queue, 1 << 20);
        let file = folder.path().join("queue.db.reserve");
        for _ in 0..2 {
            reserve.take().unwrap();
            assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 20);
        }
        assert!(reserve.give_up());
        assert!(!reserve.give_up());
        assert!(!file.exists());
        assert!(Reserve::beside(&queue, u64::MAX).bytes < u64::MAX, "a part of the disk at most");
    }
}
