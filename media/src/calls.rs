//! The calls of the API: what each one does to the sessions.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};
use str0m::format::PayloadParams;
use str0m::media::{MediaKind, Mid};

use crate::api::{
    ApiError, CloseRequest, ErrorCode, Kind, Location, MAX_TRACKS, RenegotiateRequest, SdpType,
    SessionDescription, Status, TrackReply, TrackRequest, TracksReply, TracksRequest,
};
use crate::engine::Engine;
use crate::forward::{Publication, Subscription};
use crate::negotiate::{Plan, sections};
use crate::session::{Session, SessionId};

/// The most calls of one session in a second, as at Cloudflare.
const MAX_CALLS: u32 = 50;

/// After this time, a new exchange of SDP replaces an offer that the client has not answered.
const OFFER_TIMEOUT: Duration = Duration::from_secs(30);

/// The longest name of a track, in bytes.
const MAX_NAME: usize = 256;

/// A call of the API.
#[derive(Clone, Debug)]
pub enum Call {
    /// `POST /sessions/new`.
    Open,
    /// `GET /sessions/{id}`.
    Look(SessionId),
    /// `POST /sessions/{id}/tracks/new`.
    NewTracks(SessionId, TracksRequest),
    /// `PUT /sessions/{id}/renegotiate`.
    Renegotiate(SessionId, RenegotiateRequest),
    /// `PUT /sessions/{id}/tracks/update`.
    UpdateTracks(SessionId, TracksRequest),
    /// `PUT /sessions/{id}/tracks/close`.
    CloseTracks(SessionId, CloseRequest),
}

impl Call {
    fn session(&self) -> Option<SessionId> {
        match self {
            Self::Open => None,
            Self::Look(id)
            | Self::NewTracks(id, _)
            | Self::Renegotiate(id, _)
            | Self::UpdateTracks(id, _)
            | Self::CloseTracks(id, _) => Some(*id),
        }
    }
}

/// The HTTP status and the JSON of a reply.
pub type Answer = Result<(u16, Value), ApiError>;

/// What a call can return before its answer: that it has to wait for a connection or for media.
enum Stop {
    Wait(ApiError),
    Fail(ApiError),
}

impl From<ApiError> for Stop {
    fn from(error: ApiError) -> Self {
        Self::Fail(error)
    }
}

/// A published track that a request names.
struct Source {
    session: SessionId,
    mid: Mid,
    kind: MediaKind,
    codec: Option<PayloadParams>,
}

impl Engine {
    /// Performs a call. Returns `None` if the answer has to wait for a connection or for the first
    /// media of a publisher. The caller then repeats the call. With `last`, the answer is an error
    /// instead.
    pub fn call(&mut self, call: &Call, last: bool, now: Instant) -> Option<Answer> {
        let result = match call.session() {
            None => self.open_session(now),
            Some(id) => self.call_session(id, call, last, now),
        };
        self.settle(now);
        match result {
            Ok(answer) => Some(Ok(answer)),
            Err(Stop::Wait(_)) if !last => None,
            Err(Stop::Wait(error) | Stop::Fail(error)) => Some(Err(error)),
        }
    }

    fn open_session(&mut self, now: Instant) -> Result<(u16, Value), Stop> {
        let error = |text: String| ApiError::new(ErrorCode::TemporarilyUnavailableError, text);
        let most = self.limits.sessions;
        if self.sessions.len() >= most {
            return Err(error(format!("The server has {most} sessions, its limit.")).into());
        }
        let id = self
            .open(now)
            .ok_or_else(|| error("The server has no usable address.".into()))?;
        Ok((201, json!({ "sessionId": id.to_string() })))
    }

    fn call_session(
        &mut self,
        id: SessionId,
        call: &Call,
        last: bool,
        now: Instant,
    ) -> Result<(u16, Value), Stop> {
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if !matches!(call, Call::Look(_)) {
            session.used = now;
        }
        let reply = match call {
            Call::Open | Call::Look(_) => to_json(&self.look(id)),
            Call::NewTracks(_, request) => to_json(&self.new_tracks(id, request, last, now)?),
            Call::Renegotiate(_, request) => self.renegotiate(id, request, now)?,
            Call::UpdateTracks(_, request) => to_json(&self.update_tracks(id, request, now)?),
            Call::CloseTracks(_, request) => to_json(&self.close_tracks(id, request, now)?),
        };
        Ok((200, reply))
    }

    /// Counts a call of a session, before it is performed for the first time.
    ///
    /// # Errors
    ///
    /// If the session had too many calls in this second.
    pub fn admit(&mut self, call: &Call, now: Instant) -> Result<(), ApiError> {
        let Some(session) = call.session().and_then(|id| self.sessions.get_mut(&id)) else {
            return Ok(());
        };
        if now >= session.calls.0 + Duration::from_secs(1) {
            session.calls = (now, 0);
        }
        session.calls.1 += 1;
        if session.calls.1 <= MAX_CALLS {
            return Ok(());
        }
        let text =
            format!("The session had {MAX_CALLS} calls in this second, its limit. Try later.");
        Err(ApiError::new(ErrorCode::RetryableTransientError, text))
    }

    /// Runs a step of a session whose failure ends the call.
    fn try_step<T>(
        &mut self,
        id: SessionId,
        now: Instant,
        step: impl FnOnce(&mut Session) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        self.step(id, now, step).unwrap_or_else(|| Err(gone(id)))
    }

    fn look(&self, id: SessionId) -> Value {
        let Some(session) = self.sessions.get(&id) else {
            return Value::Null;
        };
        let status = |open| {
            Some(if open {
                Status::Active
            } else {
                Status::Inactive
            })
        };
        let published = session.published.iter().map(|(mid, track)| TrackReply {
            location: Some(Location::Local),
            mid: Some(mid.to_string()),
            track_name: Some(track.name.clone()),
            status: status(track.open),
            ..TrackReply::default()
        });
        let subscribed = session.subscribed.iter().map(|(mid, track)| TrackReply {
            location: Some(Location::Remote),
            mid: Some(mid.to_string()),
            session_id: Some(track.source.to_string()),
            track_name: Some(track.name.clone()),
            status: status(track.open),
            ..TrackReply::default()
        });
        json!({ "tracks": published.chain(subscribed).collect::<Vec<_>>(), "dataChannels": [] })
    }

    fn new_tracks(
        &mut self,
        id: SessionId,
        request: &TracksRequest,
        last: bool,
        now: Instant,
    ) -> Result<TracksReply, Stop> {
        self.check_size(id, request)?;
        self.check_turn(id, now)?;
        let mut replies = Vec::new();
        let mut sources = Vec::new();
        for track in &request.tracks {
            let source = match track.location {
                Some(Location::Remote) => Some(self.source(track)),
                Some(Location::Local) => None,
                None => return Err(invalid("Each track needs a location: local or remote.").into()),
            };
            let error = match &source {
                Some(Err(Stop::Wait(_))) if !last => return Err(empty(track)),
                Some(Err(Stop::Wait(error) | Stop::Fail(error))) => Some(error.clone()),
                _ => self
                    .local_error(id, track, request)
                    .filter(|_| source.is_none()),
            };
            replies.push(TrackReply {
                session_id: track.session_id.clone(),
                track_name: track.track_name.clone(),
                mid: track.mid.clone().filter(|_| error.is_none()),
                simulcast: track.simulcast.clone(),
                error,
                ..TrackReply::default()
            });
            sources.push(source.and_then(Result::ok));
        }
        if !request.auto_discover && replies.iter().all(|reply| reply.error.is_some()) {
            return Ok(TracksReply {
                tracks: replies,
                ..TracksReply::default()
            });
        }
        match &request.session_description {
            Some(description) => {
                self.take_offer(id, request, description, &sources, &mut replies, now)
            }
            None => self.make_offer(id, request, &sources, &mut replies, now),
        }
        .map(|(renegotiate, session_description)| TracksReply {
            requires_immediate_renegotiation: renegotiate,
            session_description,
            tracks: replies,
        })
        .map_err(Stop::Fail)
    }

    /// Checks the number of tracks of a request and of the session.
    fn check_size(&mut self, id: SessionId, request: &TracksRequest) -> Result<(), ApiError> {
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if session.published.len() + session.subscribed.len() > 2 * MAX_TRACKS {
            session.published.retain(|_, track| track.open);
            session.subscribed.retain(|_, track| track.open);
        }
        let published = session
            .published
            .values()
            .filter(|track| track.open)
            .count();
        let open = published
            + session
                .subscribed
                .values()
                .filter(|track| track.open)
                .count();
        if request.tracks.is_empty() && !request.auto_discover {
            return Err(invalid(
                "tracks is empty. Add a track, or set autoDiscover.",
            ));
        }
        if request.tracks.len() + open > MAX_TRACKS {
            return Err(invalid(format!(
                "The session has {open} tracks and {} new ones. The limit is {MAX_TRACKS}.",
                request.tracks.len()
            )));
        }
        Ok(())
    }

    /// Checks that the session can begin an exchange of SDP: none is open, and the session is
    /// connected unless this is the first one.
    fn check_turn(&mut self, id: SessionId, now: Instant) -> Result<(), Stop> {
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if session
            .pending
            .as_ref()
            .is_some_and(|pending| now < pending.since + OFFER_TIMEOUT)
        {
            let text = "The last offer has no answer yet. Call renegotiate before the next change.";
            return Err(ApiError::new(ErrorCode::InvalidSessionDescription, text).into());
        }
        session.pending = None;
        let negotiated = !session.published.is_empty() || !session.subscribed.is_empty();
        if negotiated && !session.connected {
            let text =
                "The session is not connected yet. Apply the SDP, and wait for the connection.";
            return Err(Stop::Wait(ApiError::new(ErrorCode::NotConnected, text)));
        }
        Ok(())
    }

    /// Finds the published track that a request names.
    fn source(&self, track: &TrackRequest) -> Result<Source, Stop> {
        let name = track.track_name.as_deref().unwrap_or_default();
        let session_id = track.session_id.as_deref().unwrap_or_default();
        let id = SessionId::parse(session_id);
        let found = id
            .and_then(|id| Some((id, self.sessions.get(&id)?)))
            .and_then(|(id, session)| {
                let mut tracks = session.published.iter();
                let (mid, track) = tracks.find(|(_, track)| track.open && track.name == name)?;
                Some((id, *mid, track))
            });
        let Some((session, mid, publication)) = found else {
            let text = format!("The session {session_id:?} publishes no track {name:?}.");
            return Err(ApiError::new(ErrorCode::NotFoundTrackError, text).into());
        };
        let Publication { kind, codec, .. } = *publication;
        if codec.is_none() {
            return Err(empty(track));
        }
        Ok(Source {
            session,
            mid,
            kind,
            codec,
        })
    }

    /// Returns why a local track cannot be published, if so.
    fn local_error(
        &self,
        id: SessionId,
        track: &TrackRequest,
        request: &TracksRequest,
    ) -> Option<ApiError> {
        let Some(name) = &track.track_name else {
            return Some(invalid("A track needs a trackName."));
        };
        if name.is_empty() || name.len() > MAX_NAME {
            return Some(invalid(format!("A trackName has 1 to {MAX_NAME} bytes.")));
        }
        let twice = request
            .tracks
            .iter()
            .filter(|other| other.track_name == track.track_name);
        let session = self.sessions.get(&id)?;
        let mut open = session.published.values().filter(|other| other.open);
        if twice.count() > 1 || open.any(|other| other.name == *name) {
            return Some(invalid(format!(
                "The session already publishes a track {name:?}."
            )));
        }
        if request.session_description.is_none() && track.kind.is_none() {
            return Some(invalid(
                "The server's offer needs the kind of the track: audio or video.",
            ));
        }
        if request.session_description.is_some() && track.mid.is_none() {
            return Some(invalid("A track in the client's offer needs its mid."));
        }
        None
    }

    /// Answers the client's offer.
    fn take_offer(
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
                None => session
                    .direction(*mid)
                    .is_some_and(|(_, way)| way.is_receiving()),
                Some(source) => {
                    session.direction(*mid).is_some_and(|(kind, direction)| {
                        kind == source.kind && direction.is_sending()
                    }) && !session.subscribed.get(mid).is_some_and(|track| track.open)
                }
            });
            let Some(mid) = free else {
                reply.mid = None;
                reply.error = Some(invalid("The offer has no media section for this track."));
                continue;
            };
            reply.mid = Some(mid.to_string());
            match source {
                Some(source) => {
                    session.subscribed.insert(mid, subscription(source, track));
                    viewers.push((mid, source.codec));
                }
                None => publish(
                    session,
                    mid,
                    track.track_name.clone().unwrap_or_default(),
                    now,
                ),
            }
        }
        if request.auto_discover {
            for mid in mids {
                let published = session.published.get(&mid).is_some_and(|track| track.open);
                let receiving = session
                    .direction(mid)
                    .is_some_and(|(_, way)| way.is_receiving());
                if receiving && !published {
                    let name = SessionId::new().to_string();
                    publish(session, mid, name.clone(), now);
                    replies.push(TrackReply {
                        track_name: Some(name),
                        mid: Some(mid.to_string()),
                        ..TrackReply::default()
                    });
                }
            }
        }
        for (mid, codec) in viewers {
            let refusal = self.subscribe(id, mid, codec, now);
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

    /// Makes the server's offer. Tracks on existing media sections need none.
    fn make_offer(
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
                        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
                        session.subscribed.insert(mid, subscription(source, track));
                        reply.error = self.subscribe(id, mid, source.codec, now);
                    }
                    None => {
                        reply.mid = None;
                        reply.error = Some(invalid("The server cannot send on this mid."));
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
            .map(|source| (source.kind, source.session.to_string()))
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
                    plan.publish.push((mid, name, media_kind(track.kind)));
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

    /// Returns an existing media section on which the server can send. `mid` is its id, or `#` and the
    /// name of a track that is published on it.
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

    /// Begins to forward a track to a session, whose subscription is on the list. Returns why the
    /// client will not see it, if so.
    fn subscribe(
        &mut self,
        id: SessionId,
        mid: Mid,
        codec: Option<PayloadParams>,
        now: Instant,
    ) -> Option<ApiError> {
        let refusal = self
            .step(id, now, |session| session.refusal(mid, codec))
            .flatten();
        let session = self.sessions.get_mut(&id)?;
        let subscription = session.subscribed.get_mut(&mid)?;
        if refusal.is_some() {
            subscription.open = false;
            return refusal;
        }
        let source = (subscription.source, subscription.source_mid);
        let published = self
            .sessions
            .get(&source.0)
            .and_then(|s| s.published.get(&source.1));
        if !published.is_some_and(|track| track.open) {
            self.unsubscribe(id, mid);
            return Some(ApiError::new(
                ErrorCode::NotFoundTrackError,
                "The track has ended.",
            ));
        }
        self.viewers.entry(source).or_default().push((id, mid));
        self.viewer_needs_key_frame(id, mid, now);
        None
    }

    fn renegotiate(
        &mut self,
        id: SessionId,
        request: &RenegotiateRequest,
        now: Instant,
    ) -> Result<Value, ApiError> {
        let description = &request.session_description;
        if description.kind != SdpType::Answer {
            return Err(invalid(
                "renegotiate expects a sessionDescription of type answer.",
            ));
        }
        let plan = self.try_step(id, now, |session| session.accept_answer(&description.sdp))?;
        let mut failed = Vec::new();
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        for (mid, name, _) in plan.publish {
            if session
                .direction(mid)
                .is_some_and(|(_, direction)| direction.is_receiving())
            {
                publish(session, mid, name, now);
            } else {
                let error = "The client refused to send on this mid.";
                let error = ApiError::new(ErrorCode::InvalidSessionDescription, error);
                failed.push(reply_for(mid, None, &name, error));
            }
        }
        for (mid, subscription) in plan.subscribe {
            let (source, source_mid) = (subscription.source, subscription.source_mid);
            let name = subscription.name.clone();
            let published = self
                .sessions
                .get(&source)
                .and_then(|s| s.published.get(&source_mid));
            let codec = published.and_then(|track| track.codec);
            let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
            session.subscribed.insert(mid, subscription);
            if let Some(error) = self.subscribe(id, mid, codec, now) {
                failed.push(reply_for(mid, Some(source), &name, error));
            }
        }
        Ok(if failed.is_empty() {
            json!({})
        } else {
            json!({ "tracks": failed })
        })
    }

    fn update_tracks(
        &mut self,
        id: SessionId,
        request: &TracksRequest,
        now: Instant,
    ) -> Result<TracksReply, ApiError> {
        if request.tracks.is_empty() || request.tracks.len() > MAX_TRACKS {
            return Err(invalid(format!("tracks has 1 to {MAX_TRACKS} entries.")));
        }
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
        let subscription =
            subscription.ok_or_else(|| error("The session receives no track on this mid."))?;
        if let Some(simulcast) = &track.simulcast {
            subscription.simulcast = Some(simulcast.clone());
        }
        let Some(source) = source else { return Ok(()) };
        if kind != Some(source.kind) {
            return Err(error(
                "The new track has another kind than the media section.",
            ));
        }
        if subscription.open
            && (subscription.source, subscription.source_mid) == (source.session, source.mid)
        {
            return Ok(());
        }
        self.unsubscribe(id, mid);
        let session = self.sessions.get_mut(&id).ok_or_else(|| gone(id))?;
        if let Some(subscription) = session.subscribed.get_mut(&mid) {
            let name = track.track_name.clone().unwrap_or_default();
            subscription.change_source(source.session, source.mid, name);
        }
        self.subscribe(id, mid, source.codec, now)
            .map_or(Ok(()), Err)
    }

    fn close_tracks(
        &mut self,
        id: SessionId,
        request: &CloseRequest,
        now: Instant,
    ) -> Result<TracksReply, ApiError> {
        if request.tracks.is_empty() || request.tracks.len() > MAX_TRACKS {
            return Err(invalid(format!("tracks has 1 to {MAX_TRACKS} entries.")));
        }
        let description = match &request.session_description {
            None if !request.force => {
                return Err(invalid(
                    "With force false, sessionDescription needs the client's offer.",
                ));
            }
            description => description.as_ref().filter(|_| !request.force),
        };
        let mut tracks = Vec::new();
        for track in &request.tracks {
            let mid = Mid::from(track.mid.as_deref().unwrap_or_default());
            let planned = self.unplan(id, mid);
            let published = self.unpublish(id, mid);
            let closed = self.unsubscribe(id, mid) || published || planned;
            let text = "The session has no open track on this mid.";
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
        plan.publish.retain(|(other, ..)| *other != mid);
        plan.subscribe.retain(|(other, _)| *other != mid);
        plan.publish.len() + plan.subscribe.len() < before
    }

    /// Accepts the client's offer, and returns the answer.
    fn answer(
        &mut self,
        id: SessionId,
        description: &SessionDescription,
        now: Instant,
    ) -> Result<String, ApiError> {
        if description.kind != SdpType::Offer {
            return Err(invalid(
                "This call expects a sessionDescription of type offer.",
            ));
        }
        let answer = self.try_step(id, now, |session| session.accept_offer(&description.sdp))?;
        self.update_ufrag(id); // the offer may restart ICE
        Ok(answer)
    }
}

fn publish(session: &mut Session, mid: Mid, name: String, now: Instant) {
    if let Some((kind, _)) = session.direction(mid) {
        session
            .published
            .insert(mid, Publication::new(name, kind, now));
    }
}

fn subscription(source: &Source, track: &TrackRequest) -> Subscription {
    let name = track.track_name.clone().unwrap_or_default();
    Subscription::new(source.session, source.mid, name, track.simulcast.clone())
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

fn media_kind(kind: Option<Kind>) -> MediaKind {
    match kind {
        Some(Kind::Audio) => MediaKind::Audio,
        _ => MediaKind::Video,
    }
}

fn to_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or(Value::Null)
}

fn gone(id: SessionId) -> ApiError {
    let text = format!("The session {id} is over or never existed. Make a new one.");
    ApiError::new(ErrorCode::SessionError, text)
}

fn empty(track: &TrackRequest) -> Stop {
    let name = track.track_name.as_deref().unwrap_or_default();
    let text = format!("The publisher of the track {name:?} has sent no media yet. Try later.");
    Stop::Wait(ApiError::new(ErrorCode::EmptyTrackError, text))
}

fn invalid(description: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParams, description)
}
