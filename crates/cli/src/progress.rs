//! How far a long command is, on stderr: a bar on a terminal, a line now and then anywhere else. Quick work shows nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use hookaido_queue_sqlite::tool::{Progress, Unit};
use indicatif::{ProgressBar, ProgressStyle};

/// Time before the first line, and between two.
const PAUSE: Duration = Duration::from_secs(10);

/// Where progress is shown.
pub(crate) struct Shown {
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Shown {
    /// Nothing yet.
    pub(crate) fn start() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0));
        Self { bar, next_line: Instant::now() + PAUSE }
    }

    /// Shows how far it is.
    pub(crate) fn update(&mut self, progress: Progress) {
        match &self.bar {
            Some(bar) => on_bar(bar, progress),
            None if Instant::now() >= self.next_line => {
                self.next_line = Instant::now() + PAUSE;
                eprintln!("{}", line(progress));
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn on_bar(bar: &ProgressBar, progress: Progress) {
    if bar.message() != progress.doing {
        let template = match (progress.total, progress.unit) {
            (0, _) => "{msg} {spinner} {elapsed}",
            (_, Unit::Bytes) => "{msg} [{bar:40}] {percent} %, {bytes} of {total_bytes}, {eta} left",
            (_, Unit::Rows) => "{msg} [{bar:40}] {percent} %, {human_pos} of {human_len}, {eta} left",
        };
        bar.reset();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("##."));
        }
        bar.set_message(progress.doing);
    }
    bar.set_length(progress.total);
    bar.set_position(progress.done);
    bar.tick();
}

fn line(Progress { doing, done, total, unit }: Progress) -> String {
    let per_cent = done.saturating_mul(100).checked_div(total);
    match (per_cent, unit) {
        (None, _) => doing.to_owned(),
        (Some(part), Unit::Bytes) => format!("{doing}: {part} %, {} of {}", size(done), size(total)),
        (Some(part), Unit::Rows) => format!("{doing}: {part} %, {} of {}", thousands(done), thousands(total)),
    }
}

/// `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the largest unit that leaves a whole number before the point.
pub(crate) fn size(bytes: u64) -> String {
    let mut unit = "bytes";
    let mut tenths = u128::from(bytes) * 10;
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, larger);
    }
    if unit == "bytes" { format!("{bytes} bytes") } else { format!("{}.{} {unit}", tenths / 10, tenths % 10) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let sizes = [0, 1023, 1024, 1536, 10 << 20, (5 << 30) + (1 << 29), 3 << 40, u64::MAX];
        let told = ["0 bytes", "1023 bytes", "1.0 KiB", "1.5 KiB", "10.0 MiB", "5.5 GiB", "3.0 TiB", "16777215.9 TiB"];
        assert_eq!(sizes.map(size), told);
    }

    #[test]
    fn a_line_tells_the_part_that_is_done() {
        let progress = Progress { doing: "copying", done: 1 << 20, total: 4 << 20, unit: Unit::Bytes };
        assert_eq!(line(progress), "copying: 25 %, 1.0 MiB of 4.0 MiB");
        assert_eq!(line(Progress { total: 0, ..progress }), "copying");
        assert_eq!(
            line(Progress { done: 1500, total: 3000, unit: Unit::Rows, ..progress }),
            "copying: 50 %, 1,500 of 3,000"
        );
    }
}
