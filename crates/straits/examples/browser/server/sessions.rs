//! All sessions: one for each page that is connected or about to be.

use super::Console;
use super::failure::Failure;
use super::session::Session;
use axum::http::StatusCode;
use rand::TryRng;
use rand::rngs::SysRng;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use straits::{Configuration, Endpoint, EndpointConfiguration, Error, Identity, Message, SessionDescription};

/// The sessions by their ids, and the UDP ports that they share.
pub(crate) struct Sessions {
    endpoint: Endpoint,
    configuration: Configuration,
    console: Console,
    by_id: Mutex<BTreeMap<String, Arc<Session>>>,
    begun: AtomicU64,
}

impl Sessions {
    /// `page` is the address on which pages are served; they reach the UDP ports there, too.
    pub(crate) fn bind(page: IpAddr, console: Console) -> Result<Self, Error> {
        let endpoint =
            EndpointConfiguration::default().max_connections(MAX_SESSIONS).max_pending(MAX_PENDING);
        let endpoint = match page {
            // A browser offers no loopback address, and Firefox pairs an address of the network with none: a page on
            // 127.0.0.1 meets the process on an address of the machine, too.
            ip if ip.is_loopback() => endpoint.include_loopback(true),
            ip if ip.is_unspecified() => endpoint,
            ip => endpoint.bind_address((ip, 0).into()),
        };
        Ok(Self {
            endpoint: Endpoint::bind(endpoint)?,
            configuration: Configuration::default().certificate(Identity::generate()?),
            console,
            by_id: Mutex::default(),
            begun: AtomicU64::new(0),
        })
    }

    /// Answers an offer: gives the id of the new session, and the answer.
    pub(crate) async fn open(
        self: &Arc<Self>,
        offer: SessionDescription,
    ) -> Result<(String, SessionDescription), Failure> {
        let connection = self.endpoint.connect(self.configuration.clone())?;
        let id = new_id()?;
        let name = format!("page {}", self.begun.fetch_add(1, Ordering::Relaxed) + 1);
        let session = Session::new(connection, name, self.console.clone());
        // When it fails, the session's connection ends with its last handle.
        let answer = session.answer(offer).await?;
        self.lock().insert(id.clone(), session.clone());
        tokio::spawn({
            let (sessions, id) = (self.clone(), id.clone());
            async move {
                session.attend().await;
                sessions.lock().remove(&id);
            }
        });
        Ok((id, answer))
    }

    pub(crate) fn find(&self, id: &str) -> Option<Arc<Session>> {
        self.lock().get(id).cloned()
    }

    /// Sends to all pages; says to how many.
    pub(crate) fn send(&self, message: &Message) -> usize {
        let sessions: Vec<_> = self.lock().values().cloned().collect();
        sessions.iter().filter(|session| session.send(message)).count()
    }

    /// Ends all, and waits until their pages were told.
    pub(crate) async fn end(&self) {
        self.endpoint.close();
        self.endpoint.closed().await;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody else can guess it.
fn new_id() -> Result<String, Failure> {
    let mut id = [0; 16];
    SysRng.try_fill_bytes(&mut id).map_err(|error| {
        let what = format!("no randomness from the system: {error}");
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "OperationError", what)
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(id)))
}

/// More than anybody opens by hand; each may hold as much as its receive window and its send buffer.
const MAX_SESSIONS: usize = 64;
/// Offers that nobody follows up, which hold their place for 30 s.
const MAX_PENDING: usize = 32;
