//! Lines of a description: `<type>=<value>`, RFC 8866 §5.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::DescriptionError;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Counted from 1.
    pub(super) number: usize,
    /// The letter before `=`.
    pub(super) kind: char,
    /// What follows `=`, without the line end.
    pub(super) value: &'a str,
}

/// Cuts text into lines that end with CRLF or LF; the last may lack its end.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    rest: &'a str,
    number: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text, number: 0 }
    }

    fn line(&mut self) -> Result<Line<'a>, DescriptionError> {
        self.number = self.number.saturating_add(1);
        // RFC 8866 §5: "parsers SHOULD be tolerant and also accept lines terminated with a single newline character."
        let (raw, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        let raw = raw.strip_suffix('\r').unwrap_or(raw);
        let syntax = |problem| DescriptionError::Syntax { line: self.number, problem };
        if raw.is_empty() {
            return Err(syntax("empty line"));
        }
        if raw.contains(['\r', '\0']) {
            return Err(syntax("control character in a line"));
        }
        let (kind, value) = raw.split_once('=').ok_or(syntax("no `=` in the line"))?;
        let mut letters = kind.chars();
        match (letters.next(), letters.next()) {
            (Some(kind), None) if kind.is_ascii_lowercase() => Ok(Line { number: self.number, kind, value }),
            _ => Err(syntax("a line starts with one letter and `=`")),
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Result<Line<'a>, DescriptionError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Text pasted by hand often ends in empty lines.
        if self.rest.bytes().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return None;
        }
        Some(self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lex(text: &str) -> Result<Vec<(usize, char, &str)>, DescriptionError> {
        Lexer::new(text).map(|line| line.map(|line| (line.number, line.kind, line.value))).collect()
    }

    #[test]
    fn both_line_ends_and_a_missing_last_one() {
        let lines = vec![(1, 'v', "0"), (2, 's', "-"), (3, 'a', "x=y")];
        assert_eq!(lex("v=0\r\ns=-\r\na=x=y\r\n"), Ok(lines.clone()));
        assert_eq!(lex("v=0\ns=-\na=x=y\n\r\n\n"), Ok(lines.clone()));
        assert_eq!(lex("v=0\r\ns=-\na=x=y"), Ok(lines));
        assert_eq!(lex(""), Ok(vec![]));
    }

    #[test]
    fn errors_name_their_line() {
        let error = |line, problem| Err(DescriptionError::Syntax { line, problem });
        assert_eq!(lex("v=0\n\ns=-"), error(2, "empty line"));
        assert_eq!(lex("v=0\r\nhello\r\n"), error(2, "no `=` in the line"));
        assert_eq!(lex("vv=0"), error(1, "a line starts with one letter and `=`"));
        assert_eq!(lex("V=0"), error(1, "a line starts with one letter and `=`"));
        assert_eq!(lex("v=0\na=b\rc\n"), error(2, "control character in a line"));
    }
}
