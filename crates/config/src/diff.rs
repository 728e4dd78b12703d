//! Differences between the canonical forms of two files, as a unified diff.

use hookaido_syntax::{Diagnostic, format_with, parse};

use crate::LanguageLayout;

/// A file for [`diff`].
#[derive(Clone, Copy, Debug)]
pub struct DiffFile<'a> {
    /// Its name in the header of the diff.
    pub name: &'a str,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// The canonical form of a file: `config fmt`. Problems of meaning do not matter.
///
/// # Errors
/// What keeps the file from being read.
pub fn format(bytes: &[u8]) -> Result<String, Vec<Diagnostic>> {
    let (tree, diagnostics) = parse(bytes);
    if diagnostics.iter().any(|diagnostic| diagnostic.breaks_structure() || diagnostic.code == "E0002") {
        return Err(diagnostics);
    }
    Ok(format_with(&tree, &LanguageLayout))
}

/// The unified diff of two files in canonical form with `context` lines around each change; empty if they are the same.
#[must_use]
pub fn diff(old: DiffFile<'_>, new: DiffFile<'_>, context: usize) -> String {
    let canonical = |file: DiffFile<'_>| format_with(&parse(file.bytes).0, &LanguageLayout);
    let (old_text, new_text) = (canonical(old), canonical(new));
    let (a, b): (Vec<&str>, Vec<&str>) = (old_text.lines().collect(), new_text.lines().collect());
    let edits = edits(&a, &b);
    let hunks = hunks(&edits, context);
    if hunks.is_empty() {
        return String::new();
    }
    let mut out = format!("--- {}\n+++ {}\n", old.name, new.name);
    for hunk in hunks {
        write_hunk(&mut out, hunk);
    }
    out
}

/// One line of the comparison, with its place in both files (from 0).
#[derive(Clone, Copy, Debug)]
struct Edit<'a> {
    /// ` `, `-` or `+`.
    sign: char,
    text: &'a str,
    old: usize,
    new: usize,
}

fn write_hunk(out: &mut String, hunk: &[Edit<'_>]) {
    let Some(first) = hunk.first() else { return };
    let count = |other: char| hunk.iter().filter(|edit| edit.sign != other).count();
    let range = |start: usize, len: usize| match len {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        len => format!("{},{len}", start + 1),
    };
    out.push_str(&format!("@@ -{} +{} @@\n", range(first.old, count('+')), range(first.new, count('-'))));
    for edit in hunk {
        out.push(edit.sign);
        out.push_str(edit.text);
        out.push('\n');
    }
}

/// Changes with their context; changes whose contexts meet are one hunk.
fn hunks<'e, 'a>(edits: &'e [Edit<'a>], context: usize) -> Vec<&'e [Edit<'a>]> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (at, _) in edits.iter().enumerate().filter(|(_, edit)| edit.sign != ' ') {
        let (start, end) = (at.saturating_sub(context), (at + 1 + context).min(edits.len()));
        match ranges.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => ranges.push((start, end)),
        }
    }
    ranges.into_iter().filter_map(|(start, end)| edits.get(start..end)).collect()
}

/// Most insertions and deletions that are searched for the shortest way; past it, everything between is replaced.
const LONGEST_SEARCH: usize = 4000;

fn edits<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<Edit<'a>> {
    let same = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let left = a.len().min(b.len()) - same;
    let tail = a.iter().rev().zip(b.iter().rev()).take(left).take_while(|(x, y)| x == y).count();
    let (a_mid, b_mid) =
        (a.get(same..a.len() - tail).unwrap_or_default(), b.get(same..b.len() - tail).unwrap_or_default());
    let signs = std::iter::repeat_n(' ', same).chain(middle(a_mid, b_mid)).chain(std::iter::repeat_n(' ', tail));
    let (mut old, mut new) = (0, 0);
    let mut edits = Vec::with_capacity(a.len().max(b.len()));
    for sign in signs {
        let text = if sign == '+' { b.get(new) } else { a.get(old) };
        edits.push(Edit { sign, text: text.copied().unwrap_or_default(), old, new });
        old += usize::from(sign != '+');
        new += usize::from(sign != '-');
    }
    edits
}

/// The shortest way from `a` to `b`, by Myers' greedy algorithm.
fn middle(a: &[&str], b: &[&str]) -> Vec<char> {
    let (n, m) = (a.len(), b.len());
    let replace_all = || std::iter::repeat_n('-', n).chain(std::iter::repeat_n('+', m)).collect();
    let offset = n + m + 1;
    let mut furthest = vec![0usize; 2 * offset + 1];
    let mut trace: Vec<Vec<usize>> = Vec::new();
    for d in 0..=(n + m).min(LONGEST_SEARCH) {
        trace.push(window(&furthest, offset, d));
        let mut diagonal = offset - d;
        while diagonal <= offset + d {
            let at = |index: usize| furthest.get(index).copied().unwrap_or(0);
            let down = diagonal == offset - d || (diagonal != offset + d && at(diagonal - 1) < at(diagonal + 1));
            let mut x = if down { at(diagonal + 1) } else { at(diagonal - 1) + 1 };
            let y = |x: usize| (x + offset).saturating_sub(diagonal);
            while x < n && y(x) < m && a.get(x) == b.get(y(x)) {
                x += 1;
            }
            if let Some(place) = furthest.get_mut(diagonal) {
                *place = x;
            }
            if x >= n && y(x) >= m {
                return way_back(&trace, n, m);
            }
            diagonal += 2;
        }
    }
    replace_all()
}

/// The part of `furthest` that step `d` reads: diagonals `-d-1..=d+1`.
fn window(furthest: &[usize], offset: usize, d: usize) -> Vec<usize> {
    furthest
        .get(offset - d - usize::from(offset > d)..=(offset + d + 1).min(furthest.len() - 1))
        .unwrap_or_default()
        .to_vec()
}

fn way_back(trace: &[Vec<usize>], n: usize, m: usize) -> Vec<char> {
    let mut signs = Vec::new();
    let (mut x, mut y) = (n, m);
    for (d, before) in trace.iter().enumerate().rev() {
        // Index of diagonal `k = x - y` in the window of step `d`, which starts at `-d-1`.
        let index = (x + d + 1).saturating_sub(y);
        let at = |index: usize| before.get(index).copied().unwrap_or(0);
        let down = index == 1 || (index != 2 * d + 1 && at(index - 1) < at(index + 1));
        let from = if down { index + 1 } else { index - 1 };
        let from_x = at(from);
        let from_y = (from_x + d + 1).saturating_sub(from);
        while x > from_x && y > from_y && d > 0 || (d == 0 && x > 0 && y > 0) {
            signs.push(' ');
            x -= 1;
            y -= 1;
        }
        if d > 0 {
            signs.push(if down { '+' } else { '-' });
            (x, y) = (from_x, from_y);
        }
    }
    signs.reverse();
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(a: &str, b: &str, context: usize) -> String {
        diff(DiffFile { name: "a", bytes: a.as_bytes() }, DiffFile { name: "b", bytes: b.as_bytes() }, context)
    }

    const A: &str = "pull_api { auth token raw:tok }\n/a { pull { path /a } }\n";

    #[test]
    fn a_changed_value_is_one_hunk() {
        let b = A.replace("path /a", "path /other");
        let want = "--- a\n+++ b\n@@ -4,6 +4,6 @@\n \n /a {\n   pull {\n-    path /a\n+    path /other\n   }\n }\n";
        assert_eq!(of(A, &b, 3), want);
        assert_eq!(of(A, &b, 0), "--- a\n+++ b\n@@ -7 +7 @@\n-    path /a\n+    path /other\n");
        assert_eq!(of(A, A, 3), "");
        assert_eq!(of(A, &A.replace(' ', "  "), 3), "");
    }

    #[test]
    fn any_two_texts_turn_into_each_other() {
        let texts = ["", "a\nb\nc", "b\nc\nd", "c\nb\na", "x", "a\na\na", "a\nb\na\nb\nc\na"];
        for a in texts {
            for b in texts {
                let (a, b): (Vec<_>, Vec<_>) = (a.lines().collect(), b.lines().collect());
                let edits = edits(&a, &b);
                let side = |sign| edits.iter().filter(move |e| e.sign != sign).map(|e| e.text).collect::<Vec<_>>();
                assert_eq!((side('+'), side('-')), (a.clone(), b.clone()));
            }
        }
        let (a, b) = (["a", "b", "c", "a", "b", "b", "a"], ["c", "b", "a", "b", "a", "c"]);
        assert_eq!(edits(&a, &b).iter().filter(|e| e.sign != ' ').count(), 5);
    }

    #[test]
    fn only_what_cannot_be_read_cannot_be_formatted() {
        assert_eq!(format(b"/a { }").as_deref(), Ok("/a {\n}\n"));
        assert!(format(b"/a {").is_err() && format(b"").is_err());
    }
}
