//! Forwards frames from publishers to viewers, and requests for key frames back.

use std::time::Instant;

use str0m::Event;
use str0m::media::MediaData;

use crate::engine::Engine;
use crate::forward::Decision;
use crate::session::SessionId;
use crate::tracks::TrackRef;

impl Engine {
    /// Handles events until there are none. One event can cause others in other sessions.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some((id, event)) = self.queue.pop_front() {
            match event {
                Event::MediaData(frame) => self.forward(id, &frame, now),
                Event::KeyframeRequest(request) => {
                    let mid = request.mid;
                    self.viewer_needs_key_frame(TrackRef { session: id, mid }, now);
                }
                Event::Connected => {
                    tracing::info!(session = %id, "session connected");
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.connected = true;
                        let mids: Vec<_> = session.subscribed.keys().copied().collect();
                        for mid in mids {
                            self.viewer_needs_key_frame(TrackRef { session: id, mid }, now);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends a frame of a track to all its viewers.
    fn forward(&mut self, source: SessionId, frame: &MediaData, now: Instant) {
        let published = TrackRef {
            session: source,
            mid: frame.mid,
        };
        let Some(track) = self.publication_mut(published) else {
            return;
        };
        if !track.receive(frame, now) {
            return;
        }
        let live = track.live_layers(now);
        let viewers = self.viewers.get(&published).cloned().unwrap_or_default();
        for TrackRef { session, mid } in viewers {
            match self.isolated(session, now, |session| session.forward(mid, frame, &live)) {
                Some(Decision::Send(_)) => self.frames_forwarded += 1,
                Some(Decision::AwaitKeyFrame) => {
                    if let Some(track) = self.publication_mut(published) {
                        track.want_key_frame(frame.rid);
                    }
                }
                Some(Decision::Drop) | None => {}
            }
        }
        self.request_key_frames(source, now);
    }

    /// Requests the key frames of a publisher's tracks that are wanted and due.
    pub(crate) fn request_key_frames(&mut self, source: SessionId, now: Instant) {
        let session = self.sessions.get(&source);
        if session.is_some_and(|session| session.wants_key_frame()) {
            self.isolated(source, now, |session| session.request_key_frames(now));
        }
    }

    /// Requests a key frame for a viewer from the publisher, now or after the shortest interval.
    pub(crate) fn viewer_needs_key_frame(&mut self, viewer: TrackRef, now: Instant) {
        let session = self.sessions.get(&viewer.session);
        let Some(subscription) = session.and_then(|session| session.subscribed.get(&viewer.mid))
        else {
            return;
        };
        let (source, layer) = (subscription.source, subscription.layer());
        if let Some(track) = self.publication_mut(source) {
            let layer = layer.or_else(|| track.live_layers(now).first().copied());
            track.want_key_frame(layer.flatten());
            self.request_key_frames(source.session, now);
        }
    }
}
