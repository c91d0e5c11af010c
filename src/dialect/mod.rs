//! The dialects of clients. A dialect decodes text into [`Signal`]s, and encodes [`Notice`]s as text.
//!
//! The dialect of a client that uses topics decodes [`Call`]s instead, and encodes what is published.
//!
//! A dialect has no state and does not access the room. Each dialect is one file, whose module comment
//! shows all its frames. To add a dialect:
//!
//! 1. Write its file, with a table of its frames, `RESERVED`, `decode` and `encode`. A dialect of topics
//!    needs no `RESERVED`.
//! 2. Add the dialect to [`Dialect`], to [`Dialect::ALL`] and to each `match` below. The compiler reports
//!    each `match` without the dialect.
//! 3. Write its transcripts, in a folder with its name in `tests/transcripts`.

pub mod family;
mod forum;
mod frame;
pub mod http;
pub mod json;
mod lobby;
mod matchbox;
mod native;
mod nostr;
pub mod peerjs;
mod rxdb;
mod socketio;
mod tracker;
mod trystero;
mod y_webrtc;

pub use frame::Encoded;

use self::family::Family;
use crate::core::event::{MAX_FRAME, Signal};
use crate::core::live::STATE_TYPE;
use crate::core::notice::Notice;
use crate::core::refusal::{Code, Refusal};
use crate::core::topics::groups::Group;
use crate::core::topics::{self, Call};

/// The maximum length of a signal type, in bytes.
const MAX_TYPE: usize = 64;

/// The dialect of a WebSocket or event stream. It stays the same until the connection closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// The dialect of the client library, public/room.js; see `native.rs`.
    Native,
    /// Frames with `action` or `type`; see `forum.rs`.
    Forum,
    /// Frames with `fromId` and `toId`; see `lobby.rs`.
    Lobby,
    /// HTTP requests and an event stream; see `http.rs`.
    Http,
    /// Packets of Socket.IO; see `socketio.rs`.
    SocketIo,
    /// Frames of `PeerJS`; see `peerjs.rs`.
    PeerJs,
    /// Topics of y-webrtc; see `y_webrtc.rs`.
    YWebrtc,
    /// Topics of trystero; see `trystero.rs`.
    Trystero,
    /// Ephemeral events of Nostr; see `nostr.rs`.
    Nostr,
    /// Swarms of `WebTorrent`; see `tracker.rs`.
    Tracker,
    /// Groups of matchbox; see `matchbox.rs`.
    Matchbox,
    /// Groups of `RxDB`; see `rxdb.rs`.
    RxDb,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Self; 12] = [
        Self::Native,
        Self::Forum,
        Self::Lobby,
        Self::Http,
        Self::SocketIo,
        Self::PeerJs,
        Self::YWebrtc,
        Self::Trystero,
        Self::Nostr,
        Self::Tracker,
        Self::Matchbox,
        Self::RxDb,
    ];

    /// Returns the dialect with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name() == name)
    }

    /// Returns the dialect that the URL of a join names, whose clients use a WebSocket.
    #[must_use]
    pub fn in_url(name: &str) -> Option<Self> {
        Self::named(name).filter(|dialect| !dialect.is_stream())
    }

    /// Returns the name of the dialect in URLs and in stored text.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Forum => "forum",
            Self::Lobby => "lobby",
            Self::Http => "http",
            Self::SocketIo => "socketio",
            Self::PeerJs => "peerjs",
            Self::YWebrtc => "y-webrtc",
            Self::Trystero => "trystero",
            Self::Nostr => "nostr",
            Self::Tracker => "tracker",
            Self::Matchbox => "matchbox",
            Self::RxDb => "rxdb",
        }
    }

    /// Returns the family of the dialect: the clients of one family can meet in a room.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Native | Self::Forum | Self::Lobby | Self::Http | Self::SocketIo => Family::Party,
            Self::PeerJs => Family::PeerJs,
            Self::YWebrtc => Family::YWebrtc,
            Self::Trystero => Family::Trystero,
            Self::Nostr => Family::Nostr,
            Self::Tracker => Family::Tracker,
            Self::Matchbox => Family::Matchbox,
            Self::RxDb => Family::RxDb,
        }
    }

    /// Returns whether the server sends notices over an event stream. A client can resume a broken
    /// event stream, and an event stream has no close handshake. The other dialects use a
    /// WebSocket.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        matches!(self, Self::Http)
    }

    /// Returns whether a peer may return after a Close frame with this code. The peers of the other
    /// dialects leave when they send a Close frame. The Worker sends the Close frames of event streams
    /// and of Socket.IO clients, also when a client has lost its connection.
    #[must_use]
    pub const fn may_return(self, close_code: u16) -> bool {
        match self {
            Self::Http => true,
            Self::SocketIo => socketio::may_return(close_code),
            _ => false,
        }
    }

    /// Returns whether a refused join is answered over HTTP. These clients read no reason, and connect again
    /// at once after a WebSocket that was open. They wait only after one that did not open.
    #[must_use]
    pub const fn is_refused_over_http(self) -> bool {
        matches!(self, Self::YWebrtc | Self::RxDb)
    }

    /// Returns the signal types that this dialect reserves, in addition to the types that the room
    /// reserves in every dialect.
    const fn reserved(self) -> &'static [&'static str] {
        match self {
            Self::Native => native::RESERVED,
            Self::Forum => forum::RESERVED,
            Self::Lobby => lobby::RESERVED,
            Self::Http => http::RESERVED,
            Self::SocketIo => socketio::RESERVED,
            Self::PeerJs => peerjs::RESERVED,
            _ => &[],
        }
    }

    /// Returns whether clients of this dialect learn that the media server is in the room. The clients
    /// of the other dialects would send offers to it, so they first hear of it in its own offer.
    const fn shows_media_server(self) -> bool {
        matches!(self, Self::Native | Self::SocketIo)
    }

    /// Splits a text frame into its signals. A batch contains several signals. Any other frame is
    /// one signal.
    #[must_use]
    pub fn split_batch(self, text: &str) -> Vec<&str> {
        let signals = match self {
            Self::Native if text.len() <= MAX_FRAME => native::split_batch(text),
            _ => None,
        };
        signals.unwrap_or_else(|| vec![text])
    }

    /// Decodes a signal.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] if the frame has more than [`MAX_FRAME`] bytes. [`Code::Malformed`] if
    /// the text is not a frame of this dialect.
    pub fn decode(self, text: &str) -> Result<Signal<'_>, Refusal<'static>> {
        if text.len() > MAX_FRAME {
            return Err(Self::refuse_large());
        }
        let signal = match self {
            Self::Native => native::decode(text),
            Self::Forum => forum::decode(text),
            Self::Lobby => lobby::decode(text),
            Self::Http => http::decode(text),
            Self::SocketIo => socketio::decode(text),
            Self::PeerJs => peerjs::decode(text),
            _ => Err(Refusal::malformed("this dialect has no signals")),
        }?;
        let signal_type = &signal.signal_type;
        if signal_type.is_empty() || signal_type.len() > MAX_TYPE {
            let len = signal_type.len();
            return Err(Refusal::quoting(format!(
                "the signal type has {len} bytes, expected 1 to {MAX_TYPE}: `{signal_type}`"
            )));
        }
        Ok(signal)
    }

    /// Returns the refusal of a frame with more than [`MAX_FRAME`] bytes.
    #[must_use]
    pub fn refuse_large() -> Refusal<'static> {
        let message = format!(
            "the frame has more than {MAX_FRAME} bytes: send large data over a data channel"
        );
        Refusal::new(Code::TooLarge, message)
    }

    /// Returns the refusal of a binary frame of `len` bytes. No dialect has binary frames.
    #[must_use]
    pub fn refuse_binary(len: usize) -> Refusal<'static> {
        if len > MAX_FRAME {
            return Self::refuse_large();
        }
        Refusal::malformed(format!(
            "received a binary frame of {len} bytes, expected a text frame: send JSON as text"
        ))
    }

    /// Encodes a notice. In a dialect with an event stream, the notice gets the event id.
    #[must_use]
    pub fn encode(self, notice: &Notice<'_>, event_id: Option<u64>) -> Encoded {
        if let Notice::Signal(signal) = notice
            && self.reserved().contains(&&*signal.signal_type)
            && !signal.from.is_media_server()
        {
            return Encoded::Reserved;
        }
        if !self.shows_media_server() && is_about_media_server(notice) {
            return Encoded::Frames(Vec::new());
        }
        Encoded::Frames(match self {
            Self::Native => native::encode(notice),
            Self::Forum => forum::encode(notice),
            Self::Lobby => lobby::encode(notice),
            Self::Http => http::encode(notice, event_id),
            Self::SocketIo => socketio::encode(notice),
            Self::PeerJs => peerjs::encode(notice),
            // A client of topics receives no notices of a room.
            _ => Vec::new(),
        })
    }

    /// Decodes a request about topics.
    ///
    /// # Errors
    ///
    /// [`Code::TooLarge`] if the frame has more than [`MAX_FRAME`] bytes. [`Code::Malformed`] if the
    /// text is not a frame of this dialect, or if the dialect has no topics.
    pub fn decode_call(self, text: &str) -> Result<Call<'_>, Refusal<'static>> {
        if text.len() > MAX_FRAME {
            return Err(Self::refuse_large());
        }
        match self {
            Self::YWebrtc => y_webrtc::decode(text),
            Self::Trystero => trystero::decode(text),
            Self::Nostr => nostr::decode(text),
            Self::Tracker => tracker::decode(text),
            Self::Matchbox => matchbox::decode(text),
            Self::RxDb => rxdb::decode(text),
            _ => Err(Refusal::malformed("this dialect has no topics")),
        }
    }

    /// Returns the group that a client enters when it connects, if the dialect has such groups. `size`:
    /// the size in its URL.
    #[must_use]
    pub fn group(self, size: Option<usize>) -> Option<Group> {
        (self == Self::Matchbox).then(|| size.map_or(Group::Common, Group::OfSize))
    }

    /// Encodes a notice to clients of topics.
    #[must_use]
    pub fn encode_topic_notice(self, notice: &topics::Notice) -> Vec<String> {
        match self {
            Self::YWebrtc => y_webrtc::encode(notice),
            Self::Trystero => trystero::encode(notice),
            Self::Nostr => nostr::encode(notice),
            Self::Tracker => tracker::encode(notice),
            Self::Matchbox => matchbox::encode(notice),
            Self::RxDb => rxdb::encode(notice),
            _ => Vec::new(),
        }
    }

    /// Encodes the refusal of a join over a WebSocket, which is then closed.
    #[must_use]
    pub fn encode_rejection(self, refusal: Refusal<'_>) -> Vec<String> {
        match self {
            Self::SocketIo => vec![socketio::encode_rejection(&refusal)],
            Self::PeerJs => vec![peerjs::encode_rejection(&refusal)],
            _ if self.family().has_topics() => {
                self.encode_topic_notice(&topics::Notice::Refused(refusal.into_owned()))
            }
            _ => match self.encode(&Notice::Refused(refusal), None) {
                Encoded::Frames(frames) => frames,
                Encoded::Reserved => Vec::new(),
            },
        }
    }
}

/// Returns whether a notice reports the presence of the media server, or the state of its session.
fn is_about_media_server(notice: &Notice<'_>) -> bool {
    match notice {
        Notice::Joined { id, .. } | Notice::Left { id, .. } => id.is_media_server(),
        Notice::Signal(signal) => signal.signal_type == STATE_TYPE && signal.from.is_media_server(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::notice::RoutedSignal;
    use crate::core::peer::PeerId;

    #[test]
    fn a_signal_type_has_1_to_64_bytes_in_every_dialect() {
        for (dialect, frame) in [
            (Dialect::Native, |signal_type: &str| {
                format!(r#"{{"type":"{signal_type}"}}"#)
            }),
            (Dialect::Forum, |signal_type: &str| {
                format!(r#"{{"action":"forward-{signal_type}","{signal_type}":1}}"#)
            }),
            (Dialect::Lobby, |signal_type: &str| {
                format!(r#"{{"{signal_type}":1}}"#)
            }),
            (Dialect::Http, |signal_type: &str| {
                format!(r#"{{"type":"{signal_type}"}}"#)
            }),
            (Dialect::SocketIo, |signal_type: &str| {
                format!(r#"2["{signal_type}"]"#)
            }),
        ] as [(Dialect, fn(&str) -> String); 5]
        {
            let fits = |signal_type: &str| dialect.decode(&frame(signal_type)).is_ok();
            assert!(fits("x") && fits(&"x".repeat(64)), "{dialect:?}");
            assert!(!fits("") && !fits(&"x".repeat(65)), "{dialect:?}");
        }
    }

    #[test]
    fn a_signal_with_a_reserved_type_is_not_encoded() {
        let with_signals = Dialect::ALL.into_iter();
        for dialect in with_signals.filter(|dialect| !dialect.family().has_topics()) {
            let encode = |signal_type: &str| {
                let notice = Notice::Signal(RoutedSignal {
                    from: PeerId::parse("ann").unwrap(),
                    to: None,
                    signal_type: signal_type.to_owned().into(),
                    payload: None,
                });
                dialect.encode(&notice, None)
            };
            assert!(matches!(encode("offer"), Encoded::Frames(frames) if frames.len() == 1));
            for reserved in dialect.reserved() {
                assert_eq!(
                    encode(reserved),
                    Encoded::Reserved,
                    "{dialect:?}: {reserved}"
                );
            }
        }
    }

    #[test]
    fn a_dialect_is_found_by_its_name() {
        for dialect in Dialect::ALL {
            assert_eq!(Dialect::named(dialect.name()), Some(dialect));
        }
    }
}
