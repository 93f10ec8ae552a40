//! The standard input, line by line.

use std::io::{self, BufRead, Read};
use tokio::sync::mpsc;

/// What stands between two newlines.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Whole(Vec<u8>),
    /// It was passed over.
    TooLong,
}

/// The lines of `from`, read in a thread of its own, because pipes block. They end with the input.
pub(crate) fn lines(from: impl Read + Send + 'static) -> mpsc::Receiver<Line> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        let mut from = io::BufReader::new(from);
        while let Ok(Some(line)) = next(&mut from, MAX_LINE) {
            if sender.blocking_send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// `None` at the end.
fn next(from: &mut impl BufRead, max: u64) -> io::Result<Option<Line>> {
    let mut line = Vec::new();
    if from.take(max).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == max {
        from.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(Line::Whole(line)))
}

/// Holds the largest message that a connection buffers (16 MiB), in base64 or with each of its characters escaped in two.
const MAX_LINE: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_over_the_limit_is_passed_over() {
        let mut from = io::Cursor::new("1234\n12345\n1234567\n\nend");
        let mut all = Vec::new();
        while let Some(line) = next(&mut from, 5).unwrap() {
            all.push(line);
        }
        let whole = |line: &str| Line::Whole(line.as_bytes().to_vec());
        assert_eq!(all, [whole("1234\n"), Line::TooLong, Line::TooLong, whole("\n"), whole("end")]);
    }

    #[tokio::test]
    async fn lines_end_with_the_input() {
        let mut lines = lines(&b"one\ntwo"[..]);
        assert_eq!(lines.recv().await, Some(Line::Whole(b"one\n".to_vec())));
        assert_eq!(lines.recv().await, Some(Line::Whole(b"two".to_vec())));
        assert_eq!(lines.recv().await, None);
    }
}
