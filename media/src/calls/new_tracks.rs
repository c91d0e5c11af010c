//! `tracks/new`: the checks before the exchange of SDP.

use std::time::{Duration, Instant};

use str0m::format::PayloadParams;
use str0m::media::MediaKind;

use super::{Stop, gone, invalid_params};
use crate::api::{
    ApiError, ErrorCode, Location, MAX_TRACKS, TrackReply, TrackRequest, TracksReply, TracksRequest,
};
use crate::engine::Engine;
use crate::forward::Publication;
use crate::session::SessionId;
use crate::tracks::TrackRef;

/// After this time, a new exchange of SDP replaces an offer that the client has not answered.
const OFFER_TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of the name of a track, in bytes.
const MAX_NAME: usize = 256;

/// A published track that a request names.
pub(super) struct Source {
    pub(super) track: TrackRef,
    pub(super) kind: MediaKind,
    pub(super) codec: Option<PayloadParams>,
}

impl Engine {
    pub(super) fn new_tracks(
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
                None => {
                    return Err(
                        invalid_params("Each track needs a location: local or remote.").into(),
                    );
                }
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
        let (published, received) = session.open_tracks();
        let open = published + received;
        if request.tracks.is_empty() && !request.auto_discover {
            return Err(invalid_params(
                "tracks is empty. Add a track, or set autoDiscover.",
            ));
        }
        if request.tracks.len() + open > MAX_TRACKS {
            return Err(invalid_params(format!(
                "The session has {open} tracks and {} new ones. The limit is {MAX_TRACKS}. Close \
                 tracks first.",
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
    pub(super) fn source(&self, track: &TrackRequest) -> Result<Source, Stop> {
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
            track: TrackRef { session, mid },
            kind,
            codec,
        })
    }

    /// Returns the reason if a local track cannot be published.
    fn local_error(
        &self,
        id: SessionId,
        track: &TrackRequest,
        request: &TracksRequest,
    ) -> Option<ApiError> {
        let Some(name) = &track.track_name else {
            return Some(invalid_params("A track needs a trackName."));
        };
        if name.is_empty() || name.len() > MAX_NAME {
            return Some(invalid_params(format!(
                "A trackName has 1 to {MAX_NAME} bytes."
            )));
        }
        let twice = request
            .tracks
            .iter()
            .filter(|other| other.track_name == track.track_name);
        let session = self.sessions.get(&id)?;
        let mut open = session.published.values().filter(|other| other.open);
        if twice.count() > 1 || open.any(|other| other.name == *name) {
            return Some(invalid_params(format!(
                "The session already publishes a track {name:?}. Choose another name."
            )));
        }
        if request.session_description.is_none() && track.kind.is_none() {
            return Some(invalid_params(
                "The server's offer needs the kind of the track: audio or video.",
            ));
        }
        if request.session_description.is_some() && track.mid.is_none() {
            return Some(invalid_params(
                "A track in the client's offer needs its mid.",
            ));
        }
        None
    }
}

fn empty(track: &TrackRequest) -> Stop {
    let name = track.track_name.as_deref().unwrap_or_default();
    let text = format!("The publisher of the track {name:?} has sent no media yet. Try later.");
    Stop::Wait(ApiError::new(ErrorCode::EmptyTrackError, text))
}
