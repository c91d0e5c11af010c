//! Forwards frames from publishers to viewers, and requests for key frames back.

use std::time::Instant;

use str0m::Event;
use str0m::media::{MediaData, Mid};

use crate::engine::Engine;
use crate::forward::Decision;
use crate::session::SessionId;

impl Engine {
    /// Handles events until there are none. One event can cause others in other sessions.
    pub(crate) fn settle(&mut self, now: Instant) {
        while let Some((id, event)) = self.queue.pop_front() {
            match event {
                Event::MediaData(frame) => self.forward(id, &frame, now),
                Event::KeyframeRequest(request) => {
                    self.viewer_needs_key_frame(id, request.mid, now)
                }
                Event::Connected => {
                    tracing::info!(session = %id, "session connected");
                    if let Some(session) = self.sessions.get_mut(&id) {
                        session.connected = true;
                        let mids: Vec<_> = session.subscribed.keys().copied().collect();
                        mids.iter()
                            .for_each(|mid| self.viewer_needs_key_frame(id, *mid, now));
                    }
                }
                _ => {}
            }
        }
    }

    /// Sends a frame of a track to all its viewers.
    fn forward(&mut self, source: SessionId, frame: &MediaData, now: Instant) {
        let Some(session) = self.sessions.get_mut(&source) else {
            return;
        };
        let Some(track) = session.published.get_mut(&frame.mid) else {
            return;
        };
        if !track.receive(frame, now) {
            return;
        }
        let live = track.live_layers(now);
        let viewers = self
            .viewers
            .get(&(source, frame.mid))
            .cloned()
            .unwrap_or_default();
        for (viewer, mid) in viewers {
            match self.isolated(viewer, now, |session| session.forward(mid, frame, &live)) {
                Some(Decision::Send(_)) => self.frames_forwarded += 1,
                Some(Decision::AwaitKeyFrame) => {
                    if let Some(session) = self.sessions.get_mut(&source)
                        && let Some(track) = session.published.get_mut(&frame.mid)
                    {
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
    pub(crate) fn viewer_needs_key_frame(&mut self, viewer: SessionId, mid: Mid, now: Instant) {
        let session = self.sessions.get(&viewer);
        let Some(subscription) = session.and_then(|session| session.subscribed.get(&mid)) else {
            return;
        };
        let (source, source_mid) = (subscription.source, subscription.source_mid);
        let layer = subscription.layer();
        let session = self.sessions.get_mut(&source);
        if let Some(track) = session.and_then(|session| session.published.get_mut(&source_mid)) {
            let layer = layer.or_else(|| track.live_layers(now).first().copied());
            track.want_key_frame(layer.flatten());
            self.request_key_frames(source, now);
        }
    }
}
