//! A file with secrets that a thread of its own writes, so that a slow disk holds up no packet.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How an existing file is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    Replace,
    AppendTo,
}

/// Opens a file to write to, that nobody else may read if it is a new one, or one that is replaced.
fn open(path: &Path, existing: Existing) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match existing {
        Existing::Replace => options.create(true).write(true).truncate(true),
        Existing::AppendTo => options.create(true).append(true),
    };
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, OWNER_ONLY);
    let file = options.open(path)?;
    #[cfg(unix)]
    if existing == Existing::Replace && file.metadata()?.is_file() {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(OWNER_ONLY))?;
    }
    Ok(file)
}

/// Appends what is counted as missing to the bytes that are about to be written.
pub(super) type Report = fn(&mut Vec<u8>, Losses);

/// For each interface, how many packets are missing so far.
pub(super) type Losses = [u64; 2];

/// The queue in front of the thread. When it is dropped, the thread writes what is left and ends.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// There are bytes, or there is an end.
    filled: Condvar,
    /// Bytes are in the file, or never will be.
    emptied: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Whole blocks or lines.
    bytes: Vec<u8>,
    /// Bytes so far, and how many of them the thread is done with.
    queued: u64,
    done: u64,
    losses: Losses,
    are_losses_news: bool,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Open,
    /// The writer is gone.
    Ending,
    /// The file took no more. Nothing is queued any more.
    Stopped,
}

impl Writer {
    /// Opens the file. `report` is called when packets were lost.
    pub(super) fn open(path: &Path, existing: Existing, report: Report) -> io::Result<Self> {
        Self::start(path, open(path, existing)?, existing, report)
    }

    /// Starts the thread.
    fn start(path: &Path, file: File, existing: Existing, report: Report) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut task = Task { path: path.to_owned(), file, existing, report, shared: shared.clone() };
        thread::Builder::new().name("straits-capture".to_owned()).spawn(move || task.run())?;
        Ok(Self { path: path.to_owned(), shared })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Queues whole blocks or lines. `false`: there are `limit` bytes in the queue already, and nothing was queued.
    pub(super) fn append(&self, limit: usize, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut queue = self.shared.lock();
        if queue.phase == Phase::Stopped {
            return true;
        }
        let before = queue.bytes.len();
        if before >= limit {
            return false;
        }
        write(&mut queue.bytes);
        queue.queued += (queue.bytes.len() - before) as u64;
        drop(queue);
        // While the thread is at work it needs no call, and gets one that costs next to nothing.
        if before == 0 {
            self.shared.filled.notify_one();
        }
        true
    }

    /// Counts packets that are not in the file.
    pub(super) fn count_lost(&self, interface: usize, packets: u64) {
        let mut queue = self.shared.lock();
        queue.losses[interface] += packets;
        queue.are_losses_news = true;
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Waits until everything so far is in the file, or never will be; at most so long.
    pub(super) fn flush(&self, patience: Duration) {
        let queue = self.shared.lock();
        let goal = queue.queued;
        let is_waiting = |queue: &mut Queue| queue.done < goal && queue.phase != Phase::Stopped;
        // Whether it took too long is of no interest: nobody can do anything about it.
        drop(self.shared.emptied.wait_timeout_while(queue, patience, is_waiting));
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        if queue.phase == Phase::Open {
            queue.phase = Phase::Ending;
        }
        drop(queue);
        self.shared.filled.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for bytes and takes them all. `None`: there will be none.
    fn take(&self, mut bytes: Vec<u8>, report: Report) -> Option<Vec<u8>> {
        let mut queue = self.lock();
        while queue.bytes.is_empty() && !queue.are_losses_news {
            if queue.phase != Phase::Open {
                return None;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        std::mem::swap(&mut queue.bytes, &mut bytes);
        if std::mem::take(&mut queue.are_losses_news) {
            let before = bytes.len();
            report(&mut bytes, queue.losses);
            queue.queued += (bytes.len() - before) as u64;
        }
        Some(bytes)
    }

    fn done(&self, bytes: usize) {
        self.lock().done += bytes as u64;
        self.emptied.notify_all();
    }

    fn stop(&self) {
        let mut queue = self.lock();
        queue.phase = Phase::Stopped;
        queue.bytes = Vec::new();
        drop(queue);
        self.emptied.notify_all();
    }
}

/// What the thread has.
struct Task {
    path: PathBuf,
    file: File,
    existing: Existing,
    report: Report,
    shared: Arc<Shared>,
}

impl Task {
    fn run(&mut self) {
        let mut bytes = Vec::new();
        while let Some(taken) = self.shared.take(bytes, self.report) {
            if let Err(error) = self.write(&taken) {
                tracing::warn!(path = %self.path.display(), %error, "nothing more is written to the file");
                return self.shared.stop();
            }
            self.shared.done(taken.len());
            bytes = taken;
            bytes.clear();
            bytes.shrink_to(KEPT);
        }
    }

    /// At once, without a buffer between: what was written stays when the process is killed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let before = self.file.stream_position();
        let result = self.file.write_all(bytes);
        if let (Err(_), Ok(before), Existing::Replace) = (&result, before, self.existing) {
            // The part of a block that found room would be the end of a broken file. A device has no length to set, and the
            // end of a file that others append to is not ours.
            let _ = self.file.set_len(before);
        }
        result
    }
}

/// Shows no contents.
impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue")
            .field("queued", &self.queued)
            .field("done", &self.done)
            .field("losses", &self.losses)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

/// Memory that the thread keeps for the next bytes.
const KEPT: usize = 256 << 10;
#[cfg(unix)]
const OWNER_ONLY: u32 = 0o600;

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{PipeReader, Read};
    use std::os::fd::OwnedFd;

    const SOON: Duration = Duration::from_secs(60);
    /// More than a pipe holds.
    const MUCH: usize = 1 << 20;

    /// A file that takes no more until somebody reads.
    fn pipe() -> (PipeReader, Writer) {
        let (reader, end) = io::pipe().unwrap();
        let file = File::from(OwnedFd::from(end));
        let report: Report = |out, losses| out.extend_from_slice(format!("{losses:?}").as_bytes());
        (reader, Writer::start(Path::new("pipe"), file, Existing::AppendTo, report).unwrap())
    }

    fn append(writer: &Writer, bytes: &[u8]) -> bool {
        writer.append(MUCH, |out| out.extend_from_slice(bytes))
    }

    #[test]
    fn what_is_appended_is_written_in_order() {
        let (mut reader, writer) = pipe();
        for word in ["one ", "two ", "three"] {
            assert!(append(&writer, word.as_bytes()));
        }
        writer.flush(SOON);
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "one two three");
    }

    #[test]
    fn a_slow_disk_costs_packets_that_are_counted_and_holds_up_nobody() {
        let (mut reader, writer) = pipe();
        let block = vec![b'x'; MUCH];
        assert!(append(&writer, &block));
        while !writer.shared.lock().bytes.is_empty() {
            thread::yield_now();
        }
        // The pipe is full and the thread hangs in its write; now the queue fills.
        assert!(append(&writer, &block));
        writer.count_lost(0, 1);
        writer.count_lost(1, 2);
        assert!(!append(&writer, &block));
        assert!(writer.append(usize::MAX, |out| out.push(b'!')), "what matters more has more room");
        writer.flush(Duration::ZERO);

        drop(writer);
        let mut written = Vec::new();
        reader.read_to_end(&mut written).unwrap();
        let text = String::from_utf8(written).unwrap();
        let (blocks, behind) = text.split_at(2 * MUCH);
        assert!(blocks.bytes().all(|byte| byte == b'x'));
        assert_eq!(behind, "![1, 2]");
    }

    /// Whoever waits is told, and nothing piles up.
    #[test]
    fn a_file_that_takes_no_more_is_left_alone() {
        let (reader, writer) = pipe();
        drop(reader);
        append(&writer, b"nobody reads this");
        writer.flush(SOON);
        assert_eq!(writer.shared.lock().phase, Phase::Stopped);
        assert!(append(&writer, b"nor this"));
        assert!(writer.shared.lock().bytes.is_empty());
        writer.flush(SOON);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_it() {
        let writer = Writer::open(Path::new("/dev/full"), Existing::Replace, |_, _| {}).unwrap();
        append(&writer, b"x");
        writer.flush(SOON);
        assert_eq!(writer.shared.lock().phase, Phase::Stopped);
    }

    #[test]
    fn debug_shows_no_contents() {
        let queue = Queue { bytes: b"secret".to_vec(), ..Queue::default() };
        let text = format!("{queue:?}");
        assert!(!text.contains("secret") && !text.contains("115"), "{text}");
    }
}
