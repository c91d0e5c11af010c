//! Families of dialects. Clients meet only clients of their family, because clients of different
//! families cannot connect to each other.
//!
//! Each room has one Durable Object for each family. The name of the object contains the family, so
//! the object knows its family as soon as it is created.
//!
//! | Family | Dialects | Name of the object of the room `demo` | Heartbeat and its answer |
//! |---|---|---|---|
//! | `party` | native, forum, lobby, HTTP, Socket.IO | `demo` | `ping`, `pong` |
//! | `peerjs` | PeerJS | `␁peerjs␁demo` | `{"type":"HEARTBEAT"}`, `ok` |
//! | `y-webrtc` | y-webrtc | `␁y-webrtc␁demo` | `{"type":"ping"}`, `{"type":"pong"}` |
//! | `trystero` | trystero | `␁trystero␁demo` | – |
//! | `nostr` | Nostr | `␁nostr␁demo` | – |
//! | `tracker` | `WebTorrent` | `␁tracker␁demo` | – |
//! | `matchbox` | matchbox | `␁matchbox␁demo` | – |
//! | `rxdb` | `RxDB` | `␁rxdb␁demo` | `{"type":"ping"}`, `{"type":"pong"}` |
//!
//! `␁` is the character U+0001. Names of rooms have no control characters, so two objects never have the
//! same name.

use std::borrow::Cow;

/// Separates the family from the name of the room in the name of an object.
const SEPARATOR: &str = "\u{1}";

/// The clients that can meet in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Clients that exchange signals of any type and learn who is in the room.
    Party,
    /// Clients of `PeerJS`, which call each other by id.
    PeerJs,
    /// Clients of y-webrtc, which subscribe to topics.
    YWebrtc,
    /// Clients of trystero, which subscribe to topics.
    Trystero,
    /// Clients of Nostr, which subscribe to events.
    Nostr,
    /// Clients of `WebTorrent`, which find each other in swarms.
    Tracker,
    /// Clients of matchbox, which form groups.
    Matchbox,
    /// Clients of `RxDB`, which form groups.
    RxDb,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 8] = [
        Self::Party,
        Self::PeerJs,
        Self::YWebrtc,
        Self::Trystero,
        Self::Nostr,
        Self::Tracker,
        Self::Matchbox,
        Self::RxDb,
    ];

    /// Returns the name of the family in the status of a room.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Party => "party",
            Self::PeerJs => "peerjs",
            Self::YWebrtc => "y-webrtc",
            Self::Trystero => "trystero",
            Self::Nostr => "nostr",
            Self::Tracker => "tracker",
            Self::Matchbox => "matchbox",
            Self::RxDb => "rxdb",
        }
    }

    /// Returns the family of an object with this name, and the name of its room.
    #[must_use]
    pub fn of_object(name: &str) -> (Self, &str) {
        if let Some(rest) = name.strip_prefix(SEPARATOR) {
            for family in Self::ALL {
                let room = rest.strip_prefix(family.name());
                if let Some(room) = room.and_then(|room| room.strip_prefix(SEPARATOR)) {
                    return (family, room);
                }
            }
        }
        (Self::Party, name)
    }

    /// Returns the name of the object of a room.
    #[must_use]
    pub fn object(self, room: &str) -> Cow<'_, str> {
        match self {
            Self::Party => room.into(),
            _ => [SEPARATOR, self.name(), SEPARATOR, room].concat().into(),
        }
    }

    /// Returns whether the clients of this family subscribe to [topics](crate::core::topics). The clients
    /// of the other families are peers in a [room](crate::core::room).
    #[must_use]
    pub const fn has_topics(self) -> bool {
        !matches!(self, Self::Party | Self::PeerJs)
    }

    /// Returns the frame with which clients of this family show that they are alive, and the answer to
    /// it. The platform compares whole frames, and answers without waking the object. `None`: the
    /// clients send no such frame.
    #[must_use]
    pub const fn heartbeat(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Party => Some(("ping", "pong")),
            // PeerJS clients ignore a frame that is not JSON. To an echo, they log a warning.
            Self::PeerJs => Some((r#"{"type":"HEARTBEAT"}"#, "ok")),
            Self::YWebrtc | Self::RxDb => Some((r#"{"type":"ping"}"#, r#"{"type":"pong"}"#)),
            Self::Trystero | Self::Nostr | Self::Tracker => None,
            // To every answer, a client would log an error or add a peer.
            Self::Matchbox => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_object_shows_its_family_and_its_room() {
        for (family, name) in [
            (Family::Party, "demo"),
            (Family::PeerJs, "\u{1}peerjs\u{1}demo"),
            (Family::YWebrtc, "\u{1}y-webrtc\u{1}demo"),
        ] {
            assert_eq!(family.object("demo"), name);
            assert_eq!(Family::of_object(name), (family, "demo"));
        }
        for name in ["", "peerjs", "\u{1}", "\u{1}x\u{1}demo", "\u{1}peerjs"] {
            assert_eq!(Family::of_object(name), (Family::Party, name));
        }
    }
}
