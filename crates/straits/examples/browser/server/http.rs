//! The page and its signalling over HTTP.

use super::failure::Failure;
use super::session::Session;
use super::sessions::Sessions;
use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use futures_util::Stream;
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use straits::{IceCandidate, SessionDescription};

pub(crate) fn router(sessions: Arc<Sessions>) -> Router {
    let mut router = Router::new();
    for (path, kind, text) in FILES {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CONTENT_SECURITY_POLICY, "default-src 'self'; img-src data:"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        router = router.route(path, get(move || async move { (headers, text) }));
    }
    router
        .route("/sessions", post(open))
        .route("/sessions/{id}", delete(close))
        .route("/sessions/{id}/candidates", post(add_candidate))
        .route("/sessions/{id}/events", get(events))
        .fallback(async || Failure::new(StatusCode::NOT_FOUND, "NotFoundError", "there is nothing here"))
        .method_not_allowed_fallback(async || {
            Failure::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "NotSupportedError",
                "this method means nothing here",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(sessions)
}

#[derive(Serialize)]
struct Opened {
    id: String,
    answer: SessionDescription,
}

// The bodies must have the type of JSON: a browser lets no page of another site send that without asking here first.

async fn open(
    State(sessions): State<Arc<Sessions>>,
    offer: Result<Json<SessionDescription>, JsonRejection>,
) -> Result<(StatusCode, Json<Opened>), Failure> {
    let Json(offer) = offer?;
    let (id, answer) = sessions.open(offer).await?;
    Ok((StatusCode::CREATED, Json(Opened { id, answer })))
}

async fn add_candidate(
    State(sessions): State<Arc<Sessions>>,
    Path(id): Path<String>,
    candidate: Result<Json<IceCandidate>, JsonRejection>,
) -> Result<StatusCode, Failure> {
    let session = find(&sessions, &id)?;
    let Json(candidate) = candidate?;
    session.add_candidate(candidate).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn events(
    State(sessions): State<Arc<Sessions>>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Failure> {
    Ok(Sse::new(find(&sessions, &id)?.events()).keep_alive(KeepAlive::default()))
}

/// The connection may have told the end of it already.
async fn close(State(sessions): State<Arc<Sessions>>, Path(id): Path<String>) -> StatusCode {
    if let Some(session) = sessions.find(&id) {
        session.close();
    }
    StatusCode::NO_CONTENT
}

fn find(sessions: &Sessions, id: &str) -> Result<Arc<Session>, Failure> {
    sessions.find(id).ok_or_else(Failure::no_session)
}

const FILES: [(&str, &str, &str); 6] = [
    ("/", "text/html; charset=utf-8", include_str!("../page/index.html")),
    ("/style.css", "text/css; charset=utf-8", include_str!("../page/style.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("../page/page.js")),
    ("/signalling.js", "text/javascript; charset=utf-8", include_str!("../page/signalling.js")),
    ("/transfer.js", "text/javascript; charset=utf-8", include_str!("../page/transfer.js")),
    ("/statistics.js", "text/javascript; charset=utf-8", include_str!("../page/statistics.js")),
];

/// Bytes of a request's body. Descriptions with all their candidates have some 2 KiB.
const MAX_BODY: usize = 64 << 10;
