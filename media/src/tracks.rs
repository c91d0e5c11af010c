//! The tracks that sessions publish and receive: how they begin and end.

use std::time::Instant;

use str0m::format::PayloadParams;
use str0m::media::Mid;

use crate::api::{ApiError, ErrorCode};
use crate::engine::Engine;
use crate::forward::Publication;
use crate::session::{Session, SessionId};

/// One track of a session, published or received: the session and the media section.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrackRef {
    /// The session.
    pub session: SessionId,
    /// The media section of the track in that session.
    pub mid: Mid,
}

impl Session {
    /// Publishes a track on a media section, unless the section is stopped.
    pub(crate) fn publish(&mut self, mid: Mid, name: String, now: Instant) {
        if let Some((kind, _)) = self.direction(mid) {
            self.published
                .insert(mid, Publication::new(name, kind, now));
        }
    }
}

impl Engine {
    /// Returns a published track, open or closed.
    pub(crate) fn publication(&self, track: TrackRef) -> Option<&Publication> {
        let session = self.sessions.get(&track.session)?;
        session.published.get(&track.mid)
    }

    /// As [`Self::publication`], to change the track.
    pub(crate) fn publication_mut(&mut self, track: TrackRef) -> Option<&mut Publication> {
        let session = self.sessions.get_mut(&track.session)?;
        session.published.get_mut(&track.mid)
    }

    /// Closes a track that a session publishes. Returns whether it was open.
    pub(crate) fn unpublish(&mut self, track: TrackRef) -> bool {
        let Some(publication) = self.publication_mut(track) else {
            return false;
        };
        let was_open = std::mem::replace(&mut publication.open, false);
        let viewers = self.viewers.remove(&track).unwrap_or_default();
        self.close_subscriptions(&viewers);
        was_open
    }

    /// Begins to forward a track to a session, whose subscription is on the list. Returns the
    /// reason if the client will not see the track.
    pub(crate) fn subscribe(
        &mut self,
        viewer: TrackRef,
        codec: Option<PayloadParams>,
        now: Instant,
    ) -> Option<ApiError> {
        let TrackRef { session: id, mid } = viewer;
        let refusal = self
            .step(id, now, |session| session.refusal(mid, codec))
            .flatten();
        let subscription = self.sessions.get_mut(&id)?.subscribed.get_mut(&mid)?;
        if refusal.is_some() {
            subscription.open = false;
            return refusal;
        }
        let source = subscription.source;
        if !self.publication(source).is_some_and(|track| track.open) {
            self.unsubscribe(viewer);
            let text = "The track has ended. Choose another track.";
            return Some(ApiError::new(ErrorCode::NotFoundTrackError, text));
        }
        self.viewers.entry(source).or_default().push(viewer);
        self.viewer_needs_key_frame(viewer, now);
        None
    }

    /// Closes a track that a session receives. Returns whether it was open.
    pub(crate) fn unsubscribe(&mut self, viewer: TrackRef) -> bool {
        let session = self.sessions.get_mut(&viewer.session);
        let Some(subscription) =
            session.and_then(|session| session.subscribed.get_mut(&viewer.mid))
        else {
            return false;
        };
        let was_open = std::mem::replace(&mut subscription.open, false);
        if let Some(viewers) = self.viewers.get_mut(&subscription.source) {
            viewers.retain(|other| *other != viewer);
        }
        was_open
    }

    /// Closes the subscriptions to a track that has ended.
    pub(crate) fn close_subscriptions(&mut self, viewers: &[TrackRef]) {
        for TrackRef { session, mid } in viewers {
            let session = self.sessions.get_mut(session);
            if let Some(subscription) = session.and_then(|session| session.subscribed.get_mut(mid))
            {
                subscription.open = false;
            }
        }
    }
}
