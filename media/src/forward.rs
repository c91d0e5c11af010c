//! The path of a track from its publisher to its viewers: the choice of the simulcast layer, the
//! media time, and the requests for key frames.

use std::time::{Duration, Instant};

use str0m::format::PayloadParams;
use str0m::media::{MediaData, MediaKind, MediaTime, Rid};

use crate::api::Simulcast;
use crate::tracks::TrackRef;

/// The minimum time between two requests for a key frame of the same layer. A key frame is many
/// times as large as another frame, so a thousand new viewers must not cause a thousand of them.
const KEY_FRAME_INTERVAL: Duration = Duration::from_millis(500);

/// A layer without a frame for this time counts as not sent. Browsers stop the large layers when
/// the network is slow.
const LAYER_TIMEOUT: Duration = Duration::from_secs(2);

/// The maximum number of simulcast layers of a track that are forwarded.
const MAX_LAYERS: usize = 8;

/// A track that a session publishes.
#[derive(Debug)]
pub struct Publication {
    /// The name, which is unique among the open tracks of the session.
    pub name: String,
    /// Audio or video.
    pub kind: MediaKind,
    /// Whether viewers can receive it. A closed track stays on the list as inactive.
    pub open: bool,
    /// The codec of the last frame. `None` until the first frame.
    pub codec: Option<PayloadParams>,
    /// Time of the last frame. Before the first frame: time of the negotiation.
    pub last_frame: Instant,
    layers: Vec<Layer>,
}

/// One encoding of a track. A track without simulcast has one layer, whose id is `None`.
#[derive(Debug)]
struct Layer {
    rid: Option<Rid>,
    last_frame: Instant,
    key_frame_wanted: bool,
    key_frame_asked: Option<Instant>,
}

impl Publication {
    /// Creates a track that was negotiated `now`.
    pub fn new(name: String, kind: MediaKind, now: Instant) -> Self {
        Self {
            name,
            kind,
            open: true,
            codec: None,
            last_frame: now,
            layers: Vec::new(),
        }
    }

    /// Notes a frame. Returns whether it can be forwarded.
    pub fn receive(&mut self, frame: &MediaData, now: Instant) -> bool {
        if !self.open {
            return false;
        }
        self.codec = Some(frame.params);
        self.last_frame = now;
        if let Some(layer) = self.layers.iter_mut().find(|layer| layer.rid == frame.rid) {
            layer.last_frame = now;
        } else if self.layers.len() < MAX_LAYERS {
            let layer = Layer {
                rid: frame.rid,
                last_frame: now,
                key_frame_wanted: false,
                key_frame_asked: None,
            };
            self.layers.push(layer);
            self.layers
                .sort_by_key(|layer| layer.rid.map(|rid| rid.to_string()));
        }
        if frame.is_keyframe() {
            // The publisher has just sent the key frame that viewers waited for.
            self.layers
                .iter_mut()
                .filter(|layer| layer.rid == frame.rid)
                .for_each(|layer| {
                    layer.key_frame_wanted = false;
                });
        } else if !frame.contiguous {
            // A frame before this one is lost. Decoders show errors until the next key frame.
            self.want_key_frame(frame.rid);
        }
        true
    }

    /// Notes that a viewer needs a key frame of a layer. [`Self::due_key_frames`] then returns it.
    pub fn want_key_frame(&mut self, rid: Option<Rid>) {
        if self.kind == MediaKind::Video {
            let wanted = self.layers.iter_mut().filter(|layer| layer.rid == rid);
            wanted.for_each(|layer| layer.key_frame_wanted = true);
        }
    }

    /// Returns whether a wanted key frame has not been requested yet.
    pub fn wants_key_frame(&self) -> bool {
        self.layers.iter().any(|layer| layer.key_frame_wanted)
    }

    /// Returns the layers of which a key frame has to be requested now, and notes the request.
    pub fn due_key_frames(&mut self, now: Instant) -> Vec<Option<Rid>> {
        let due = self.layers.iter_mut().filter(|layer| {
            layer.key_frame_wanted
                && layer
                    .key_frame_asked
                    .is_none_or(|asked| now >= asked + KEY_FRAME_INTERVAL)
        });
        due.map(|layer| {
            layer.key_frame_wanted = false;
            layer.key_frame_asked = Some(now);
            layer.rid
        })
        .collect()
    }

    /// Returns the ids of the layers that are being sent, in alphabetical order.
    pub fn live_layers(&self, now: Instant) -> Vec<Option<Rid>> {
        let live = self
            .layers
            .iter()
            .filter(|layer| now < layer.last_frame + LAYER_TIMEOUT);
        live.map(|layer| layer.rid).collect()
    }
}

/// A track that a session receives.
#[derive(Debug)]
pub struct Subscription {
    /// The published track.
    pub source: TrackRef,
    /// The name of the track.
    pub name: String,
    /// The wanted layer.
    pub simulcast: Option<Simulcast>,
    /// Whether frames are forwarded. A closed subscription stays on the list as inactive.
    pub open: bool,
    layer: Option<Option<Rid>>,
    clock: Clock,
}

/// The decision about a frame for one viewer.
#[derive(Debug, PartialEq)]
pub enum Decision {
    /// Send it with this media time.
    Send(MediaTime),
    /// Do not send it.
    Drop,
    /// Do not send it, and request a key frame of its layer, to which the viewer can then change.
    AwaitKeyFrame,
}

impl Subscription {
    /// Creates a subscription to a track.
    pub fn new(source: TrackRef, name: String, simulcast: Option<Simulcast>) -> Self {
        Self {
            source,
            name,
            simulcast,
            open: true,
            layer: None,
            clock: Clock::default(),
        }
    }

    /// Changes the source. The media time that the viewer sees continues without a gap.
    pub fn change_source(&mut self, source: TrackRef, name: String) {
        (self.source, self.name) = (source, name);
        self.open = true;
        self.layer = None;
    }

    /// Returns the layer that the viewer receives, or `None` before the first frame.
    pub fn layer(&self) -> Option<Option<Rid>> {
        self.layer
    }

    /// Decides about a frame of the source. `live` is the list of layers that are being sent.
    pub fn decide(&mut self, frame: &MediaData, live: &[Option<Rid>]) -> Decision {
        if !self.open {
            return Decision::Drop;
        }
        let wanted = self.wanted_layer(live);
        let changing = self.layer != wanted;
        if Some(frame.rid) == wanted && changing {
            // Within a stream of video, only a key frame can be decoded without the frames before.
            if self.layer.is_some() && frame.params.spec().codec.is_video() && !frame.is_keyframe()
            {
                return Decision::AwaitKeyFrame;
            }
            self.layer = wanted;
            self.clock.change_source();
        }
        if self.layer != Some(frame.rid) {
            return Decision::Drop;
        }
        Decision::Send(self.clock.translate(frame.time, frame.network_time))
    }

    /// Returns the layer that the viewer should receive.
    fn wanted_layer(&self, live: &[Option<Rid>]) -> Option<Option<Rid>> {
        let first = live.first().copied();
        let Some(simulcast) = &self.simulcast else {
            // Keep a layer for as long as it is sent, so that viewers do not change back and forth.
            return self.layer.filter(|layer| live.contains(layer)).or(first);
        };
        let preferred = simulcast.preferred_rid.as_deref();
        let found = live.iter().find(|rid| rid.as_deref() == preferred).copied();
        let plain = live == [None]; // the publisher uses no simulcast
        match found {
            Some(rid) => Some(rid),
            None if plain || preferred.is_none() => first,
            None if simulcast.rid_not_available.as_deref() == Some("asciibetical") => first,
            None => self.layer,
        }
    }
}

/// Translates the media time of changing sources into one that never goes back.
#[derive(Debug, Default)]
struct Clock {
    changed: bool,
    offset: u64,
    last: Option<(MediaTime, Instant)>,
}

impl Clock {
    fn change_source(&mut self) {
        self.changed = true;
    }

    /// Returns the time to send for a frame of the source with this time and time of arrival.
    fn translate(&mut self, time: MediaTime, arrival: Instant) -> MediaTime {
        if let (true, Some((last, last_arrival))) = (self.changed, self.last) {
            let gap = arrival
                .saturating_duration_since(last_arrival)
                .max(Duration::from_millis(1));
            let gap = MediaTime::from(gap).rebase(time.frequency()).numer();
            let next = last.rebase(time.frequency()).numer().wrapping_add(gap);
            // Wraps below zero if the clock of the new source is ahead. Adding wraps back.
            self.offset = next.wrapping_sub(time.numer());
        }
        self.changed = false;
        let translated = MediaTime::new(time.numer().wrapping_add(self.offset), time.frequency());
        self.last = Some((translated, arrival));
        translated
    }
}

#[cfg(test)]
mod tests {
    use str0m::media::Mid;

    use super::*;
    use crate::session::SessionId;

    #[test]
    fn the_media_time_continues_when_the_source_changes() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut clock = Clock::default();
        clock.change_source();
        let first = clock.translate(MediaTime::from_90khz(900_000), at(0));
        assert_eq!(first.numer(), 900_000);
        // 20 ms later, a source whose clock is behind.
        clock.change_source();
        assert_eq!(
            clock
                .translate(MediaTime::from_90khz(5_000), at(20))
                .numer(),
            901_800
        );
        assert_eq!(
            clock
                .translate(MediaTime::from_90khz(6_800), at(40))
                .numer(),
            903_600
        );
        // And one whose clock is ahead.
        clock.change_source();
        assert_eq!(
            clock
                .translate(MediaTime::from_90khz(4_000_000_000), at(60))
                .numer(),
            905_400
        );
    }

    #[test]
    fn the_wanted_layer_follows_the_preference_and_the_live_layers() {
        let rid = |name: &str| Some(Rid::from(name));
        let (f, h) = (rid("f"), rid("h"));
        let wanted = |simulcast: Option<Simulcast>, current, live: &[Option<Rid>]| {
            let source = TrackRef {
                session: SessionId::new(),
                mid: Mid::new(),
            };
            let mut subscription = Subscription::new(source, "cam".into(), simulcast);
            subscription.layer = current;
            subscription.wanted_layer(live)
        };
        let prefer = |preferred: Option<&str>, otherwise: Option<&str>| {
            Some(Simulcast {
                preferred_rid: preferred.map(String::from),
                rid_not_available: otherwise.map(String::from),
                priority_ordering: None,
            })
        };
        assert_eq!(wanted(None, None, &[f, h]), Some(f));
        assert_eq!(
            wanted(None, Some(h), &[f, h]),
            Some(h),
            "no change without a reason"
        );
        assert_eq!(wanted(None, Some(h), &[f]), Some(f));
        assert_eq!(wanted(prefer(Some("h"), None), Some(f), &[f, h]), Some(h));
        assert_eq!(wanted(prefer(Some("h"), None), Some(f), &[f]), Some(f));
        assert_eq!(wanted(prefer(Some("q"), None), None, &[f, h]), None);
        assert_eq!(
            wanted(prefer(Some("q"), Some("asciibetical")), None, &[f, h]),
            Some(f)
        );
        assert_eq!(wanted(prefer(Some("q"), None), None, &[None]), Some(None));
        assert_eq!(wanted(prefer(None, None), None, &[f, h]), Some(f));
    }

    #[test]
    fn key_frames_are_requested_at_most_twice_a_second() {
        let start = Instant::now();
        let mut track = Publication::new("cam".into(), MediaKind::Video, start);
        track.layers.push(Layer {
            rid: None,
            last_frame: start,
            key_frame_wanted: false,
            key_frame_asked: None,
        });
        assert!(track.due_key_frames(start).is_empty());
        track.want_key_frame(None);
        assert_eq!(track.due_key_frames(start), [None]);
        track.want_key_frame(None);
        assert!(
            track
                .due_key_frames(start + Duration::from_millis(400))
                .is_empty()
        );
        assert_eq!(
            track.due_key_frames(start + Duration::from_millis(500)),
            [None]
        );
        assert!(
            track
                .due_key_frames(start + Duration::from_secs(9))
                .is_empty()
        );
    }
}
