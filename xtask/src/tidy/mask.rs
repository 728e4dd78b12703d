//! Rust source with comments and literals blanked out, so that a search finds code only.
//!
//! Knows just enough of the language for that: nested comments, strings, raw strings, characters. Lines stay where they are.

/// `source` with every character of a comment or literal replaced by a blank, newlines excepted.
pub(super) fn mask(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut in_name = false;
    while let Some(c) = rest.chars().next() {
        // A raw string starts at its `r`, unless that is the end of a name.
        let hidden = if in_name && c == 'r' { 0 } else { hidden_len(rest) };
        let (text, after) = rest.split_at(if hidden > 0 { hidden } else { c.len_utf8() });
        if hidden > 0 {
            out.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(text);
        }
        in_name = hidden == 0 && (c.is_alphanumeric() || c == '_') && !(c == 'b' && after.starts_with('r'));
        rest = after;
    }
    out
}

/// Length of the comment or literal that `text` starts with; 0 if there is none.
fn hidden_len(text: &str) -> usize {
    if text.starts_with("//") {
        return text.find('\n').unwrap_or(text.len());
    }
    if text.starts_with("/*") {
        return comment_len(text);
    }
    if text.starts_with('"') {
        return quoted_len(text, '"');
    }
    if let Some(after) = text.strip_prefix('r') {
        let inner = after.trim_start_matches('#');
        let hashes = after.len() - inner.len();
        if inner.starts_with('"') {
            let end = format!("\"{}", "#".repeat(hashes));
            let start = 1 + hashes + 1;
            let body = text.get(start..).unwrap_or_default();
            return body.find(&end).map_or(text.len(), |at| start + at + end.len());
        }
        return 0;
    }
    if let Some(after) = text.strip_prefix('\'') {
        // A character ends with a quote right behind it; a lifetime does not.
        let mut chars = after.chars();
        let first = chars.next();
        if first == Some('\\') || chars.next() == Some('\'') {
            return quoted_len(text, '\'');
        }
    }
    0
}

fn comment_len(text: &str) -> usize {
    let mut depth = 0usize;
    let mut rest = text;
    while !rest.is_empty() {
        let step = if rest.starts_with("/*") {
            depth += 1;
            2
        } else if rest.starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        rest = rest.get(step..).unwrap_or_default();
        if depth == 0 {
            break;
        }
    }
    text.len() - rest.len()
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return at + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked() {
        let table = [
            ("a // b\nc", "a     \nc"),
            ("a /* /* b */\n */ c", "a           \n    c"),
            (r#"f("b\"c", 'd', '\'')"#, r"f(      ,    ,     )"),
            (r##"r#"a"b"# + r"c""##, r"         +     "),
            ("&'a str 'x: é", "&'a str 'x: é"),
            (r#"br"a" "#, "b     "),
            (r#"var"a""#, r"var   "),
            ("\"open", "     "),
        ];
        for (source, want) in table {
            assert_eq!(mask(source), want, "{source}");
        }
    }
}
