//! Receive buffers, shared by all endpoints of the process: taken while a socket is read, so idle ones hold none.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Room for `SLOTS` reads of up to `SLOT_SIZE` bytes.
#[derive(Debug)]
pub(super) struct ReceiveBuffer(Option<Box<[u8]>>);

impl ReceiveBuffer {
    pub(super) fn take() -> Self {
        let pooled = pool().pop();
        Self(Some(pooled.unwrap_or_else(|| vec![0; SLOTS * SLOT_SIZE].into_boxed_slice())))
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            let mut pool = pool();
            if pool.len() < MAX_POOLED {
                pool.push(buffer);
            }
        }
    }
}

fn pool() -> MutexGuard<'static, Vec<Box<[u8]>>> {
    static POOL: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs of datagrams that one system call reads.
pub(super) const SLOTS: usize = 8;
/// The largest run that the system joins (GRO), and the largest datagram.
pub(super) const SLOT_SIZE: usize = 1 << 16;
/// More endpoints than these are seldom read at the same moment: there are not that many cores.
const MAX_POOLED: usize = 16;
