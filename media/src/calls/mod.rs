//! The calls of the API. This file has the parts that all calls share.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::api::{
    ApiError, CloseRequest, ErrorCode, Location, RenegotiateRequest, Status, TrackReply,
    TracksRequest,
};
use crate::engine::Engine;
use crate::session::{Session, SessionId};

/// The maximum number of calls of one session in a second, as at Cloudflare.
const MAX_CALLS: u32 = 50;

mod change;
mod new_tracks;
mod offers;

/// A call of the API.
#[derive(Clone, Debug)]
pub enum Call {
    /// `POST /sessions/new`.
    Open,
    /// `GET /sessions/{id}`.
    Look(SessionId),
    /// `POST /sessions/{id}/tracks/new`.
    NewTracks(SessionId, TracksRequest),
    /// `PUT /sessions/{id}/renegotiate`.
    Renegotiate(SessionId, RenegotiateRequest),
    /// `PUT /sessions/{id}/tracks/update`.
    UpdateTracks(SessionId, TracksRequest),
    /// `PUT /sessions/{id}/tracks/close`.
    CloseTracks(SessionId, CloseRequest),
}

impl Call {
    fn session(&self) -> Option<SessionId> {
        match self {
            Self::Open => None,
            Self::Look(id)
            | Self::NewTracks(id, _)
            | Self::Renegotiate(id, _)
            | Self::UpdateTracks(id, _)
            | Self::CloseTracks(id, _) => Some(*id),
        }
    }
}

/// The HTTP status and the JSON of a reply.
pub type Answer = Result<(u16, Value), ApiError>;

/// The reason why a call ends without success: it has to wait for a connection or for media, or it
/// failed.
enum Stop {
    Wait(ApiError),
    Fail(ApiError),
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Fail(error)
    }
}

impl Engine {
    /// Performs a call. Returns `None` if the answer has to wait for a connection or for the first
    /// media of a publisher. The caller then repeats the call. With `last`, the answer is an error
    /// instead.
    pub fn call(&mut self, call: &Call, last: bool, now: Instant) -> Option<Answer> {
        let result = self.perform(call, last, now);
        self.settle(now);
        match result {
            Ok(answer) => Some(Ok(answer)),
            Err(Stop::Wait(_)) if !last => None,
            Err(Stop::Wait(error) | Stop::Fail(error)) => Some(Err(error)),
        }
    }

    fn perform(&mut self, call: &Call, last: bool, now: Instant) -> Result<(u16, Value), Stop> {
        if let Some(id) = call.session() {
            let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
            if !matches!(call, Call::Look(_)) {
                session.used = now;
            }
        }
        let reply = match call {
            Call::Open => return Ok((201, self.open_session(now)?)),
            Call::Look(id) => self.look(*id)?,
            Call::NewTracks(id, request) => to_json(&self.new_tracks(*id, request, last, now)?),
            Call::Renegotiate(id, request) => self.renegotiate(*id, request, now)?,
            Call::UpdateTracks(id, request) => to_json(&self.update_tracks(*id, request, now)?),
            Call::CloseTracks(id, request) => to_json(&self.close_tracks(*id, request, now)?),
        };
        Ok((200, reply))
    }

    fn open_session(&mut self, now: Instant) -> Result<Value, ApiError> {
        let error = |text: String| ApiError::new(ErrorCode::TemporarilyUnavailableError, text);
        let limit = self.limits.sessions;
        if self.sessions.len() >= limit {
            return Err(error(format!(
                "The server has {limit} sessions, its limit. Try later, or set --sessions."
            )));
        }
        let id = self.open(now).ok_or_else(|| {
            error(
                "Clients cannot connect to the address of the server. Set --public-address.".into(),
            )
        })?;
        Ok(json!({ "sessionId": id.to_string() }))
    }

    /// Counts a call of a session, before it is performed for the first time.
    ///
    /// # Errors
    ///
    /// If the session had too many calls in this second.
    pub fn admit(&mut self, call: &Call, now: Instant) -> Result<(), ApiError> {
        let Some(session) = call.session().and_then(|id| self.sessions.get_mut(&id)) else {
            return Ok(());
        };
        if now >= session.calls.0 + Duration::from_secs(1) {
            session.calls = (now, 0);
        }
        session.calls.1 += 1;
        if session.calls.1 <= MAX_CALLS {
            return Ok(());
        }
        let text =
            format!("The session had {MAX_CALLS} calls in this second, its limit. Try later.");
        Err(ApiError::new(ErrorCode::RetryableTransientError, text))
    }

    /// Runs a step of a session whose failure ends the call.
    fn try_step<T>(
        &mut self,
        id: SessionId,
        now: Instant,
        step: impl FnOnce(&mut Session) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.step(id, now, step).unwrap_or_else(|| Err(gone(id)))
    }

    fn look(&self, id: SessionId) -> Result<Value, ApiError> {
        let session = self.sessions.get(&id).ok_or_else(|| gone(id))?;
        let status = |open| {
            Some(if open {
                Status::Active
            } else {
                Status::Inactive
            })
        };
        let published = session.published.iter().map(|(mid, track)| TrackReply {
            location: Some(Location::Local),
            mid: Some(mid.to_string()),
            track_name: Some(track.name.clone()),
            status: status(track.open),
            ..TrackReply::default()
        });
        let subscribed = session.subscribed.iter().map(|(mid, track)| TrackReply {
            location: Some(Location::Remote),
            mid: Some(mid.to_string()),
            session_id: Some(track.source.session.to_string()),
            track_name: Some(track.name.clone()),
            status: status(track.open),
            ..TrackReply::default()
        });
        let tracks: Vec<_> = published.chain(subscribed).collect();
        Ok(json!({ "tracks": tracks, "dataChannels": [] }))
    }
}

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn gone(id: SessionId) -> ApiError {
    let text = format!("The session {id} is over or never existed. Create a new one.");
    ApiError::new(ErrorCode::SessionError, text)
}

fn invalid_params(description: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParams, description)
}
