//! Files in the folder of a scenario, the server configuration among them.

use std::fs;
use std::path::{Path, PathBuf};

use regex_lite::Regex;

use crate::fail::Attempt;
use crate::names::Names;

/// What the configuration is called on disk.
const CONFIG: &str = "Hookaidofile";

/// Where a file of the scenario is; `config` stands for the configuration.
pub fn path(dir: &Path, name: &str) -> PathBuf {
    dir.join(if name == "config" { CONFIG } else { name })
}

/// Puts a file in place in one move, so that a watching server never reads half of it. Scripts become executable.
pub fn write(dir: &Path, name: &str, text: &str) -> Attempt<()> {
    let target = path(dir, name);
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut fresh = target.clone().into_os_string();
    fresh.push(".fresh");
    fs::write(&fresh, text)?;
    if name.ends_with(".sh") {
        make_executable(Path::new(&fresh))?;
    }
    fs::rename(&fresh, &target)?;
    Ok(())
}

fn make_executable(file: &Path) -> Attempt<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// The configuration as the server reads it. Unless `bare`, it gets the listeners that it leaves out: servers of
/// different scenarios must not meet on the default ports.
pub fn config_text(names: &Names, text: &str, bare: bool) -> Attempt<String> {
    let mut text = text.to_owned();
    if !bare {
        for (block, port) in [("ingress", "ingress"), ("admin_api", "admin")] {
            if !Regex::new(&format!(r"(?m)^\s*{block}\b")).is_ok_and(|re| re.is_match(&text)) {
                text = format!("{}\n{block} {{ listen {{{{{port}}}}} }}\n", text.trim_end_matches('\n'));
            }
        }
    }
    names.expand(&text, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_left_out_are_added() {
        let names = Names::new("", Path::new("/d")).unwrap();
        let (ingress, admin) = (names.port("ingress").unwrap(), names.port("admin").unwrap());
        let text = config_text(&names, "ingress { listen {{ingress}} }\n\n", false).unwrap();
        assert_eq!(
            text,
            format!("ingress {{ listen 127.0.0.1:{ingress} }}\nadmin_api {{ listen 127.0.0.1:{admin} }}\n")
        );
        assert_eq!(config_text(&names, "x\n", true).unwrap(), "x\n");
    }
}
