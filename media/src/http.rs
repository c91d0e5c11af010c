//! The HTTP side of the API: routes, the secret, and limits of connections and bodies.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use crate::api::{ApiError, ErrorCode};
use crate::calls::{Answer, Call};
use crate::server::Command;
use crate::session::SessionId;

/// The maximum size of the body of a request, in bytes. Offers of browsers have 2 to 30 KB.
const MAX_BODY: usize = 256 * 1024;

/// The maximum time until the headers, or after them the body, of a request are complete.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of connections at the same time. Others wait.
const MAX_CONNECTIONS: usize = 512;

/// State of the routes.
pub struct Api {
    /// Id of the app in the URLs.
    pub app: String,
    /// The expected Bearer token. `None`: everybody may call.
    pub secret: Option<String>,
    /// Commands to the engine.
    pub commands: mpsc::Sender<Command>,
}

/// Serves the API on a socket. Never returns.
pub async fn serve(listener: TcpListener, api: Arc<Api>) {
    let connections = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as too many open files, which can last. Trying again at once would spin.
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let api = Arc::clone(&api);
        tokio::spawn(async move {
            let service = service_fn(|request| {
                let api = Arc::clone(&api);
                async move { Ok::<_, Infallible>(respond(&api, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            let _ = connection.await; // an error is about this connection only
            drop(permit);
        });
    }
}

async fn respond(api: &Api, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let (status, body) = match answer(api, request).await {
        Ok(answer) => answer,
        Err(error) => {
            let (code, reason) = (error.error_code, &error.error_description);
            if code == ErrorCode::Unauthorized {
                // A stranger could fill the disk with these.
                tracing::debug!(%method, path, ?code, reason, "refused");
            } else {
                tracing::info!(%method, path, ?code, reason, "refused");
            }
            let body = serde_json::to_value(&error).unwrap_or_default();
            (error.error_code.status(), body)
        }
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

async fn answer(api: &Api, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    if path == "/health" && request.method() == Method::GET {
        let (reply, health) = oneshot::channel();
        let health = ask(api, Command::Health(reply), health).await?;
        return Ok((200, serde_json::to_value(health).unwrap_or_default()));
    }
    check_secret(api, &request)?;
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "v1", "apps", app, route @ ..] = parts.as_slice() else {
        return Err(not_found(&path));
    };
    if *app != api.app {
        let text = format!("There is no app {app:?}. See the option --app of the media server.");
        return Err(ApiError::new(ErrorCode::NotFound, text));
    }
    let call = match (request.method().as_str(), route) {
        ("POST", ["sessions", "new"]) => Call::Open,
        ("GET", ["sessions", id]) => Call::Look(session(id)?),
        ("POST", ["sessions", id, "tracks", "new"]) => {
            Call::NewTracks(session(id)?, json(request).await?)
        }
        ("PUT", ["sessions", id, "renegotiate"]) => {
            Call::Renegotiate(session(id)?, json(request).await?)
        }
        ("PUT", ["sessions", id, "tracks", "update"]) => {
            Call::UpdateTracks(session(id)?, json(request).await?)
        }
        ("PUT", ["sessions", id, "tracks", "close"]) => {
            Call::CloseTracks(session(id)?, json(request).await?)
        }
        (_, ["sessions", _, "datachannels", _] | ["adapters", ..]) => {
            let text = "This media server has no data channels and no adapters.";
            return Err(ApiError::new(ErrorCode::NotImplementedError, text));
        }
        _ => return Err(not_found(&path)),
    };
    let (reply, answer) = oneshot::channel();
    ask(api, Command::Call(Box::new(call), reply), answer).await?
}

/// Sends a command to the engine, and waits for the reply.
async fn ask<T>(api: &Api, command: Command, reply: oneshot::Receiver<T>) -> Result<T, ApiError> {
    let stopped = || {
        ApiError::new(
            ErrorCode::InternalError,
            "The media server is shutting down.",
        )
    };
    api.commands.send(command).await.map_err(|_| stopped())?;
    reply.await.map_err(|_| stopped())
}

fn check_secret(api: &Api, request: &Request<Incoming>) -> Result<(), ApiError> {
    let Some(secret) = &api.secret else {
        // Any website could send requests to this machine from the operator's browser.
        return if request.headers().contains_key(ORIGIN) {
            let text = "Without MEDIA_SECRET, the media server answers no requests of web pages.";
            Err(ApiError::new(ErrorCode::Unauthorized, text))
        } else {
            Ok(())
        };
    };
    let header = request
        .headers()
        .get(AUTHORIZATION)
        .map(hyper::header::HeaderValue::as_bytes);
    // The name of a scheme is case-insensitive (RFC 9110, section 11.1).
    let token = header.and_then(|header| {
        let (scheme, token) = header.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
    });
    // The comparison takes the same time wherever the first difference is.
    if token.is_some_and(|token| bool::from(token.ct_eq(secret.as_bytes()))) {
        return Ok(());
    }
    let text = "The secret is missing or wrong. Send the value of MEDIA_SECRET as a Bearer token.";
    Err(ApiError::new(ErrorCode::Unauthorized, text))
}

fn session(id: &str) -> Result<SessionId, ApiError> {
    SessionId::parse(id).ok_or_else(|| {
        let text = format!("There is no session {id:?}. Create a new one.");
        ApiError::new(ErrorCode::SessionError, text)
    })
}

async fn json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, ApiError> {
    let body = timeout(
        READ_TIMEOUT,
        Limited::new(request.into_body(), MAX_BODY).collect(),
    )
    .await;
    let body = match body {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let text = format!("The body has more than {MAX_BODY} bytes.");
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, text));
        }
        Ok(Err(_)) | Err(_) => {
            let text = "The body did not arrive within 5 seconds.";
            return Err(ApiError::new(ErrorCode::DecodingError, text));
        }
    };
    serde_json::from_slice(&body).map_err(|error| {
        let text = format!("The body is not the JSON that this call expects: {error}");
        ApiError::new(ErrorCode::DecodingError, text)
    })
}

fn not_found(path: &str) -> ApiError {
    let text = format!("There is no route {path}. The API begins at /v1/apps/<app>/sessions.");
    ApiError::new(ErrorCode::NotFound, text)
}
