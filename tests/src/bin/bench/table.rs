//! The table that is printed: measure, figure, ratio, bar.

/// One line.
pub(crate) struct Row {
    measure: String,
    figure: String,
    ratio: String,
    bar: &'static str,
    met: Option<bool>,
}

/// All lines, printed as they come and once more as a whole.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

impl Table {
    /// A figure without a bar.
    pub(crate) fn note(&mut self, measure: impl Into<String>, figure: impl Into<String>) {
        self.push(Row { measure: measure.into(), figure: figure.into(), ratio: String::new(), bar: "", met: None });
    }

    /// A figure with a ratio, a bar and whether it is met.
    pub(crate) fn bar(
        &mut self,
        measure: impl Into<String>,
        figure: impl Into<String>,
        ratio: impl Into<String>,
        bar: &'static str,
        met: bool,
    ) {
        self.push(Row { measure: measure.into(), figure: figure.into(), ratio: ratio.into(), bar, met: Some(met) });
    }

    fn push(&mut self, row: Row) {
        eprintln!("{}", line(&row));
        self.0.push(row);
    }

    pub(crate) fn print(&self) {
        println!("| measure | figure | ratio | bar | met |\n|---|---|---|---|---|");
        for row in &self.0 {
            println!("{}", line(row));
        }
        let missed = self.0.iter().filter(|row| row.met == Some(false)).count();
        println!("\n{} bars met, {missed} missed", self.0.iter().filter(|row| row.met == Some(true)).count());
    }
}

fn line(row: &Row) -> String {
    let met = match row.met {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "",
    };
    format!("| {} | {} | {} | {} | {met} |", row.measure, row.figure, row.ratio, row.bar)
}

/// `12,345`.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `81 %`.
pub(crate) fn per_cent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
