//! What the process holds.

use crate::process;
use std::fmt;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Resources {
    /// Resident memory in KiB.
    memory: usize,
    pub(crate) files: usize,
    pub(crate) tasks: usize,
}

impl Resources {
    pub(crate) fn now() -> Self {
        Self { memory: process::resident(), files: process::open_files(), tasks: process::alive_tasks() }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB, {} files, {} tasks", self.memory >> 10, self.files, self.tasks)
    }
}

/// Waits until no more is left than there was, or until that does not happen.
pub(crate) async fn settled(before: Resources) -> Resources {
    for _ in 0..100 {
        let now = Resources::now();
        if now.tasks <= before.tasks && now.files <= before.files {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Resources::now()
}

/// What it held from time to time.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<Resources>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Resources) {
        self.0.push(sample);
    }

    /// The most that it held in the last quarter of the time must not be much more than in the second one: before that the
    /// allocator still fills its pools.
    pub(crate) fn check(&self) -> Result<(), String> {
        let quarter = self.0.len() / 4;
        if quarter < 3 {
            return Ok(());
        }
        let peak = |samples: &[Resources]| samples.iter().map(|sample| sample.memory).max().unwrap_or(0);
        let (early, late) = (peak(&self.0[quarter..2 * quarter]), peak(&self.0[3 * quarter..]));
        if late > early + early / 4 + SLACK {
            return Err(format!("memory grew from {early} to {late} KiB"));
        }
        Ok(())
    }
}

/// KiB: what peaks differ by when pairs happen to be busy at the same time.
const SLACK: usize = 16 << 10;
