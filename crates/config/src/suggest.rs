//! "Did you mean": the nearest of some names.

/// The known name nearest to `name`, if it is near enough to have been meant.
pub(crate) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let limit = (name.chars().count() / 3).max(1);
    let candidates = known.filter(|known| *known != name).map(|known| (distance(name, known, limit), known));
    candidates.filter(|(distance, _)| *distance <= limit).min().map(|(_, known)| known)
}

/// Optimal string alignment distance: insertions, deletions, replacements, and swaps of neighbours. `-` and `_` are the same.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let letters = |text: &str| -> Vec<char> {
        text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (a, b) = (letters(a), letters(b));
    if a.len().abs_diff(b.len()) > limit || a.len() > 64 {
        return usize::MAX;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, &x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &y) in b.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&above, j) + usize::from(x != y);
            let mut best = replaced.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(&y) && b.get(j - 1) == Some(&x);
            if swapped {
                best = best.min(at(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let known = ["listen", "max_lease_ttl", "max_wait", "prefix"];
        let near = |name| nearest(name, known.into_iter());
        assert_eq!(near("max_lease_tll"), Some("max_lease_ttl"));
        assert_eq!(near("max-wait"), Some("max_wait"));
        assert_eq!(near("lsiten"), Some("listen"));
        assert_eq!((near("nonsense"), near("x"), near("")), (None, None, None));
    }
}
