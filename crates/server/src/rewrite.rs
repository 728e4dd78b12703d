//! Replaces the configuration file: whole, durably, with its mode and owner, through a symbolic link, and only if it is still the one
//! that was read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Exchanges what stands in a file: `before` becomes `after`, or nothing happens. A reader sees one or the other.
pub(crate) fn rewrite(path: &Path, before: &[u8], after: &[u8]) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let metadata = fs::metadata(&path)?;
    if metadata.permissions().mode() & 0o222 == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "nobody may write it"));
    }
    // A file that may not be written must not be replaced either, which takes other rights.
    OpenOptions::new().write(true).open(&path)?;
    let mut beside = path.clone().into_os_string();
    beside.push(".new");
    let beside = Path::new(&beside);
    let replaced = write(beside, &metadata, after).and_then(|()| {
        if fs::read(&path)? != before {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "somebody else is changing it; try again"));
        }
        fs::rename(beside, &path)
    });
    if let Err(error) = replaced {
        let _left = fs::remove_file(beside);
        return Err(error);
    }
    // What runs is what stands in the file from here on; a folder that cannot be synced does not change that.
    let folder = path.parent().unwrap_or(Path::new("/"));
    let _synced = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Writes the file that will take the place of the one with this metadata.
fn write(path: &Path, like: &fs::Metadata, bytes: &[u8]) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let made = file.metadata()?;
    if (made.uid(), made.gid()) != (like.uid(), like.gid()) {
        std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))?;
    }
    file.set_permissions(like.permissions())?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn mode_and_link_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        fs::write(&real, "one").unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(dir.path().join("real.new"), "left by a crash").unwrap();
        std::os::unix::fs::symlink("real", &link).unwrap();
        rewrite(&link, b"one", b"two").unwrap();
        assert_eq!(fs::read(&real).unwrap(), b"two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(names(dir.path()), ["link", "real"]);
    }

    #[test]
    fn what_may_not_be_written_or_was_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "theirs").unwrap();
        assert!(rewrite(&file, b"ours", b"two").unwrap_err().to_string().contains("somebody else"));
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert_eq!(rewrite(&file, b"theirs", b"two").unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(fs::read(&file).unwrap(), b"theirs");
        assert_eq!(names(dir.path()), ["file"]);
        assert_eq!(rewrite(&dir.path().join("none"), b"", b"").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
