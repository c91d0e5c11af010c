//! Offers and answers of a session.

use std::time::Instant;

use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::PayloadParams;
use str0m::media::{Direction, MediaKind, Mid};

use crate::api::{ApiError, ErrorCode};
use crate::forward::Subscription;
use crate::session::Session;

/// The maximum number of media sections in an offer or answer, stopped ones included. Each new
/// track of the server's offers takes another one.
const MAX_SECTIONS: usize = 128;

/// The server's offer that the client has not answered.
pub struct Pending {
    offer: SdpPendingOffer,
    /// Time of the offer.
    pub since: Instant,
    /// The tracks that the offer is for.
    pub plan: Plan,
}

/// The changes after the client has answered the server's offer.
#[derive(Default)]
pub struct Plan {
    /// The tracks that the client will publish.
    pub publish: Vec<(Mid, String)>,
    /// The tracks that the client will receive.
    pub subscribe: Vec<(Mid, Subscription)>,
}

impl Session {
    /// Returns kind and direction of a media section, seen from the server, unless it is stopped.
    pub fn direction(&self, mid: Mid) -> Option<(MediaKind, Direction)> {
        let media = self.rtc.media(mid)?;
        (!media.stopped() && !media.disabled()).then(|| (media.kind(), media.direction()))
    }

    /// Returns the reason if the client will not see the track of a media section: it refused the
    /// section, or it cannot decode the codec of the publisher.
    pub fn refusal(&mut self, mid: Mid, codec: Option<PayloadParams>) -> Option<ApiError> {
        if !self
            .direction(mid)
            .is_some_and(|(_, direction)| direction.is_sending())
        {
            return Some(invalid_sdp(format!(
                "The client refused to receive on mid {mid}. Call tracks/new again, and answer \
                 with a direction that receives."
            )));
        }
        let codec = codec?;
        if self.payload_type(mid, codec).is_some() {
            return None;
        }
        let name = codec.spec().codec;
        Some(invalid_sdp(format!(
            "The client cannot decode {name}, the codec of this track. Publish another codec."
        )))
    }

    /// Creates the server's offer. Returns it with the new media sections. Those for `publish` come
    /// first (kind, and whether the server may send on it, too). Those for `subscribe` follow
    /// (kind, and the id of the stream, by which browsers keep sound and picture together).
    ///
    /// The offer waits in `pending`, with an empty plan, until [`Self::accept_answer`].
    ///
    /// # Errors
    ///
    /// If the session has used up its media sections.
    pub fn offer(
        &mut self,
        publish: &[(MediaKind, bool)],
        subscribe: &[(MediaKind, String)],
        now: Instant,
    ) -> Result<(String, Vec<Mid>), ApiError> {
        let closed = self.closed_sections();
        let mut change = self.rtc.sdp_api();
        closed.into_iter().for_each(|mid| change.stop_media(mid));
        let mut mids = Vec::new();
        for &(kind, both) in publish {
            let direction = if both {
                Direction::SendRecv
            } else {
                Direction::RecvOnly
            };
            mids.push(change.add_media(kind, direction, None, None, None));
        }
        for (kind, stream) in subscribe {
            let stream = Some(stream.clone());
            mids.push(change.add_media(*kind, Direction::SendOnly, stream, None, None));
        }
        let nothing = || ApiError::new(ErrorCode::InternalError, "There is nothing to negotiate.");
        let (offer, pending) = change.apply().ok_or_else(nothing)?;
        let sdp = offer.to_sdp_string();
        if count_sections(&sdp) > MAX_SECTIONS {
            return Err(invalid_sdp(format!(
                "The session has used {MAX_SECTIONS} media sections, its limit. Create a new \
                 session."
            )));
        }
        self.pending = Some(Pending {
            offer: pending,
            since: now,
            plan: Plan::default(),
        });
        Ok((sdp, mids))
    }

    /// Returns the media sections whose tracks are all closed. The next offer stops them, so that
    /// browsers end their tracks.
    fn closed_sections(&self) -> Vec<Mid> {
        let open = |mid: &Mid| {
            self.published.get(mid).is_some_and(|track| track.open)
                || self.subscribed.get(mid).is_some_and(|track| track.open)
        };
        let all = self.published.keys().chain(self.subscribed.keys());
        all.filter(|mid| !open(mid)).copied().collect()
    }

    /// Accepts the client's answer to the server's offer. Returns the plan of that offer.
    ///
    /// # Errors
    ///
    /// If the server made no offer, or if the answer is invalid.
    pub fn accept_answer(&mut self, sdp: &str) -> Result<Plan, ApiError> {
        let none = || invalid_sdp("There is no offer to answer. Call tracks/new first.");
        if self.pending.is_none() {
            return Err(none());
        }
        // The offer stays open if the answer is not even SDP.
        let answer = SdpAnswer::from_sdp_string(&checked(sdp)?)
            .map_err(|error| invalid_sdp(format!("The answer is not valid SDP: {error}")))?;
        let Pending { offer, plan, .. } = self.pending.take().ok_or_else(none)?;
        let accepted = self.rtc.sdp_api().accept_answer(offer, answer);
        accepted
            .map_err(|error| invalid_sdp(format!("The answer does not fit the offer: {error}")))?;
        Ok(plan)
    }

    /// Accepts the client's offer. Returns the answer.
    ///
    /// # Errors
    ///
    /// If the offer is invalid.
    pub fn accept_offer(&mut self, sdp: &str) -> Result<String, ApiError> {
        let offer = SdpOffer::from_sdp_string(&checked(sdp)?)
            .map_err(|error| invalid_sdp(format!("The offer is not valid SDP: {error}")))?;
        let answer = self.rtc.sdp_api().accept_offer(offer);
        let answer = answer
            .map_err(|error| invalid_sdp(format!("The offer cannot be accepted: {error}")))?;
        Ok(answer.to_sdp_string())
    }
}

/// Returns the media sections of a description, in order.
pub fn sections(sdp: &str) -> Vec<Mid> {
    sdp.lines()
        .filter_map(|line| line.trim_end().strip_prefix("a=mid:"))
        .map(Mid::from)
        .collect()
}

/// Returns a description without the client's candidates, or an error if it is too long.
///
/// The server never connects to the candidates, because clients connect
/// to the server, and many of them are names that the library cannot read.
fn checked(sdp: &str) -> Result<String, ApiError> {
    if count_sections(sdp) > MAX_SECTIONS {
        return Err(invalid_sdp(format!(
            "The SDP has more than {MAX_SECTIONS} media sections."
        )));
    }
    let kept = sdp.lines().filter(|line| {
        !line.starts_with("a=candidate:") && !line.starts_with("a=end-of-candidates")
    });
    Ok(kept.flat_map(|line| [line, "\r\n"]).collect())
}

fn count_sections(sdp: &str) -> usize {
    sdp.lines().filter(|line| line.starts_with("m=")).count()
}

fn invalid_sdp(description: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidSessionDescription, description)
}
