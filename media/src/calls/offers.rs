//! `tracks/new`: the exchange of SDP, with the offer of the client or of the server.

use std::time::Instant;

use str0m::media::{MediaKind, Mid};

use super::new_tracks::Source;
use super::{gone, invalid_params};
use crate::api::{
    ApiError, Kind, MAX_TRACKS, SdpType, SessionDescription, TrackReply, TrackRequest,
    TracksRequest,
};
use crate::engine::Engine;
use crate::forward::Subscription;
use crate::negotiate::{Plan, sections};
use crate::session::{Session, SessionId};
use crate::tracks::TrackRef;

impl Engine {
    /// Answers the client's offer.
    pub(super) fn take_offer(
        &mut self,
        id: SessionId,
        request: &TracksRequest,
        description: &SessionDescription,
        sources: &[Option<Source>],
        replies: &mut Vec<TrackReply>,
        now: Instant,
    ) -> Result<(bool, Option<SessionDescription>), ApiError> {
        let answer = self.answer(id, description, now)?;
        let mids = sections(&description.sdp);
        let mut viewers = Vec::new();
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        for ((track, source), reply) in request.tracks.iter().zip(sources).zip(replies.iter_mut()) {
            if reply.error.is_some() {
                continue;
            }
            let wanted = track.mid.as_deref().map(Mid::from);
            let free = mids.iter().copied().find(|mid| match source {
                _ if wanted.is_some_and(|wanted| wanted != *mid) => false,
                None => can_publish(session, *mid),
                Some(source) => {
                    session.direction(*mid).is_some_and(|(kind, direction)| {
                        kind == source.kind && direction.is_sending()
                    }) && !session.subscribed.get(mid).is_some_and(|track| track.open)
                }
            });
            let Some(mid) = free else {
                reply.mid = None;
                reply.error = Some(invalid_params(
                    "The offer has no free media section for this track. Add one of its kind.",
                ));
                continue;
            };
            reply.mid = Some(mid.to_string());
            match source {
                Some(source) => {
                    set_subscription(session, mid, source, track);
                    viewers.push((mid, source.codec));
                }
                None => session.publish(mid, track.track_name.clone().unwrap_or_default(), now),
            }
        }
        if request.auto_discover {
            replies.extend(discover(session, mids, now));
        }
        for (mid, codec) in viewers {
            let refusal = self.subscribe(TrackRef { session: id, mid }, codec, now);
            let mut reply = replies
                .iter_mut()
                .filter(|reply| reply.mid.as_deref() == Some(&mid));
            if let Some(reply) = reply.next() {
                reply.error = refusal;
            }
        }
        Ok((
            false,
            Some(SessionDescription {
                kind: SdpType::Answer,
                sdp: answer,
            }),
        ))
    }

    /// Creates the server's offer. Tracks on existing media sections need none.
    pub(super) fn make_offer(
        &mut self,
        id: SessionId,
        request: &TracksRequest,
        sources: &[Option<Source>],
        replies: &mut [TrackReply],
        now: Instant,
    ) -> Result<(bool, Option<SessionDescription>), ApiError> {
        let mut new = Vec::new(); // the indexes of tracks that need a new media section
        for (index, (track, source)) in request.tracks.iter().zip(sources).enumerate() {
            let Some(reply) = replies.get_mut(index).filter(|reply| reply.error.is_none()) else {
                continue;
            };
            match (source, &track.mid) {
                (Some(source), Some(mid)) => match self.sending_section(id, mid, source.kind) {
                    Some(mid) => {
                        reply.mid = Some(mid.to_string());
                        let viewer = TrackRef { session: id, mid };
                        self.unsubscribe(viewer); // the new track replaces the last one
                        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
                        set_subscription(session, mid, source, track);
                        reply.error = self.subscribe(viewer, source.codec, now);
                    }
                    None => {
                        reply.mid = None;
                        reply.error = Some(invalid_params(
                            "The server cannot send on this mid. Omit mid to get a new section.",
                        ));
                    }
                },
                _ => new.push((index, track, source)),
            }
        }
        // `offer` returns the sections of published tracks first.
        new.sort_by_key(|(_, _, source)| source.is_some());
        let publish: Vec<_> = new
            .iter()
            .filter(|(_, _, source)| source.is_none())
            .map(|(_, track, _)| (media_kind(track.kind), track.bidirectional_media_stream))
            .collect();
        let subscribe: Vec<_> = new
            .iter()
            .filter_map(|(_, _, source)| source.as_ref())
            .map(|source| (source.kind, source.track.session.to_string()))
            .collect();
        if publish.is_empty() && subscribe.is_empty() {
            return Ok((false, None));
        }
        let (sdp, mids) =
            self.try_step(id, now, |session| session.offer(&publish, &subscribe, now))?;
        let mut plan = Plan::default();
        for ((index, track, source), mid) in new.into_iter().zip(mids) {
            if let Some(reply) = replies.get_mut(index) {
                reply.mid = Some(mid.to_string());
            }
            match source {
                Some(source) => plan.subscribe.push((mid, subscription(source, track))),
                None => {
                    let name = track.track_name.clone().unwrap_or_default();
                    plan.publish.push((mid, name));
                }
            }
        }
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if let Some(pending) = &mut session.pending {
            pending.plan = plan;
        }
        Ok((
            true,
            Some(SessionDescription {
                kind: SdpType::Offer,
                sdp,
            }),
        ))
    }

    /// Returns an existing media section on which the server can send. `mid` is its id, or `#` and
    /// the name of a track that is published on it.
    fn sending_section(&self, id: SessionId, mid: &str, kind: MediaKind) -> Option<Mid> {
        let session = self.sessions.get(&id)?;
        let mid = match mid.strip_prefix('#') {
            Some(name) => {
                let mut tracks = session.published.iter();
                *tracks
                    .find(|(_, track)| track.open && track.name == name)?
                    .0
            }
            None => Mid::from(mid),
        };
        let (actual, direction) = session.direction(mid)?;
        (actual == kind && direction.is_sending()).then_some(mid)
    }

    /// Accepts the client's offer, and returns the answer.
    pub(super) fn answer(
        &mut self,
        id: SessionId,
        description: &SessionDescription,
        now: Instant,
    ) -> Result<String, ApiError> {
        if description.kind != SdpType::Offer {
            return Err(invalid_params(
                "This call expects a sessionDescription of type offer.",
            ));
        }
        let answer = self.try_step(id, now, |session| {
            session.pending = None; // the client's offer replaces it
            session.accept_offer(&description.sdp)
        })?;
        self.update_ufrag(id); // the offer may restart ICE
        Ok(answer)
    }
}

/// Publishes the tracks of all new media sections, with random names.
fn discover(session: &mut Session, mids: Vec<Mid>, now: Instant) -> Vec<TrackReply> {
    let mut replies = Vec::new();
    for mid in mids {
        let (published, _) = session.open_tracks();
        if published >= MAX_TRACKS || !can_publish(session, mid) {
            continue;
        }
        let name = SessionId::new().to_string();
        session.publish(mid, name.clone(), now);
        replies.push(TrackReply {
            track_name: Some(name),
            mid: Some(mid.to_string()),
            ..TrackReply::default()
        });
    }
    replies
}

/// Returns whether the client sends on a media section on which no track is published yet.
fn can_publish(session: &Session, mid: Mid) -> bool {
    let direction = session.direction(mid);
    direction.is_some_and(|(_, direction)| direction.is_receiving())
        && !session.published.get(&mid).is_some_and(|track| track.open)
}

/// Puts a subscription on the list. If there was one on this media section, its media
/// time continues.
fn set_subscription(session: &mut Session, mid: Mid, source: &Source, track: &TrackRequest) {
    let new = subscription(source, track);
    match session.subscribed.get_mut(&mid) {
        Some(old) => {
            old.simulcast = new.simulcast;
            old.change_source(new.source, new.name);
        }
        None => drop(session.subscribed.insert(mid, new)),
    }
}

pub(super) fn subscription(source: &Source, track: &TrackRequest) -> Subscription {
    let name = track.track_name.clone().unwrap_or_default();
    Subscription::new(source.track, name, track.simulcast.clone())
}

fn media_kind(kind: Option<Kind>) -> MediaKind {
    match kind {
        Some(Kind::Audio) => MediaKind::Audio,
        _ => MediaKind::Video,
    }
}
