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
