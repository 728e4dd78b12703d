//! What a run says: a line for each scenario, the differences of those that do not hold, and the sums.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::manifest::{Manifest, Standing};
use crate::run::Broken;

/// How many differences of one scenario are told.
const MOST_LINES: usize = 12;

/// What became of one scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The scenario.
    pub name: String,
    /// The fact that it states.
    pub about: String,
    /// Why it does not hold; nothing if it does.
    pub broken: Option<Broken>,
    /// How long it took.
    pub millis: u64,
}

/// What an outcome means for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It holds, as it has to.
    Pass,
    /// It does not hold, but has to; or it holds, but is listed as not yet there.
    Fail,
    /// It does not count, for this reason.
    Ignored(String),
}

impl Outcome {
    /// Judges by the lists.
    pub fn verdict(&self, manifest: &Manifest) -> Verdict {
        match (manifest.standing(&self.name), &self.broken) {
            (Standing::Must, None) => Verdict::Pass,
            (Standing::Must, Some(_)) | (Standing::NotYet(_), None) => Verdict::Fail,
            (Standing::NotYet(awaited), Some(_)) | (Standing::AreaNotYet(awaited), _) => {
                Verdict::Ignored(format!("not yet: {awaited}"))
            }
            (Standing::Differs(reason), _) => Verdict::Ignored(format!("differs: {reason}")),
        }
    }

    /// One line as other tests print it.
    pub fn line(&self, manifest: &Manifest) -> String {
        let verdict = match self.verdict(manifest) {
            Verdict::Pass => "ok".to_owned(),
            Verdict::Fail => "FAILED".to_owned(),
            Verdict::Ignored(reason) => format!("ignored, {reason}"),
        };
        format!("test {} ... {verdict}", self.name)
    }

    /// Everything about a scenario that failed.
    pub fn details(&self) -> String {
        let mut text = format!("{} ({} ms)\n  # {}\n", self.name, self.millis, self.about);
        match &self.broken {
            None => text.push_str("  holds: take it off `not-yet` in tests/data/expected.json\n"),
            Some(broken) => {
                let _ = writeln!(text, "  {}", broken.at);
                for line in broken.diffs.iter().take(MOST_LINES) {
                    let _ = writeln!(text, "    {line}");
                }
            }
        }
        text
    }
}

/// The whole truth without judging: what does not hold, the sums by area, and the sum.
pub fn plain(outcomes: &[Outcome], manifest: &Manifest) -> String {
    let mut text = String::new();
    let mut areas: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for outcome in outcomes {
        let area = outcome.name.rsplit_once('/').map_or("", |(area, _)| area);
        let sums = areas.entry(area).or_default();
        sums.1 += 1;
        if outcome.broken.is_none() {
            sums.0 += 1;
            continue;
        }
        let word = match manifest.standing(&outcome.name) {
            Standing::Must => "FAIL",
            Standing::NotYet(_) | Standing::AreaNotYet(_) => "TODO",
            Standing::Differs(_) => "DIFF",
        };
        let _ = write!(text, "{word} {}", outcome.details());
    }
    for (area, (passed, all)) in &areas {
        let _ = writeln!(text, "{area}: {passed} of {all}");
    }
    let passed: usize = areas.values().map(|(passed, _)| passed).sum();
    let _ = writeln!(text, "{passed} passed, {} failed", outcomes.len() - passed);
    text
}
