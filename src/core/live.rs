//! Live sessions: a media server relays the tracks of one peer, the device, to all other peers, the
//! viewers.
//!
//! The media server takes part in the room as the peer [`MEDIA_SERVER`]. It makes every offer. The room
//! controls it with [`MediaCall`]s, which the shell sends as HTTP requests.

use std::fmt;
use std::rc::Rc;

#[cfg(doc)]
use super::peer::MEDIA_SERVER;
use super::peer::{PeerId, Time};

/// The type of the signals in which the media server reports the [`LiveState`] state of its session.
pub const STATE_TYPE: &str = "live";

/// The id of a session at the media server. Each peer has a session of its own, which corresponds to
/// its `RTCPeerConnection`.
pub type MediaSession = Rc<str>;

/// A live session as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveSession {
    /// The id of the peer whose tracks are relayed.
    pub device: PeerId,
    /// The tracks for which the device is asked.
    pub tracks: Tracks,
    /// The time at which the session ends.
    pub expires_at: Time,
    /// Whether the media server has the tracks of the device.
    pub state: LiveState,
}

/// Whether the media server has the tracks of the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveState {
    /// The device has not answered its first offer.
    Waiting,
    /// The media server has the tracks.
    Live {
        /// The session of the device at the media server.
        session: MediaSession,
        /// The tracks that the device sends.
        tracks: Tracks,
        /// The `mid`s of the tracks, which are needed to close them.
        mids: Vec<Rc<str>>,
        /// Whether the device certainly sends these tracks.
        source: Source,
    },
    /// The tracks of the device have ended.
    Away,
}

/// Whether the device of a live stream certainly sends its tracks. Otherwise, the room asks the media
/// server from a point in time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The device is connected.
    Certain,
    /// The device is in the room, but it has joined or begun again, and may have lost its tracks.
    InDoubt(Time),
    /// The device has left the room. Its tracks may continue without it.
    Left(Time),
}

impl LiveState {
    /// Returns the name of the state on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Live { .. } => "live",
            Self::Away => "away",
        }
    }
}

/// A set of tracks. A device sends at most one track of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    /// Whether the set contains the audio track.
    pub audio: bool,
    /// Whether the set contains the video track.
    pub video: bool,
}

impl Tracks {
    /// Both tracks.
    pub const ALL: Self = Self {
        audio: true,
        video: true,
    };

    /// Returns the kinds of the tracks, which are also their names at the media server.
    pub fn kinds(self) -> impl Iterator<Item = &'static str> {
        let kinds = [("audio", self.audio), ("video", self.video)];
        kinds
            .into_iter()
            .filter_map(|(kind, is_in)| is_in.then_some(kind))
    }

    /// Reads a set from its kinds. Returns `None` for any other name.
    #[must_use]
    pub fn from_kinds<'a>(kinds: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut tracks = Self::default();
        for kind in kinds {
            match kind {
                "audio" => tracks.audio = true,
                "video" => tracks.video = true,
                _ => return None,
            }
        }
        Some(tracks)
    }

    /// Reads the text form: the kinds, separated by commas, or `-` for the empty set.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "-" => Some(Self::default()),
            kinds => Self::from_kinds(kinds.split(',')),
        }
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        !self.audio && !self.video
    }
}

impl fmt::Display for Tracks {
    /// Writes the text form, which [`Self::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.audio, self.video) {
            (true, true) => "audio,video",
            (true, false) => "audio",
            (false, true) => "video",
            (false, false) => "-",
        })
    }
}

/// The state of one peer's connection to the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// The session of the peer. `None` until the media server has created it.
    pub session: Option<MediaSession>,
    /// The `mid`s of the tracks in the session, which are needed to close the tracks.
    pub mids: Vec<Rc<str>>,
    /// The progress of the connection.
    pub stage: Stage,
    /// The number of consecutive failures, which determines the delay of the next attempt.
    pub failures: u32,
}

/// The progress of one peer's connection to the media server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The peer needs a session. The first call may begin at this time.
    Wanted(Time),
    /// A call is in progress.
    Calling {
        /// The number of the call.
        call: u64,
        /// The time after which the result of the call no longer arrives, because the room was
        /// restarted during the call.
        until: Time,
    },
    /// The peer has an offer and has not answered it.
    Offered,
    /// The media server has accepted the peer's answer.
    Connected,
}

/// A request to the media server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MediaCall {
    /// Create a session.
    Open,
    /// Offer to receive tracks from the device.
    Publish {
        /// The session of the device.
        session: MediaSession,
        /// The tracks for which the device is asked.
        tracks: Tracks,
    },
    /// Offer to send the tracks of the device to a viewer.
    Pull {
        /// The session of the viewer.
        session: MediaSession,
        /// The session of the device.
        device: MediaSession,
        /// The tracks of the device.
        tracks: Tracks,
    },
    /// Pass on the answer of a peer.
    Answer {
        /// The session of the peer.
        session: MediaSession,
        /// The payload of the peer's signal: `{"type":"answer","sdp":"…","session":"…"}` as JSON
        /// text. `session` is optional, and must be the session of the offer.
        payload: String,
    },
    /// Close all tracks of a session.
    Close {
        /// The session.
        session: MediaSession,
        /// The `mid`s of its tracks.
        mids: Vec<Rc<str>>,
    },
    /// Ask whether the tracks of a session are active.
    Check {
        /// The session.
        session: MediaSession,
    },
}

impl MediaCall {
    /// Returns the session that the call concerns. `None` if the call creates it.
    #[must_use]
    pub const fn session(&self) -> Option<&MediaSession> {
        match self {
            Self::Open => None,
            Self::Publish { session, .. }
            | Self::Pull { session, .. }
            | Self::Answer { session, .. }
            | Self::Close { session, .. }
            | Self::Check { session } => Some(session),
        }
    }
}

/// The result of a [`MediaCall`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// [`MediaCall::Open`] created this session.
    Opened(MediaSession),
    /// The media server makes an offer, after [`MediaCall::Publish`] or [`MediaCall::Pull`].
    Offered {
        /// The offer as JSON text: `{"type":"offer","sdp":"…","session":"…"}`.
        payload: String,
        /// The `mid`s of the offered tracks.
        mids: Vec<Rc<str>>,
    },
    /// The media server accepted the answer of the peer.
    Answered {
        /// The tracks that the answer accepts.
        accepted: Tracks,
        /// The offered tracks that the answer rejects, because the client supports none of their
        /// codecs.
        rejected: Tracks,
    },
    /// [`MediaCall::Close`] succeeded.
    Closed,
    /// The result of [`MediaCall::Check`]: whether any track is active.
    Seen {
        /// Whether any track of the session is active.
        is_active: bool,
    },
    /// The answer of the peer is invalid. The message says what is wrong, what is expected, and what
    /// to do next.
    Invalid(String),
    /// The device does not send yet, or the session is not connected yet: try again soon.
    NotReady,
    /// The session has ended.
    Gone,
    /// The media server failed, or did not respond in time. The message is for the log.
    Unavailable(String),
}

/// A request of the back end about the live session of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveRequest {
    /// Create the session. If the same session exists, only its end changes.
    Create {
        /// The id of the device.
        device: PeerId,
        /// The tracks for which the device is asked.
        tracks: Tracks,
        /// The time at which the session ends.
        expires_at: Time,
    },
    /// Return the status of the session.
    Status,
    /// End the session.
    Stop,
}

/// The reply to a [`LiveRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveStatus {
    /// The name of the [`LiveState`].
    pub state: &'static str,
    /// The number of viewers in the room.
    pub viewers: usize,
    /// Whether the request created the session.
    pub is_new: bool,
}
