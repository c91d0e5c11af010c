//! The HTTP API of the media server, which is that of Cloudflare's Realtime SFU: its JSON.
//!
//! The facts are from Cloudflare's OpenAPI file `realtime-api-2024-05-21.yaml` and from its page
//! "Error codes". Unknown fields of a request are ignored.

use serde::{Deserialize, Serialize};

/// The maximum number of tracks in one request.
pub const MAX_TRACKS: usize = 64;

/// An SDP offer or answer, as browsers write it in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct SessionDescription {
    /// Whether this is an offer or an answer.
    #[serde(rename = "type")]
    pub kind: SdpType,
    /// The description itself.
    pub sdp: String,
}

/// The type of a [`SessionDescription`].
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SdpType {
    /// A proposal, which the other side answers.
    Offer,
    /// The answer to an offer.
    Answer,
}

/// The side of a track, seen from the session in the URL.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Location {
    /// The session publishes the track.
    Local,
    /// The session receives a track that another session publishes.
    Remote,
}

/// Audio or video.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// The simulcast layer that a viewer wants.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Simulcast {
    /// The id of the wanted layer. Default: the first in alphabetical order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_rid: Option<String>,
    /// The layer to send if the publisher does not send the wanted one. `"asciibetical"`: the first
    /// layer in alphabetical order. `"none"` (default): nothing new.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rid_not_available: Option<String>,
    /// The order of layers if the network is too slow. This server does not measure the network, so
    /// it returns the value and ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_ordering: Option<String>,
}

/// One track in a request.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TrackRequest {
    /// Whether to publish or to receive the track.
    pub location: Option<Location>,
    /// The `mid` of a media section, or `#` and the name of a track that this session publishes.
    pub mid: Option<String>,
    /// The session that publishes a remote track, as 32 hexadecimal digits.
    pub session_id: Option<String>,
    /// The name of the track. It is unique within the session that publishes it.
    pub track_name: Option<String>,
    /// Required if the server makes the offer for a local track.
    pub kind: Option<Kind>,
    /// Whether the server's offer for a local track lets the server send on the same media section.
    pub bidirectional_media_stream: bool,
    /// The wanted layer of a remote track.
    pub simulcast: Option<Simulcast>,
}

/// The body of `POST …/tracks/new` and `PUT …/tracks/update`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct TracksRequest {
    /// The client's offer. Without it, the server makes the offer.
    pub session_description: Option<SessionDescription>,
    /// The tracks to add or to change.
    pub tracks: Vec<TrackRequest>,
    /// Whether to publish all tracks of the client's offer, with random names.
    pub auto_discover: bool,
}

/// The body of `PUT …/renegotiate`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenegotiateRequest {
    /// The client's answer to the server's last offer.
    pub session_description: SessionDescription,
}

/// The body of `PUT …/tracks/close`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CloseRequest {
    /// The tracks to close. Only `mid` is read.
    pub tracks: Vec<TrackRequest>,
    /// `true`: stop the media without SDP. `false`: `sessionDescription` has the client's offer.
    #[serde(default)]
    pub force: bool,
    /// The client's offer, in which the tracks are stopped.
    pub session_description: Option<SessionDescription>,
}

/// One track in a reply. Absent fields are left out.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // the fields are those of `TrackRequest`
pub struct TrackReply {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulcast: Option<Simulcast>,
    /// Only in the reply to `GET`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The error of this track, within a reply of status 200.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub error: Option<ApiError>,
}

/// Whether a track is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The track is open. It may still be waiting for packets.
    Active,
    /// The track was closed, or its source was.
    Inactive,
}

/// The reply to `tracks/new`, `tracks/update` and `tracks/close`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TracksReply {
    /// Whether the client has to answer `session_description` with `PUT …/renegotiate`.
    pub requires_immediate_renegotiation: bool,
    /// The server's offer, or its answer to the client's offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_description: Option<SessionDescription>,
    /// One entry for each track of the request, in the same order.
    pub tracks: Vec<TrackReply>,
}

/// The error codes of the API that this server uses.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The secret is missing or wrong.
    Unauthorized,
    /// There is no such app or no such route.
    NotFound,
    /// The body is not the JSON that the route expects.
    DecodingError,
    /// A value is invalid.
    InvalidParams,
    /// The body is too large.
    PayloadTooLarge,
    /// The session is gone. The client has to create a new one.
    SessionError,
    /// The session is not connected yet.
    #[serde(rename = "session_error")]
    NotConnected,
    /// The SDP is invalid, or it comes out of order.
    InvalidSessionDescription,
    /// No session publishes this track.
    NotFoundTrackError,
    /// The publisher has sent no media yet.
    EmptyTrackError,
    /// The track to update is not received by this session.
    UpdateTrackError,
    /// The track to close is absent or closed.
    CloseTrackError,
    /// The client may repeat the request later.
    RetryableTransientError,
    /// The server has no room for another session.
    TemporarilyUnavailableError,
    /// This server lacks a part of the API. (Cloudflare has no such code.)
    NotImplementedError,
    /// The server failed.
    InternalError,
}

impl ErrorCode {
    /// Returns the HTTP status of a reply that consists of this error.
    pub fn status(self) -> u16 {
        match self {
            Self::Unauthorized => 401,
            Self::NotFound | Self::NotFoundTrackError => 404,
            Self::DecodingError => 400,
            Self::PayloadTooLarge => 413,
            Self::SessionError => 410,
            Self::NotConnected => 425,
            Self::RetryableTransientError => 429,
            Self::TemporarilyUnavailableError => 503,
            Self::NotImplementedError => 501,
            Self::InternalError => 500,
            _ => 406,
        }
    }
}

/// An error of a request or of one track.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiError {
    /// The code, for programs.
    pub error_code: ErrorCode,
    /// The description, for people: the mistake and the next step.
    pub error_description: String,
}

impl ApiError {
    /// Creates an error.
    pub fn new(error_code: ErrorCode, description: impl Into<String>) -> Self {
        Self {
            error_code,
            error_description: description.into(),
        }
    }
}
