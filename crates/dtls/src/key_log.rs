//! The secrets of a session, as lines for tools that decrypt captures.

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{Ssl, SslRef};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// One line in the NSS key log format, without its line feed: whoever has it can decrypt the session.
///
/// DTLS 1.2 has one for each handshake: `CLIENT_RANDOM`, the client's random and the master secret, in hexadecimal digits.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyLogLine(String);

impl KeyLogLine {
    /// The text of the line.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Shows nothing secret.
impl fmt::Debug for KeyLogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyLogLine(..)")
    }
}

/// Lines that a session has logged and nobody has taken. It belongs to the `Ssl`: OpenSSL hands its callback nothing else of
/// a session, and only to look at, hence the lock.
#[derive(Default)]
struct Queue(Mutex<VecDeque<KeyLogLine>>);

impl Queue {
    fn lock(&self) -> MutexGuard<'_, VecDeque<KeyLogLine>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a session the queue that its lines go to.
pub(crate) fn enable(ssl: &mut Ssl) -> Result<(), ErrorStack> {
    ssl.set_ex_data(index()?, Queue::default());
    Ok(())
}

/// The callback of a context whose sessions log their secrets.
pub(crate) fn push(ssl: &SslRef, line: &str) {
    let Some(queue) = queue(ssl) else { return };
    let mut lines = queue.lock();
    if lines.len() < MAX_LINES {
        lines.push_back(KeyLogLine(line.to_owned()));
    }
}

/// The next line of a session.
pub(crate) fn pop(ssl: &SslRef) -> Option<KeyLogLine> {
    queue(ssl)?.lock().pop_front()
}

fn queue(ssl: &SslRef) -> Option<&Queue> {
    ssl.ex_data(*INDEX.get()?)
}

/// OpenSSL numbers what is attached to sessions, for the life of the process.
fn index() -> Result<Index<Ssl, Queue>, ErrorStack> {
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    let index = Ssl::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| index))
}

static INDEX: OnceLock<Index<Ssl, Queue>> = OnceLock::new();
/// A handshake without renegotiation logs one line, and one of DTLS 1.3 would log five.
const MAX_LINES: usize = 8;
