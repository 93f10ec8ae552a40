//! The driver: sockets, time, and the task that moves datagrams.
//!
//! One task per endpoint; an endpoint owns one or more UDP sockets and any number of connections. What demultiplexes
//! datagrams belongs to the task alone. User calls reach it through the ready list only.

mod demux;
mod driver;
mod early;
mod gather;
mod pool;
mod socket;
mod timers;

use crate::connection::Inner;
use crate::{Configuration, Error};
use driver::Driver;
use socket::Socket;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

/// The one clock.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// `now + duration`, or so late that it does not matter.
pub(crate) fn after(now: Instant, duration: Duration) -> Instant {
    now.checked_add(duration).unwrap_or_else(|| now + FAR_FUTURE)
}

/// Names a connection for the life of its endpoint; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(u64);

/// What user calls and the task of an endpoint share: which connections want the task's attention.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    ready: Mutex<Ready>,
}

#[derive(Debug, Default)]
struct Ready {
    keys: Vec<Key>,
    /// The task, while nobody has woken it.
    waker: Option<Waker>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, key: Key) {
        let mut ready = self.lock();
        ready.keys.push(key);
        let waker = ready.waker.take();
        drop(ready);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves the list to `keys`, which must be empty, and asks to be woken by the next push.
    fn take(&self, keys: &mut Vec<Key>, cx: &Context<'_>) {
        let mut ready = self.lock();
        std::mem::swap(&mut ready.keys, keys);
        if !ready.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            ready.waker = Some(cx.waker().clone());
        }
    }
}

/// How a connection reaches its endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    shared: Arc<Shared>,
    key: Key,
}

impl Link {
    pub(crate) fn push_ready(&self) {
        self.shared.push(self.key);
    }
}

/// Binds an endpoint for one connection and starts its task, which ends with the connection.
pub(crate) fn bind_private(inner: &Arc<Inner>) -> Result<Link, Error> {
    let _runtime = inner.runtime().enter();
    let sockets = bind(&inner.configuration).map_err(|error| {
        Error::io(&error, "free a port or name an address with Configuration::bind_address")
    })?;
    let link = Link { shared: Arc::new(Shared::default()), key: Key(0) };
    let mut driver = Driver::new(link.shared.clone(), sockets, inner.configuration.include_loopback);
    driver.attach(link.key, inner.clone());
    inner.runtime().spawn(driver);
    Ok(link)
}

/// The addresses asked for, all of them; or the wildcard addresses, as far as the machine has the families.
fn bind(configuration: &Configuration) -> io::Result<Vec<Socket>> {
    let size = configuration.socket_buffer_size;
    if !configuration.bind.is_empty() {
        return configuration.bind.iter().map(|&address| Socket::bind(address, size)).collect();
    }
    let v4 = Socket::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), size);
    let v6 = Socket::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), size);
    match (v4, v6) {
        (Err(error), Err(_)) => Err(error),
        (Ok(socket), Err(error)) | (Err(error), Ok(socket)) => {
            tracing::debug!(%error, only = %socket.local(), "no socket for the other address family");
            Ok(vec![socket])
        }
        (Ok(v4), Ok(v6)) => Ok(vec![v4, v6]),
    }
}

/// About thirty years.
const FAR_FUTURE: Duration = Duration::from_secs(1 << 30);
