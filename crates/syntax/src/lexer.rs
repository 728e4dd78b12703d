//! Text to tokens. Every character ends up in exactly one token, and a broken token is a token too.
//!
//! White space is blank, tab, carriage return and newline, nothing else: the reference takes other Unicode spaces as part of a word.
//! Called by `parse` only, which turns broken tokens into diagnostics.

use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_till, take_till1, take_while1};
use nom::character::complete::char;
use nom::combinator::{map, map_opt, opt, recognize, value};
use nom::multi::fold_many0;
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};

use crate::placeholder::opening;
use crate::{PlaceholderKind, Span};

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenKind {
    Blank,
    Comment,
    Open,
    Close,
    /// A bare word.
    Bare,
    /// A bare word that is one placeholder.
    Placeholder,
    /// `{$X`, `{env.X` or `{file.P` that meets white space, `{` or the end before its `}`.
    OpenPlaceholder,
    /// `{vars.N}` outside of quotes.
    BareVars,
    /// A quoted string: its value, and whether its second quote is there.
    Quoted {
        value: String,
        closed: bool,
    },
}

/// A token and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: TokenKind,
    pub(crate) span: Span,
}

/// Tokens of `text` after the first `skip` bytes, which hold a byte order mark or nothing.
pub(crate) fn tokens(text: &str, skip: usize) -> impl Iterator<Item = Token> {
    let mut rest = text.get(skip..).unwrap_or_default();
    std::iter::from_fn(move || {
        let start = text.len() - rest.len();
        // Fails at the end of the text only: any character starts some token.
        let (after, kind) = token(rest).ok()?;
        rest = after;
        Some(Token { kind, span: Span::new(start, text.len() - rest.len()) })
    })
}

/// The character that a `\` in front of `rest` stands for, if it is an escape at all.
pub(crate) fn unescape(rest: &str) -> Option<char> {
    match rest.chars().next()? {
        c @ ('\\' | '"') => Some(c),
        'n' => Some('\n'),
        't' => Some('\t'),
        'r' => Some('\r'),
        _ => None,
    }
}

fn token(input: &str) -> IResult<&str, TokenKind> {
    // Most words are bare ones; nothing else starts with these.
    if input.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/') {
        return value(TokenKind::Bare, take_till1(ends_word)).parse(input);
    }
    alt((
        value(TokenKind::Blank, take_while1(is_blank)),
        value(TokenKind::Comment, (char('#'), take_till(is_line_end))),
        quoted,
        placeholder,
        value(TokenKind::Open, char('{')),
        value(TokenKind::Close, char('}')),
        value(TokenKind::Bare, take_till1(ends_word)),
    ))
    .parse(input)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\r' | '\n')
}

fn ends_word(c: char) -> bool {
    is_blank(c) || matches!(c, '{' | '}' | '#' | '"')
}

/// `{$X}` and its like where a word may start. `{vars.N` without its `}` is a block that holds the word `vars.N`.
fn placeholder(input: &str) -> IResult<&str, TokenKind> {
    let inside = |c: char| is_blank(c) || matches!(c, '{' | '}');
    let (rest, (kind, closed)) = (opening, preceded(take_till(inside), opt(char('}')))).parse(input)?;
    let kind = match (kind, closed.is_some()) {
        (PlaceholderKind::Vars, true) => TokenKind::BareVars,
        (PlaceholderKind::Vars, false) => {
            let error = nom::error::Error::new(input, nom::error::ErrorKind::Alt);
            return Err(nom::Err::Error(error));
        }
        (_, true) => TokenKind::Placeholder,
        (_, false) => TokenKind::OpenPlaceholder,
    };
    Ok((rest, kind))
}

/// A quoted string, or what was probably meant to be one.
fn quoted(input: &str) -> IResult<&str, TokenKind> {
    let closed =
        map(terminated(preceded(char('"'), content), char('"')), |value| TokenKind::Quoted { value, closed: true });
    alt((closed, unclosed)).parse(input)
}

fn content(input: &str) -> IResult<&str, String> {
    let plain = take_till1(|c| is_line_end(c) || matches!(c, '"' | '\\'));
    let escape = map_opt(preceded(char('\\'), take(1usize)), unescape);
    let piece = alt((map(escape, Piece::Char), map(tag("\\"), Piece::Text), map(plain, Piece::Text)));
    fold_many0(piece, String::new, |mut value, piece| {
        match piece {
            Piece::Char(c) => value.push(c),
            Piece::Text(text) => value.push_str(text),
        }
        value
    })
    .parse(input)
}

enum Piece<'a> {
    Char(char),
    Text(&'a str),
}

/// Takes the line up to closing braces that stand apart at its end, since these were hardly meant as part of the string.
fn unclosed(input: &str) -> IResult<&str, TokenKind> {
    let (_, line) = recognize((char('"'), take_till(is_line_end))).parse(input)?;
    let trimmed = line.trim_end_matches(|c| is_blank(c) || matches!(c, '{' | '}'));
    let tail = line.strip_prefix(trimmed).unwrap_or_default();
    let kept = trimmed.len() + tail.find(is_blank).unwrap_or(tail.len());
    let (rest, raw) = take(line.get(..kept).unwrap_or(line).chars().count()).parse(input)?;
    let inner = raw.strip_prefix('"').unwrap_or(raw);
    let (_, value) = content(inner)?;
    Ok((rest, TokenKind::Quoted { value, closed: false }))
}
