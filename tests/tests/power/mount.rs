//! A [`Disk`] as a mounted file system.
//!
//! Every write reaches the disk at once (the kernel's write-back cache stays off), so the disk alone decides what outlasts a cut. Locks
//! and shared memory are the kernel's.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    AccessFlags, BackgroundSession, BsdFileFlags, Config, FileAttr, FileHandle, FileType, Filesystem, FopenFlags,
    Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::io::Errno;
use tempfile::TempDir;

use crate::disk::Disk;

/// The kernel may remember what it was told: nobody else changes anything.
const LONG: Duration = Duration::from_secs(3600);
/// Size that the file system says it has: 4 GiB in blocks of 4 KiB.
const BLOCKS: u64 = 1 << 20;

/// A mounted disk. Unmounted when dropped.
#[derive(Debug)]
pub(crate) struct Mounted {
    disk: Arc<Mutex<Disk>>,
    session: Option<BackgroundSession>,
    folder: TempDir,
}

impl Mounted {
    /// Mounts a disk in a folder of its own.
    pub(crate) fn new(disk: Disk) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("hookaido-power-").tempdir()?;
        let disk = Arc::new(Mutex::new(disk));
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("hookaido-test".to_owned()), MountOption::NoAtime];
        let session = fuser::spawn_mount(Forgetful(Arc::clone(&disk)), folder.path(), &config)?;
        Ok(Self { disk, session: Some(session), folder })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power, if it is still on.
    pub(crate) fn cut(&self) {
        self.disk().cut();
    }

    /// Unmounts and hands the disk over. Nobody may have anything open there.
    pub(crate) fn eject(mut self) -> io::Result<Disk> {
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        let disk = std::mem::take(&mut *self.disk());
        Ok(disk)
    }
}

/// Why there can be no such file system here; nothing if there can.
pub(crate) fn lacking() -> Option<String> {
    if !Path::new("/dev/fuse").exists() {
        return Some("there is no /dev/fuse".to_owned());
    }
    Mounted::new(Disk::default()).err().map(|error| format!("a FUSE file system cannot be mounted: {error}"))
}

/// Answers the kernel from the disk.
struct Forgetful(Arc<Mutex<Disk>>);

impl Forgetful {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn attributes(disk: &Disk, ino: u64) -> Result<FileAttr, Errno> {
    disk.powered()?;
    let node = disk.node(ino)?;
    let size = node.size().map(size);
    let perm = u16::try_from(node.mode & 0o777).unwrap_or(0o600);
    Ok(FileAttr {
        ino: INodeNo(ino),
        size: size.unwrap_or(0),
        blocks: size.unwrap_or(0).div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if size.is_some() { FileType::RegularFile } else { FileType::Directory },
        perm,
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn size(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn place(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn code(error: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(error.raw_os_error())
}

fn empty(reply: ReplyEmpty, done: Result<(), Errno>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(code(error)),
    }
}

fn entry(reply: ReplyEntry, found: Result<FileAttr, Errno>) {
    match found {
        Ok(attr) => reply.entry(&LONG, &attr, Generation(0)),
        Err(error) => reply.error(code(error)),
    }
}

impl Filesystem for Forgetful {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = self.disk();
        entry(reply, disk.find(parent.0, name).and_then(|ino| attributes(&disk, ino)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match attributes(&self.disk(), ino.0) {
            Ok(attr) => reply.attr(&LONG, &attr),
            Err(error) => reply.error(code(error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.disk();
        let sized = size.map_or(Ok(()), |size| disk.set_size(ino.0, place(size)));
        match sized.and_then(|()| attributes(&disk, ino.0)) {
            Ok(attr) => reply.attr(&LONG, &attr),
            Err(error) => reply.error(code(error)),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let mut disk = self.disk();
        let made = disk.create(parent.0, name, mode & !umask, true);
        entry(reply, made.and_then(|ino| attributes(&disk, ino)));
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, _: i32, reply: ReplyCreate) {
        let mut disk = self.disk();
        let made = disk.create(parent.0, name, mode & !umask, false);
        match made.and_then(|ino| attributes(&disk, ino)) {
            Ok(attr) => {
                reply.created(&LONG, &attr, Generation(0), FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
            }
            Err(error) => reply.error(code(error)),
        }
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        match self.disk().powered() {
            Ok(()) => reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE),
            Err(error) => reply.error(code(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        count: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.disk().read(ino.0, place(offset), place(u64::from(count))) {
            Ok(bytes) => reply.data(bytes),
            Err(error) => reply.error(code(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.disk().write(ino.0, place(offset), data) {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(0)),
            Err(error) => reply.error(code(error)),
        }
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mut disk = self.disk();
        let wanted = place(offset.saturating_add(length));
        let done = match disk.node(ino.0).map(super::disk::Node::size) {
            _ if mode != 0 => Err(Errno::OPNOTSUPP),
            Ok(Some(bytes)) if bytes < wanted => disk.set_size(ino.0, wanted),
            other => other.map(|_| ()),
        };
        empty(reply, done);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.disk().remove(parent.0, name));
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.disk().remove(parent.0, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.disk().rename((parent.0, name), (newparent.0, newname)));
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.disk().sync(ino.0));
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.disk().sync(ino.0));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn access(&self, _: &Request, ino: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        empty(reply, attributes(&self.disk(), ino.0).map(|_| ()));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, BLOCKS, BLOCKS, 4096, 255, 4096);
    }
}
