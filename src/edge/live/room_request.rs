//! The requests about a live session that the Worker sends to a room.
//!
//! A room trusts these requests, because the Worker has checked the caller. No client can send them: their
//! paths begin with [`PREFIX`], and the Worker forwards only paths of its [routes](crate::edge::route). The
//! Worker also reads the session back from the URL, because it holds nothing while the room answers.

use super::NewSession;
use crate::core::live::{LiveRequest, Tracks};
use crate::core::peer::{PeerId, Time};

/// The start of the URLs of all requests.
const PREFIX: &str = "https://room/internal/live/";

/// A request about the live session of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RoomRequest {
    /// Create the session.
    Create(NewSession),
    /// Return the status of the session.
    Status,
    /// End the session.
    Stop,
}

impl RoomRequest {
    /// Returns the URL of the request.
    #[must_use]
    pub fn url(&self) -> String {
        match self {
            Self::Create(new) => {
                let NewSession {
                    session,
                    device,
                    tracks,
                    expires_at: Time(expires_at),
                    notify,
                } = new;
                let mut query = form_urlencoded::Serializer::new(format!("{PREFIX}create?"));
                query.append_pair("session", session);
                query.append_pair("device", device.as_str());
                query.append_pair("tracks", &tracks.to_string());
                query.append_pair("expires", &expires_at.to_string());
                if let Some(notify) = notify {
                    query.append_pair("notify", notify);
                }
                query.finish()
            }
            Self::Status => format!("{PREFIX}status"),
            Self::Stop => format!("{PREFIX}stop"),
        }
    }

    /// Reads a request from its URL. Returns `None` for any other URL.
    #[must_use]
    pub fn read(url: &str) -> Option<Self> {
        let url = url.strip_prefix(PREFIX)?;
        match url.split_once('?').unwrap_or((url, "")) {
            ("create", query) => read_session(query).map(Self::Create),
            ("status", "") => Some(Self::Status),
            ("stop", "") => Some(Self::Stop),
            _ => None,
        }
    }

    /// Returns the request as an event of the room.
    #[must_use]
    pub fn event(self) -> LiveRequest {
        match self {
            Self::Create(NewSession {
                device,
                tracks,
                expires_at,
                ..
            }) => LiveRequest::Create {
                device,
                tracks,
                expires_at,
            },
            Self::Status => LiveRequest::Status,
            Self::Stop => LiveRequest::Stop,
        }
    }
}

fn read_session(query: &str) -> Option<NewSession> {
    let (mut session, mut device, mut tracks, mut expires_at, mut notify) =
        (None, None, None, None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "session" => session = Some(value.into_owned()),
            "device" => device = PeerId::parse(&value),
            "tracks" => tracks = Tracks::parse(&value),
            "expires" => expires_at = value.parse().ok().map(Time),
            "notify" => notify = Some(value.into_owned()),
            _ => {}
        }
    }
    Some(NewSession {
        session: session?,
        device: device?,
        tracks: tracks?,
        expires_at: expires_at?,
        notify,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::route::{Request, route, split_url};

    fn requests() -> Vec<RoomRequest> {
        let session = |session: &str, notify: Option<&str>| {
            RoomRequest::Create(NewSession {
                session: session.to_owned(),
                device: PeerId::parse("camera:1").unwrap(),
                tracks: Tracks::ALL,
                expires_at: Time(1_000),
                notify: notify.map(str::to_owned),
            })
        };
        vec![
            RoomRequest::Status,
            RoomRequest::Stop,
            session("demo", None),
            session("a b/&=?#%ä", Some("https://push.example/a?b#c&session=x")),
        ]
    }

    #[test]
    fn a_request_is_read_from_its_url() {
        for request in requests() {
            let url = request.url();
            assert_eq!(RoomRequest::read(&url), Some(request), "{url}");
        }
        for url in [
            "",
            "https://room/internal/live/",
            "https://room/parties/main/stop",
        ] {
            assert_eq!(RoomRequest::read(url), None, "{url}");
        }
    }

    #[test]
    fn the_worker_forwards_no_path_of_such_a_request() {
        for request in requests() {
            let url = request.url();
            let (path, query) = split_url(&url);
            for method in ["GET", "POST"] {
                let request = Request {
                    method,
                    path,
                    query,
                    upgrade: Some("websocket"),
                    ..Request::default()
                };
                assert_eq!(route(&request).unwrap_err().status, 404, "{path}");
            }
        }
    }
}
