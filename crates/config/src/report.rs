//! The result of a check as JSON: what `config validate --format json` prints.
//!
//! Stable: `ok`; `errors` and `warnings` as strings, left out when empty, as the reference has them; and `diagnostics` for tools, each
//! with `code`, `severity`, `message`, `file`, `span` (`start` and `end` with `line`, `column`, `offset`), and, where there is
//! something to say, `label`, `help` and `related` (`span`, `text`).

use hookaido_syntax::{Diagnostic, LineIndex, Severity, Span};
use serde_json::{Map, Value, json};

use crate::Compiled;

/// The JSON of a check of `file`.
#[must_use]
pub fn validate_json(compiled: &Compiled, file: &str) -> Value {
    let lines = LineIndex::new(compiled.tree.text());
    let texts = |diagnostics: Vec<&Diagnostic>| -> Vec<Value> {
        diagnostics.into_iter().map(|diagnostic| one_line(diagnostic, &lines).into()).collect()
    };
    let (errors, warnings) = (texts(compiled.errors().collect()), texts(compiled.warnings().collect()));
    let mut report = Map::new();
    report.insert("ok".into(), errors.is_empty().into());
    for (name, list) in [("errors", errors), ("warnings", warnings)] {
        if !list.is_empty() {
            report.insert(name.into(), list.into());
        }
    }
    let diagnostics = compiled.diagnostics.iter().map(|diagnostic| diagnostic_json(diagnostic, file, &lines));
    report.insert("diagnostics".into(), diagnostics.collect::<Vec<_>>().into());
    Value::Object(report)
}

/// A diagnostic on one line: `2:16: unknown directive ... [E0107]`.
#[must_use]
pub fn one_line(diagnostic: &Diagnostic, lines: &LineIndex) -> String {
    let Diagnostic { code, message, help, span, .. } = diagnostic;
    let help = help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    format!("{}: {message}{help} [{code}]", lines.position(span.start))
}

fn diagnostic_json(diagnostic: &Diagnostic, file: &str, lines: &LineIndex) -> Value {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut object = Map::new();
    object.insert("code".into(), diagnostic.code.into());
    object.insert("severity".into(), severity.into());
    object.insert("message".into(), diagnostic.message.as_str().into());
    object.insert("file".into(), file.into());
    object.insert("span".into(), span_json(diagnostic.span, lines));
    for (name, text) in [("label", &diagnostic.label), ("help", &diagnostic.help)] {
        if let Some(text) = text {
            object.insert(name.into(), text.as_str().into());
        }
    }
    if !diagnostic.related.is_empty() {
        let related =
            diagnostic.related.iter().map(|label| json!({"span": span_json(label.span, lines), "text": label.text}));
        object.insert("related".into(), related.collect::<Vec<_>>().into());
    }
    Value::Object(object)
}

fn span_json(span: Span, lines: &LineIndex) -> Value {
    let place = |offset: usize| {
        let position = lines.position(offset);
        json!({"line": position.line, "column": position.column, "offset": offset})
    };
    json!({"start": place(span.start), "end": place(span.end)})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FixedEnvironment, compile};

    #[test]
    fn a_failed_check_has_strings_and_diagnostics() {
        let compiled = compile(b"ingress { lsiten :1 }\n/a { deliver https://h/ { } }", &FixedEnvironment::default());
        let report = validate_json(&compiled, "x.conf");
        assert_eq!(report["ok"], false);
        assert_eq!(
            report["errors"][0],
            "1:11: unknown directive `lsiten` in `ingress`; did you mean `listen`? [E0107]"
        );
        assert_eq!(report["diagnostics"].as_array().map(Vec::len), Some(1));
        let error = report["diagnostics"].as_array().unwrap().iter().find(|d| d["severity"] == "error").unwrap();
        assert_eq!(error["span"]["start"], json!({"line": 1, "column": 11, "offset": 10}));
        assert_eq!((&error["file"], &error["help"]), (&json!("x.conf"), &json!("did you mean `listen`?")));
    }

    #[test]
    fn a_clean_check_says_nothing_but_ok() {
        let compiled = compile(b"/a { deliver https://h/ { } }", &FixedEnvironment::default());
        assert_eq!(validate_json(&compiled, "x.conf"), json!({"ok": true, "diagnostics": []}));
    }
}
