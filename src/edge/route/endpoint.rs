//! What stands at which path, and which methods are to be had there.

use crate::edge::ice::IceFormat;

/// What a path leads to.
pub(super) enum Endpoint<'a> {
    Health,
    Ice(IceFormat),
    Room(&'a str),
    /// One of the three of the HTTP dialect, and the names of room and peer.
    Http(Call, &'a str, &'a str),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Register,
    Message,
    Events,
}

impl<'a> Endpoint<'a> {
    pub(super) fn find(path: &'a str) -> Option<Self> {
        Some(match path {
            "/health" => Self::Health,
            "/ice-servers" => Self::Ice(IceFormat::List),
            "/iceServers" => Self::Ice(IceFormat::One),
            _ => {
                let (first, rest) = path.strip_prefix('/')?.split_once('/')?;
                let (second, rest) = rest.split_once('/')?;
                match first {
                    _ if rest.contains('/') => return None,
                    "parties" if second == "main" => Self::Room(rest),
                    "register" => Self::Http(Call::Register, second, rest),
                    "message" => Self::Http(Call::Message, second, rest),
                    "events" => Self::Http(Call::Events, second, rest),
                    _ => return None,
                }
            }
        })
    }

    pub(super) const fn methods(&self) -> &'static str {
        match self {
            Self::Http(Call::Register | Call::Message, ..) => "POST, OPTIONS",
            _ => "GET, HEAD, OPTIONS",
        }
    }
}
