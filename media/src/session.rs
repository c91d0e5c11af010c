//! One session: the WebRTC connection to one endpoint, the tracks that it publishes, and the tracks
//! that it receives.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::crypto::CryptoProvider;
use str0m::format::PayloadParams;
use str0m::media::{KeyframeRequestKind, MediaData, Mid, Pt, Rid};
use str0m::net::{Receive, Transmit};
use str0m::{Candidate, Event, Input, Output, Rtc, RtcConfig, RtcError};

use crate::forward::{Decision, Publication, Subscription};
use crate::negotiate::Pending;

/// The maximum number of timeouts of a session at the same time. A session that still asks for a
/// timeout then has to wait until the next event.
const MAX_TIMEOUTS: usize = 20;

/// The random id of a session: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(u128);

impl SessionId {
    /// Creates a random id, which nobody can guess.
    ///
    /// # Panics
    ///
    /// If the operating system has no random numbers.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(u128::from_ne_bytes(random_bytes()))
    }

    /// Reads the 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        valid
            .then(|| u128::from_str_radix(text, 16).ok().map(Self))
            .flatten()
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[allow(clippy::expect_used)]
fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the operating system has random numbers");
    bytes
}

/// The connection to one endpoint. After each call that changes `rtc`, [`Self::drain`] has to
/// follow.
pub struct Session {
    pub(crate) rtc: Rtc,
    /// Time of the creation, or of the last call of the API.
    pub used: Instant,
    /// Start of the time without an open track. `None` while there is one.
    pub idle: Option<Instant>,
    /// Time of the last valid datagram. `None` before the first.
    pub last_received: Option<Instant>,
    /// Whether the DTLS handshake is complete.
    pub connected: bool,
    /// The server's offer that the client has not answered.
    pub pending: Option<Pending>,
    /// The published tracks by media section.
    pub published: BTreeMap<Mid, Publication>,
    /// The received tracks by media section.
    pub subscribed: BTreeMap<Mid, Subscription>,
    /// The start of the current second and the number of calls in it.
    pub calls: (Instant, u32),
}

/// The datagrams that a session sends, and the events that it received.
#[derive(Default)]
pub struct Outbox {
    /// Datagrams for the network.
    pub transmits: Vec<Transmit>,
    /// Events of the library.
    pub events: Vec<Event>,
}

impl Session {
    /// Creates a session that is reachable at an address. Returns `None` if the address cannot be a
    /// candidate, such as `0.0.0.0`.
    pub fn new(
        address: std::net::SocketAddr,
        crypto: &Arc<CryptoProvider>,
        now: Instant,
    ) -> Option<Self> {
        let mut rtc = RtcConfig::new()
            .set_crypto_provider(Arc::clone(crypto))
            .set_ice_lite(true) // the server only answers connectivity checks: its address is known
            .clear_codecs()
            .enable_opus(true, false)
            .enable_pcmu(true, false)
            .enable_pcma(true, false)
            .enable_vp8(true)
            .enable_h264(true)
            .enable_vp9(true)
            .enable_av1(true)
            .build(now);
        rtc.add_local_candidate(Candidate::host(address, "udp").ok()?);
        Some(Self {
            rtc,
            used: now,
            idle: Some(now),
            last_received: None,
            connected: false,
            pending: None,
            published: BTreeMap::new(),
            subscribed: BTreeMap::new(),
            calls: (now, 0),
        })
    }

    /// Returns the part of the ICE credentials by which the client addresses this session.
    pub fn ufrag(&mut self) -> String {
        self.rtc.direct_api().local_ice_credentials().ufrag
    }

    /// Returns whether the session can still be used.
    pub fn is_alive(&self) -> bool {
        self.rtc.is_alive()
    }

    /// Handles a datagram. Returns whether the session accepted it.
    pub fn receive(&mut self, receive: Receive<'_>, now: Instant) -> bool {
        let input = Input::Receive(now, receive);
        if !self.rtc.accepts(&input) {
            return false;
        }
        self.last_received = Some(now);
        // Anybody can forge a datagram from this address, so an error must not end the session.
        if let Err(error) = self.rtc.handle_input(input) {
            tracing::debug!(%error, "a datagram was dropped");
        }
        true
    }

    /// Moves the output of the library into `outbox`. Returns the time at which the library needs
    /// the next call.
    ///
    /// # Errors
    ///
    /// If the connection is broken.
    pub fn drain(&mut self, outbox: &mut Outbox, now: Instant) -> Result<Instant, RtcError> {
        let mut timeouts = 0;
        loop {
            match self.rtc.poll_output()? {
                Output::Transmit(transmit) => outbox.transmits.push(transmit),
                Output::Event(event) => outbox.events.push(event),
                Output::Timeout(at) if at > now => return Ok(at),
                Output::Timeout(_) if timeouts == MAX_TIMEOUTS || !self.rtc.is_alive() => {
                    return Ok(now + Duration::from_millis(10));
                }
                Output::Timeout(_) => {
                    timeouts += 1;
                    self.rtc.handle_input(Input::Timeout(now))?;
                }
            }
        }
    }

    /// Notes whether the session has an open track.
    pub fn note_tracks(&mut self, now: Instant) {
        if self.open_tracks() == (0, 0) {
            self.idle.get_or_insert(now);
        } else {
            self.idle = None;
        }
    }

    /// Returns the number of open tracks that the session publishes, and of those that it receives.
    pub fn open_tracks(&self) -> (usize, usize) {
        let published = self.published.values().filter(|track| track.open);
        let received = self.subscribed.values().filter(|track| track.open);
        (published.count(), received.count())
    }

    /// Closes the connection: sends RTCP BYE and DTLS close.
    pub fn close(&mut self) {
        if self.rtc.close().is_err() {
            self.rtc.disconnect();
        }
    }

    /// Returns the payload type for a codec on a media section, if the client can decode it.
    pub fn payload_type(&mut self, mid: Mid, codec: PayloadParams) -> Option<Pt> {
        let writer = self.rtc.writer(mid)?;
        let pt = writer.match_params(codec)?;
        // `match_params` knows all codecs of the session, also those that the client refused for
        // this media section.
        writer
            .payload_params()
            .any(|params| params.pt() == pt)
            .then_some(pt)
    }

    /// Sends a frame of another session's track. Returns the decision of the subscription.
    pub fn forward(&mut self, mid: Mid, frame: &MediaData, live: &[Option<Rid>]) -> Decision {
        let Some(subscription) = self.subscribed.get_mut(&mid) else {
            return Decision::Drop;
        };
        let decision = subscription.decide(frame, live);
        let Decision::Send(time) = decision else {
            return decision;
        };
        let Some(pt) = self.payload_type(mid, frame.params) else {
            return Decision::Drop;
        };
        let Some(writer) = self.rtc.writer(mid) else {
            return Decision::Drop;
        };
        let writer = match frame.ext_vals.video_orientation {
            Some(orientation) => writer.video_orientation(orientation),
            None => writer.start_of_talkspurt(frame.audio_start_of_talk_spurt),
        };
        match writer.write(pt, frame.network_time, time, Arc::clone(&frame.data)) {
            Ok(()) => decision,
            Err(error) => {
                tracing::debug!(%error, "a frame was dropped");
                Decision::Drop
            }
        }
    }

    /// Returns whether a viewer of a published track waits for a key frame.
    pub fn wants_key_frame(&self) -> bool {
        self.published.values().any(Publication::wants_key_frame)
    }

    /// Requests the key frames that are due from the client, which publishes the tracks.
    pub fn request_key_frames(&mut self, now: Instant) {
        for (&mid, publication) in &mut self.published {
            for rid in publication.due_key_frames(now) {
                let Some(mut writer) = self.rtc.writer(mid) else {
                    continue;
                };
                let kind = if writer.is_request_keyframe_possible(KeyframeRequestKind::Pli) {
                    KeyframeRequestKind::Pli
                } else {
                    KeyframeRequestKind::Fir
                };
                if let Err(error) = writer.request_keyframe(rid, kind) {
                    tracing::debug!(%error, "a key frame could not be requested");
                }
            }
        }
    }
}
