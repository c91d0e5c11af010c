//! Live sessions over HTTP: the settings, the callers that may create and stop a session, and the
//! requests and answers.
//!
//! | Request | Allowed callers | Answer |
//! |---|---|---|
//! | `POST /create-session` | the back end | [`NewSession::answer`] |
//! | `POST /live/stop` | the back end, a caller with the `stopKey`, a caller with a token with `"live":"control"` | `{"message":"stopped"}` |
//! | `GET /live/:sessionId` | the same | [`status`] |
//!
//! This module does no I/O. The shell passes each request on to the room, and sends the notification of
//! a device.

mod access;
mod notification;
mod room_request;
mod session;
mod settings;

pub use access::{Caller, Credentials, stop_key};
pub use notification::{Notification, bad_notify, not_notified};
pub use room_request::RoomRequest;
pub use session::{NewSession, StopRequest, status};
pub use settings::without_media_server;

/// The error code for a request that needs a missing setting.
pub const NOT_CONFIGURED: &str = "not-configured";

/// The settings of live sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveSettings {
    /// The media server. `None`: live sessions cannot be created.
    pub media: Option<MediaServer>,
    /// `LIVE_KEY`: the key of the back end. `None`: only requests from this machine are allowed.
    pub key: Option<String>,
    /// `LIVE_NOTIFY_URL`: the server that notifies devices, unless a request names another one.
    pub notify_url: Option<String>,
    /// `LIVE_NOTIFY_ORIGINS`: the origins to which notifications may be sent.
    pub notify_origins: Vec<String>,
}

/// The media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaServer {
    /// The URL of the app: `MEDIA_URL/apps/MEDIA_APP`.
    pub url: String,
    /// `MEDIA_SECRET`: the bearer token for `url`.
    pub secret: String,
}
