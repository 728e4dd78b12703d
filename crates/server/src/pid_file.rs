//! The file of `--pid-file`: holds the number of the process while it runs.

use std::io;
use std::path::{Path, PathBuf};

/// Removes the file when dropped, if it is still this process's.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    text: String,
}

impl PidFile {
    /// Writes the file. A file left by a process that is gone is taken over; one of a live process is refused.
    pub(crate) fn create(path: &Path) -> io::Result<Self> {
        if let Some(pid) = std::fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u32>().ok())
            && pid != std::process::id()
            && is_alive(pid)
        {
            let message = format!("process {pid} still runs; stop it first, or remove {}", path.display());
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
        }
        let text = format!("{}\n", std::process::id());
        let temporary = path.with_extension("pid-new");
        std::fs::write(&temporary, &text)?;
        std::fs::rename(&temporary, path)?;
        Ok(Self { path: path.to_owned(), text })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text) {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a process with this number exists.
fn is_alive(pid: u32) -> bool {
    i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_taken_over_and_a_live_one_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.pid");
        std::fs::write(&path, "999999999\n").unwrap();
        let file = PidFile::create(&path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        drop(file);
        assert!(!path.exists());
        std::fs::write(&path, "1\n").unwrap();
        assert_eq!(PidFile::create(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
}
