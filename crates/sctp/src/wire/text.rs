//! Bounded text for log lines.

use std::fmt;

/// Bytes of the peer for a log line: printable ASCII, the rest escaped, cut after [`Escaped::MAX`] bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl Escaped<'_> {
    /// Bytes shown at most.
    pub(crate) const MAX: usize = 64;
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(Self::MAX) {
            None | Some((_, [])) => write!(f, "\"{}\"", self.0.escape_ascii()),
            Some((shown, _)) => write!(f, "\"{}…\"", shown.escape_ascii()),
        }
    }
}

/// The first few of many, in brackets.
pub(super) struct Few<I>(pub(super) I);

impl<I> fmt::Display for Few<I>
where
    I: ExactSizeIterator + Clone,
    I::Item: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, item) in self.0.clone().take(FEW).enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{item}")?;
        }
        match self.0.len().saturating_sub(FEW) {
            0 => f.write_str("]"),
            more => write!(f, ",+{more}]"),
        }
    }
}

const FEW: usize = 8;

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a failed test")]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_and_cut() {
        assert_eq!(Escaped(b"a\n\x1b[31m\"\xff").to_string(), r#""a\n\x1b[31m\"\xff""#);
        assert_eq!(Escaped(&[b'x'; 64]).to_string(), format!("\"{}\"", "x".repeat(64)));
        assert_eq!(Escaped(&[b'x'; 65]).to_string(), format!("\"{}…\"", "x".repeat(64)));
    }

    #[test]
    fn only_the_first_few_are_shown() {
        assert_eq!(Few([0; 0].iter()).to_string(), "[]");
        assert_eq!(Few([1, 2].iter()).to_string(), "[1,2]");
        assert_eq!(Few([0; 20].iter()).to_string(), "[0,0,0,0,0,0,0,0,+12]");
    }
}
