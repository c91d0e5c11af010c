//! The calls that change tracks: `renegotiate`, `tracks/update` and `tracks/close`.

use std::time::Instant;

use serde_json::{Value, json};
use str0m::media::Mid;

use super::{Stop, gone, invalid_params};
use crate::api::{
    ApiError, CloseRequest, ErrorCode, MAX_TRACKS, RenegotiateRequest, SdpType, SessionDescription,
    TrackReply, TrackRequest, TracksReply, TracksRequest,
};
use crate::engine::Engine;
use crate::session::SessionId;
use crate::tracks::TrackRef;

impl Engine {
    pub(super) fn renegotiate(
        &mut self,
        id: SessionId,
        request: &RenegotiateRequest,
        now: Instant,
    ) -> Result<Value, ApiError> {
        let description = &request.session_description;
        if description.kind != SdpType::Answer {
            return Err(invalid_params(
                "renegotiate expects a sessionDescription of type answer.",
            ));
        }
        let plan = self.try_step(id, now, |session| session.accept_answer(&description.sdp))?;
        let mut failed = Vec::new();
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        for (mid, name) in plan.publish {
            if session
                .direction(mid)
                .is_some_and(|(_, direction)| direction.is_receiving())
            {
                session.publish(mid, name, now);
            } else {
                let error = "The client refused to send on this mid. Call tracks/new again, and \
                             answer with a direction that sends.";
                let error = ApiError::new(ErrorCode::InvalidSessionDescription, error);
                failed.push(reply_for(mid, None, &name, error));
            }
        }
        for (mid, subscription) in plan.subscribe {
            let (source, name) = (subscription.source, subscription.name.clone());
            let codec = self.publication(source).and_then(|track| track.codec);
            let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
            session.subscribed.insert(mid, subscription);
            let viewer = TrackRef { session: id, mid };
            if let Some(error) = self.subscribe(viewer, codec, now) {
                failed.push(reply_for(mid, Some(source.session), &name, error));
            }
        }
        Ok(if failed.is_empty() {
            json!({})
        } else {
            json!({ "tracks": failed })
        })
    }

    pub(super) fn update_tracks(
        &mut self,
        id: SessionId,
        request: &TracksRequest,
        now: Instant,
    ) -> Result<TracksReply, ApiError> {
        check_count(&request.tracks)?;
        let mut tracks = Vec::new();
        for track in &request.tracks {
            let error = self.update_track(id, track, now).err();
            tracks.push(TrackReply {
                mid: track.mid.clone(),
                session_id: track.session_id.clone(),
                track_name: track.track_name.clone(),
                simulcast: track.simulcast.clone(),
                error,
                ..TrackReply::default()
            });
        }
        Ok(TracksReply {
            tracks,
            ..TracksReply::default()
        })
    }

    fn update_track(
        &mut self,
        id: SessionId,
        track: &TrackRequest,
        now: Instant,
    ) -> Result<(), ApiError> {
        let error = |text: &str| ApiError::new(ErrorCode::UpdateTrackError, text);
        let mid = Mid::from(track.mid.as_deref().unwrap_or_default());
        let source = match self.source(track) {
            Ok(source) => Some(source),
            Err(_) if track.track_name.is_none() => None, // only the layer changes
            Err(Stop::Wait(error) | Stop::Fail(error)) => return Err(error),
        };
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        let kind = session.direction(mid).map(|(kind, _)| kind);
        let subscription = session.subscribed.get_mut(&mid);
        let subscription = subscription.ok_or_else(|| {
            error("The session receives no track on this mid. Call tracks/new first.")
        })?;
        if let Some(simulcast) = &track.simulcast {
            subscription.simulcast = Some(simulcast.clone());
        }
        let Some(source) = source else { return Ok(()) };
        if kind != Some(source.kind) {
            return Err(error(
                "The new track has another kind than the media section. Choose a section of its \
                 kind.",
            ));
        }
        if subscription.open && subscription.source == source.track {
            return Ok(());
        }
        let viewer = TrackRef { session: id, mid };
        self.unsubscribe(viewer);
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if let Some(subscription) = session.subscribed.get_mut(&mid) {
            let name = track.track_name.clone().unwrap_or_default();
            subscription.change_source(source.track, name);
        }
        self.subscribe(viewer, source.codec, now)
            .map_or(Ok(()), Err)
    }

    pub(super) fn close_tracks(
        &mut self,
        id: SessionId,
        request: &CloseRequest,
        now: Instant,
    ) -> Result<TracksReply, ApiError> {
        check_count(&request.tracks)?;
        let description = match &request.session_description {
            None if !request.force => {
                return Err(invalid_params(
                    "With force false, sessionDescription needs the client's offer.",
                ));
            }
            description => description.as_ref().filter(|_| !request.force),
        };
        let mut tracks = Vec::new();
        for track in &request.tracks {
            let mid = Mid::from(track.mid.as_deref().unwrap_or_default());
            let planned = self.unplan(id, mid);
            let track_ref = TrackRef { session: id, mid };
            let published = self.unpublish(track_ref);
            let closed = self.unsubscribe(track_ref) || published || planned;
            let text =
                "The session has no open track on this mid. GET the session to list its tracks.";
            tracks.push(TrackReply {
                mid: track.mid.clone(),
                error: (!closed).then(|| ApiError::new(ErrorCode::CloseTrackError, text)),
                ..TrackReply::default()
            });
        }
        let session_description = match description {
            None => None,
            Some(description) => {
                let sdp = self.answer(id, description, now)?;
                Some(SessionDescription {
                    kind: SdpType::Answer,
                    sdp,
                })
            }
        };
        Ok(TracksReply {
            requires_immediate_renegotiation: false,
            session_description,
            tracks,
        })
    }

    /// Takes a track out of the plan of an offer that has no answer yet. Returns whether it was in.
    fn unplan(&mut self, id: SessionId, mid: Mid) -> bool {
        let pending = self
            .sessions
            .get_mut(&id)
            .and_then(|session| session.pending.as_mut());
        let Some(plan) = pending.map(|pending| &mut pending.plan) else {
            return false;
        };
        let before = plan.publish.len() + plan.subscribe.len();
        plan.publish.retain(|(other, _)| *other != mid);
        plan.subscribe.retain(|(other, _)| *other != mid);
        plan.publish.len() + plan.subscribe.len() < before
    }
}

fn check_count(tracks: &[TrackRequest]) -> Result<(), ApiError> {
    if (1..=MAX_TRACKS).contains(&tracks.len()) {
        return Ok(());
    }
    Err(invalid_params(format!(
        "tracks has {} entries: expected 1 to {MAX_TRACKS}.",
        tracks.len()
    )))
}

fn reply_for(mid: Mid, source: Option<SessionId>, name: &str, error: ApiError) -> TrackReply {
    TrackReply {
        mid: Some(mid.to_string()),
        session_id: source.map(|id| id.to_string()),
        track_name: Some(name.to_owned()),
        error: Some(error),
        ..TrackReply::default()
    }
}
