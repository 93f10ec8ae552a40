//! Buffers that all endpoints of the process share: taken while an endpoint works, so idle ones hold none.

use bytes::BytesMut;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Room for `SLOTS` reads of up to `SLOT_SIZE` bytes.
#[derive(Debug)]
pub(super) struct ReceiveBuffer(Option<Box<[u8]>>);

impl ReceiveBuffer {
    pub(super) fn take() -> Self {
        let pooled = lock(&RECEIVE).pop();
        Self(Some(pooled.unwrap_or_else(|| vec![0; SLOTS * SLOT_SIZE].into_boxed_slice())))
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().unwrap_or_default()
    }
}

impl Drop for ReceiveBuffer {
    fn drop(&mut self) {
        if let Some(buffer) = self.0.take() {
            give(&RECEIVE, buffer);
        }
    }
}

/// An empty buffer for datagrams to send, which as a rule has room for a batch.
pub(super) fn take_batch() -> BytesMut {
    lock(&SEND).pop().unwrap_or_default()
}

pub(super) fn give_batch(mut batch: BytesMut) {
    batch.clear();
    if batch.capacity() > 0 {
        give(&SEND, batch);
    }
}

fn lock<T>(pool: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

fn give<T>(pool: &Mutex<Vec<T>>, buffer: T) {
    let mut pool = lock(pool);
    if pool.len() < MAX_POOLED {
        pool.push(buffer);
    }
}

static RECEIVE: Mutex<Vec<Box<[u8]>>> = Mutex::new(Vec::new());
static SEND: Mutex<Vec<BytesMut>> = Mutex::new(Vec::new());

/// Runs of datagrams that one system call reads.
pub(super) const SLOTS: usize = 8;
/// The largest run that the system joins (GRO), and the largest datagram.
pub(super) const SLOT_SIZE: usize = 1 << 16;
/// More endpoints than these are seldom read at the same moment: there are not that many cores.
const MAX_POOLED: usize = 16;
