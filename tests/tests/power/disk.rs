//! A disk that forgets: what was written and not synced is there after a cut, in part, or not at all.
//!
//! Data goes by sectors, each of which persists or not by itself, so writes are dropped and reordered. The size of a file persists with
//! its sync. A name (created, renamed, removed) persists with the sync of its folder only, which is less than Linux file systems do and
//! all that POSIX promises; a rename persists as a whole. Knows nothing of FUSE (see `mount`).

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::Path;

use rustix::io::Errno;

/// Number of a file or folder.
pub(crate) type Ino = u64;
/// The topmost folder.
pub(crate) const ROOT: Ino = 1;

/// Names of a folder.
type Names = BTreeMap<OsString, Ino>;

/// A file or a folder.
#[derive(Debug)]
pub(crate) struct Node {
    /// Permission bits.
    pub(crate) mode: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    File(Data),
    Folder { now: Names, kept: Names },
}

/// What a file holds, for its readers and after a cut.
#[derive(Debug, Default)]
struct Data {
    now: Vec<u8>,
    kept: Vec<u8>,
    /// Sectors that differ.
    dirty: BTreeSet<usize>,
    /// Its first name.
    name: OsString,
}

/// One change of names, in one folder or from one to another.
type Change = Vec<(Ino, OsString, Option<Ino>)>;

/// How a disk behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Bytes that persist together.
    pub(crate) sector: usize,
    /// Syncs of files with such names are answered and not done, as by a store that answers before it syncs.
    pub(crate) unsynced: Option<&'static str>,
}

/// The disk.
#[derive(Debug)]
pub(crate) struct Disk {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    /// Changes of names that are not kept yet, in order.
    pending: Vec<Change>,
    manner: Manner,
    on: bool,
    /// Changes until the power fails by itself.
    left: Option<u64>,
    changes: u64,
    syncs: u64,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(Manner { sector: 512, unsynced: None })
    }
}

impl Disk {
    /// An empty disk.
    pub(crate) fn new(manner: Manner) -> Self {
        let root = Node { mode: 0o755, kind: Kind::Folder { now: Names::new(), kept: Names::new() } };
        let nodes = BTreeMap::from([(ROOT, root)]);
        Self { nodes, next: ROOT + 1, pending: vec![], manner, on: true, left: None, changes: 0, syncs: 0 }
    }

    /// From now on everything fails.
    pub(crate) fn cut(&mut self) {
        self.on = false;
    }

    /// Cuts the power at the change after this many.
    pub(crate) fn cut_after(&mut self, changes: u64) {
        self.left = Some(changes);
    }

    /// Whether there is power.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Changes and syncs so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.changes, self.syncs)
    }

    /// Fails without power.
    pub(crate) fn powered(&self) -> Result<(), Errno> {
        if self.on { Ok(()) } else { Err(Errno::IO) }
    }

    /// Counts a change, at which the power may fail.
    fn change(&mut self) -> Result<(), Errno> {
        self.powered()?;
        self.changes += 1;
        match &mut self.left {
            Some(0) => self.on = false,
            Some(left) => *left -= 1,
            None => {}
        }
        self.powered()
    }

    /// What is under a number.
    pub(crate) fn node(&self, ino: Ino) -> Result<&Node, Errno> {
        self.nodes.get(&ino).ok_or(Errno::NOENT)
    }

    /// The number of a name.
    pub(crate) fn find(&self, folder: Ino, name: &OsStr) -> Result<Ino, Errno> {
        self.powered()?;
        match &self.node(folder)?.kind {
            Kind::Folder { now, .. } => now.get(name).copied().ok_or(Errno::NOENT),
            Kind::File(_) => Err(Errno::NOTDIR),
        }
    }

    /// A new file or folder.
    pub(crate) fn create(&mut self, folder: Ino, name: &OsStr, mode: u32, is_folder: bool) -> Result<Ino, Errno> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EXIST);
        }
        let kind = if is_folder {
            Kind::Folder { now: Names::new(), kept: Names::new() }
        } else {
            Kind::File(Data { name: name.to_owned(), ..Data::default() })
        };
        let ino = self.next;
        self.next += 1;
        self.nodes.insert(ino, Node { mode, kind });
        self.rename_all(vec![(folder, name.to_owned(), Some(ino))])?;
        Ok(ino)
    }

    /// Takes a name away. The file lives on for those who have it open.
    pub(crate) fn remove(&mut self, folder: Ino, name: &OsStr) -> Result<(), Errno> {
        let ino = self.find(folder, name)?;
        if let Kind::Folder { now, .. } = &self.node(ino)?.kind
            && !now.is_empty()
        {
            return Err(Errno::NOTEMPTY);
        }
        self.rename_all(vec![(folder, name.to_owned(), None)])
    }

    /// Moves a name, in place of another one if there is one.
    pub(crate) fn rename(&mut self, from: (Ino, &OsStr), to: (Ino, &OsStr)) -> Result<(), Errno> {
        let ino = self.find(from.0, from.1)?;
        self.rename_all(vec![(from.0, from.1.to_owned(), None), (to.0, to.1.to_owned(), Some(ino))])
    }

    fn rename_all(&mut self, change: Change) -> Result<(), Errno> {
        self.change()?;
        for (folder, name, ino) in &change {
            if let Some(Node { kind: Kind::Folder { now, .. }, .. }) = self.nodes.get_mut(folder) {
                put(now, name, *ino);
            }
        }
        self.pending.push(change);
        Ok(())
    }

    fn data(&mut self, ino: Ino) -> Result<&mut Data, Errno> {
        match self.nodes.get_mut(&ino).map(|node| &mut node.kind) {
            Some(Kind::File(data)) => Ok(data),
            Some(Kind::Folder { .. }) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    /// Reads what is there now.
    pub(crate) fn read(&mut self, ino: Ino, at: usize, count: usize) -> Result<&[u8], Errno> {
        self.powered()?;
        let now = &self.data(ino)?.now;
        let from = at.min(now.len());
        Ok(now.get(from..at.saturating_add(count).min(now.len())).unwrap_or_default())
    }

    /// Writes. The write at which the power fails may have arrived all the same, in part.
    pub(crate) fn write(&mut self, ino: Ino, at: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.powered()?;
        let sector = self.manner.sector;
        let data = self.data(ino)?;
        let end = at + bytes.len();
        let touched = at.min(data.now.len()) / sector..=(end.max(1) - 1) / sector;
        if data.now.len() < end {
            data.now.resize(end, 0);
        }
        if let Some(place) = data.now.get_mut(at..end) {
            place.copy_from_slice(bytes);
        }
        data.dirty.extend(touched);
        self.change()
    }

    /// Cuts a file, or lengthens it with zeros.
    pub(crate) fn set_size(&mut self, ino: Ino, size: usize) -> Result<(), Errno> {
        self.change()?;
        let sector = self.manner.sector;
        let data = self.data(ino)?;
        let before = data.now.len();
        data.now.resize(size, 0);
        data.dirty.extend(size.min(before) / sector..before.max(size).div_ceil(sector));
        Ok(())
    }

    /// Makes what a file holds, or the names of a folder, outlast a cut.
    pub(crate) fn sync(&mut self, ino: Ino) -> Result<(), Errno> {
        self.change()?;
        self.syncs += 1;
        let Manner { sector, unsynced } = self.manner;
        if let Ok(data) = self.data(ino) {
            let name = data.name.to_string_lossy().into_owned();
            if unsynced.is_none_or(|ending| !name.ends_with(ending)) {
                data.keep_all(sector);
            }
            return Ok(());
        }
        for change in std::mem::take(&mut self.pending) {
            if change.iter().any(|(folder, ..)| *folder == ino) {
                self.keep_names(change);
            } else {
                self.pending.push(change);
            }
        }
        Ok(())
    }

    fn keep_names(&mut self, change: Change) {
        for (folder, name, ino) in change {
            if let Some(Node { kind: Kind::Folder { kept, .. }, .. }) = self.nodes.get_mut(&folder) {
                put(kept, &name, ino);
            }
        }
    }

    /// The disk as it is when the power comes back; chance decides what became of what was not synced.
    pub(crate) fn after_cut(mut self, chance: &mut Chance) -> Self {
        for change in std::mem::take(&mut self.pending) {
            if chance.one_in(2) {
                self.keep_names(change);
            }
        }
        let mut reached = vec![ROOT];
        let mut nodes = BTreeMap::new();
        while let Some(ino) = reached.pop() {
            let Some(mut node) = self.nodes.remove(&ino) else { continue };
            match &mut node.kind {
                Kind::File(data) => data.survive(self.manner.sector, chance),
                Kind::Folder { now, kept } => {
                    now.clone_from(kept);
                    reached.extend(kept.values());
                }
            }
            nodes.insert(ino, node);
        }
        Self { nodes, on: true, left: None, ..self }
    }

    /// Copies a folder of this disk, as it is now, into a folder of the machine.
    pub(crate) fn export(&self, folder: Ino, to: &Path) -> std::io::Result<()> {
        let Some(Node { kind: Kind::Folder { now, .. }, .. }) = self.nodes.get(&folder) else { return Ok(()) };
        for (name, ino) in now {
            match self.nodes.get(ino).map(|node| &node.kind) {
                Some(Kind::File(data)) => fs::write(to.join(name), &data.now)?,
                Some(Kind::Folder { .. }) => {
                    fs::create_dir(to.join(name))?;
                    self.export(*ino, &to.join(name))?;
                }
                None => {}
            }
        }
        Ok(())
    }
}

impl Node {
    /// Bytes of a file; none for a folder.
    pub(crate) fn size(&self) -> Option<usize> {
        match &self.kind {
            Kind::File(data) => Some(data.now.len()),
            Kind::Folder { .. } => None,
        }
    }
}

impl Data {
    fn keep_all(&mut self, sector: usize) {
        self.kept.resize(self.now.len(), 0);
        for number in std::mem::take(&mut self.dirty) {
            self.keep(number, sector);
        }
    }

    fn keep(&mut self, number: usize, sector: usize) {
        let end = ((number + 1) * sector).min(self.kept.len()).min(self.now.len());
        let range = (number * sector).min(end)..end;
        if let (Some(to), Some(from)) = (self.kept.get_mut(range.clone()), self.now.get(range)) {
            to.copy_from_slice(from);
        }
    }

    /// What was not synced persists by chance: its size, and each sector for itself.
    fn survive(&mut self, sector: usize, chance: &mut Chance) {
        let (before, after) = (self.kept.len(), self.now.len());
        let between = before.min(after) + chance.below(before.abs_diff(after) + 1) / sector * sector;
        let size = [before, after, between][chance.below(3)];
        // What lies in a place that was never written, when the size persists and the data does not.
        let stale = if chance.one_in(2) { 0 } else { chance.below(256).to_le_bytes()[0] };
        self.kept.resize(size, stale);
        let share = [0, 10, 50, 90, 100][chance.below(5)];
        for number in std::mem::take(&mut self.dirty) {
            if chance.below(100) < share {
                self.keep(number, sector);
            }
        }
        self.now.clone_from(&self.kept);
    }
}

fn put(names: &mut Names, name: &OsStr, ino: Option<Ino>) {
    match ino {
        Some(ino) => drop(names.insert(name.to_owned(), ino)),
        None => drop(names.remove(name)),
    }
}

/// Random numbers that a seed repeats (SplitMix64).
#[derive(Debug)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Zero to `bound - 1`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % bound).unwrap_or(0)
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}
