//! What every source file must look like: its size, its head, the words in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::Finding;
use super::mask::mask;
use super::soaks::Soaks;

/// Folders whose files are checked.
const FOLDERS: [&str; 3] = ["crates", "xtask", "tests"];

const LINES_WARN: usize = 400;
const LINES_FAIL: usize = 600;
const TEST_LINES_FAIL: usize = 200;
const DOC_LINES_FAIL: usize = 12;

/// Words that no source may hold, and what to do about them.
const BANNED: [(&str, &str); 3] = [
    ("todo!(", "write the code, or leave the feature out"),
    ("unimplemented!(", "write the code, or leave the feature out"),
    ("#[ignore]", "run the test, or say why not: `#[ignore = \"...\"]`"),
];

/// Attributes that need a `reason = "..."`.
const NEED_REASON: [&str; 4] = ["#[allow(", "#![allow(", "#[expect(", "#![expect("];

pub(super) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut files)?;
    }
    let soaks = Soaks::read(root)?;
    let mut findings = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let file = file.strip_prefix(root).unwrap_or(&file);
        findings.extend(check_file(file, &text));
        findings.extend(soaks.check_file(file, &text));
    }
    Ok(findings)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && !name.as_encoded_bytes().starts_with(b".") {
                collect(&path, files)?;
            }
        } else if path.extension() == Some(OsStr::new("rs")) {
            files.push(path);
        }
    }
    Ok(())
}

fn check_file(file: &Path, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    if file.file_name() == Some(OsStr::new("mod.rs")) {
        findings.push(Finding::failure(
            file,
            1,
            "move it next to its folder: `foo.rs` + `foo/` instead of `foo/mod.rs`",
        ));
    }
    if !is_test(file) {
        check_size(file, text, &mut findings);
        check_head(file, text, &mut findings);
    }
    check_words(file, &mask(text), &mut findings);
    findings
}

/// Whether all of the file is test code: `tests.rs`, or anything below a folder `tests`.
fn is_test(file: &Path) -> bool {
    file.file_name() == Some(OsStr::new("tests.rs")) || file.components().any(|part| part.as_os_str() == "tests")
}

fn check_size(file: &Path, text: &str, findings: &mut Vec<Finding>) {
    let total = text.lines().count();
    let code = code_lines(text);
    if code > LINES_FAIL {
        let message = format!("{code} lines are too many (limit {LINES_FAIL}): split it by what its parts own");
        findings.push(Finding::failure(file, LINES_FAIL + 1, message));
    } else if code > LINES_WARN {
        let message = format!("{code} lines are a lot (aim for {LINES_WARN}): does it own two things?");
        findings.push(Finding::warning(file, LINES_WARN + 1, message));
    }
    if total - code > TEST_LINES_FAIL {
        let folder = file.with_extension("");
        let message = format!(
            "{} lines of tests in the file (limit {TEST_LINES_FAIL}): move them to {}",
            total - code,
            folder.join("tests.rs").display()
        );
        findings.push(Finding::failure(file, code + 1, message));
    }
}

/// Lines before a trailing `#[cfg(test)] mod tests {`.
fn code_lines(text: &str) -> usize {
    let lines: Vec<_> = text.lines().collect();
    let starts_tests = |pair: &[&str]| matches!(pair, [attribute, module] if *attribute == "#[cfg(test)]" && module.starts_with("mod tests {"));
    lines.windows(2).rposition(starts_tests).unwrap_or(lines.len())
}

fn check_head(file: &Path, text: &str, findings: &mut Vec<Finding>) {
    let doc = text.lines().take_while(|line| line.starts_with("//!")).count();
    if doc == 0 {
        let message = "start the file with `//!`: what it owns, what it must never do, who calls it";
        findings.push(Finding::failure(file, 1, message));
    } else if doc > DOC_LINES_FAIL {
        let message = format!(
            "{doc} lines of module doc are too many (limit {DOC_LINES_FAIL}): keep what it owns, move the rest to the items"
        );
        findings.push(Finding::failure(file, DOC_LINES_FAIL + 1, message));
    }
}

fn check_words(file: &Path, code: &str, findings: &mut Vec<Finding>) {
    for (word, advice) in BANNED {
        for (at, _) in code.match_indices(word) {
            findings.push(Finding::failure(file, line_at(code, at), format!("`{word}` is banned: {advice}")));
        }
    }
    for start in NEED_REASON {
        for (at, _) in code.match_indices(start) {
            let attribute = code.get(at..).and_then(|rest| rest.split_once(")]")).map_or("", |(inside, _)| inside);
            if !attribute.contains("reason =") {
                let message = format!(
                    "`{start}...)]` needs a `reason = \"...\"`; better, change the code so that it is not needed"
                );
                findings.push(Finding::failure(file, line_at(code, at), message));
            }
        }
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(file: &str, text: &str) -> Vec<(usize, bool)> {
        check_file(Path::new(file), text).iter().map(|finding| (finding.line, finding.is_failure())).collect()
    }

    #[test]
    fn long_files_are_found_but_tests_do_not_count() {
        let code = |count: usize| format!("//! Doc.\n{}", "x\n".repeat(count - 1));
        let tests = |count: usize| format!("#[cfg(test)]\nmod tests {{\n{}", "x\n".repeat(count - 2));
        assert_eq!(lines("a.rs", &code(400)), []);
        assert_eq!(lines("a.rs", &code(401)), [(401, false)]);
        assert_eq!(lines("a.rs", &code(601)), [(601, true)]);
        assert_eq!(lines("a.rs", &(code(400) + &tests(200))), []);
        assert_eq!(lines("a.rs", &(code(100) + &tests(201))), [(101, true)]);
        assert_eq!(lines("a/tests.rs", &code(601)), []);
        assert_eq!(lines("crates/a/tests/it/main.rs", &code(601)), []);
    }

    #[test]
    fn files_start_with_a_short_doc() {
        assert_eq!(lines("a.rs", "use b;\n"), [(1, true)]);
        assert_eq!(lines("a.rs", &"//! Doc.\n".repeat(12)), []);
        assert_eq!(lines("a.rs", &"//! Doc.\n".repeat(13)), [(13, true)]);
        assert_eq!(lines("a/tests.rs", "use b;\n"), []);
        assert_eq!(lines("a/mod.rs", "//! Doc.\n"), [(1, true)]);
    }

    #[test]
    fn banned_words_are_found_in_code_only() {
        let clean = "//! Never todo!().\nfn f() { g(\"todo!(\") } // #[ignore]\n#[ignore = \"slow\"]\n#[allow(\n  x,\n  reason = \"y\"\n)]\n";
        assert_eq!(lines("a.rs", clean), []);
        assert_eq!(lines("a.rs", "//! Doc.\nfn f() { todo!() }\n#[ignore]\n"), [(2, true), (3, true)]);
        assert_eq!(lines("a/tests.rs", "#![expect(x)]\n\n#[allow(dead_code)]\n"), [(3, true), (1, true)]);
    }
}
