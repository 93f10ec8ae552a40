//! What the page is told when something is refused.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use straits::{Error, ErrorCause};

/// Becomes a response with the name of a DOM exception and a message for people.
#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    #[serde(skip)]
    status: StatusCode,
    name: String,
    message: String,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, name: &str, message: impl Into<String>) -> Self {
        Self { status, name: name.to_owned(), message: message.into() }
    }

    pub(crate) fn no_session() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "NotFoundError",
            "there is no such session (it has ended: connect again)",
        )
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let status = match error.cause() {
            ErrorCause::Endpoint(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ if error.is_closed() => StatusCode::GONE,
            ErrorCause::Io(..) => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::BAD_REQUEST,
        };
        let name = error.name().to_string();
        let text = error.to_string();
        let message = text.strip_prefix(&format!("{name}: ")).unwrap_or(&text);
        Self::new(status, &name, message)
    }
}

impl From<JsonRejection> for Failure {
    fn from(rejection: JsonRejection) -> Self {
        let name = match rejection {
            JsonRejection::JsonSyntaxError(_) => "SyntaxError",
            JsonRejection::JsonDataError(_) => "TypeError",
            JsonRejection::MissingJsonContentType(_) => "NotSupportedError",
            _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => "QuotaExceededError",
            _ => "NetworkError",
        };
        Self::new(rejection.status(), name, rejection.body_text())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}
