//! The process's side of the sample: it serves the page, is its signalling server, and is the remote peer.
//!
//! ```text
//! POST   /sessions                   an offer; the answer comes back, with the name of the session
//! POST   /sessions/{id}/candidates   a candidate of the page
//! GET    /sessions/{id}/events       server-sent events: `candidate`, of the process, and `state`, how it sees the session
//! DELETE /sessions/{id}              the page leaves
//! ```
//! Bodies are the JSON that a browser makes of its descriptions and candidates. What is refused has the body
//! `{"name": …, "message": …}` with the name of a DOM exception.

mod failure;
mod http;
mod session;
mod sessions;
mod status;

use sessions::Sessions;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Gets each line that the process has to say. Must not block.
pub(crate) type Console = Arc<dyn Fn(String) + Send + Sync>;

/// The page's server, as long as it is not stopped.
pub(crate) struct Server {
    address: SocketAddr,
    sessions: Arc<Sessions>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Serves the page on `bind`. With port 0 the system chooses one.
    pub(crate) async fn start(
        bind: SocketAddr,
        console: Console,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let listener = TcpListener::bind(bind).await?;
        let address = listener.local_addr()?;
        let sessions = Arc::new(Sessions::bind(address.ip(), console)?);
        let (stop, stopped) = oneshot::channel();
        let serve = axum::serve(listener, http::router(sessions.clone())).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(serve.into_future());
        Ok(Self { address, sessions, stop, serving })
    }

    /// Where the page is.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends a text to all pages; says to how many.
    pub(crate) fn send(&self, text: String) -> usize {
        self.sessions.send(&text.into())
    }

    /// Ends all sessions, so that their pages hear of it, and then the server.
    pub(crate) async fn stop(mut self) {
        let _ = self.stop.send(());
        self.sessions.end().await;
        // A client that never takes its response would hold it up.
        if timeout(PATIENCE, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

/// Longer than a live client takes to read the end of what it asked for.
const PATIENCE: Duration = Duration::from_secs(2);
