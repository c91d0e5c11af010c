//! Checks the claims of a token against the time, the room and the peer.

use super::token::Claims;
use crate::core::peer::{PeerId, Time};
use crate::core::refusal::{Code, Refusal};
use crate::edge::quote::shorten;

/// The clock of an issuer may be ahead of ours by this time, in milliseconds (RFC 7519 §4.1.5).
const NBF_LEEWAY_MS: u64 = 60_000;

/// Checks the claims against the time, the room and the peer.
pub(super) fn check_claims(
    claims: &Claims,
    now: Time,
    room: Option<&str>,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    check_expiry(claims, now)?;
    check_other_claims(claims, now, room, id)
}

/// Checks the claim `exp`, without leeway.
pub(super) fn check_expiry(claims: &Claims, now: Time) -> Result<(), Refusal<'static>> {
    if claims.exp > now {
        return Ok(());
    }
    Err(unauthorized(format!(
        "the token has expired: `exp` is {}, expected more than the current time {}. Request a \
         new token",
        claims.exp.to_seconds(),
        now.to_seconds()
    )))
}

/// Checks all claims except `exp`.
pub(super) fn check_other_claims(
    claims: &Claims,
    now: Time,
    room: Option<&str>,
    id: Option<&PeerId>,
) -> Result<(), Refusal<'static>> {
    let Claims {
        nbf,
        room: granted,
        sub,
        viewer_of,
        ..
    } = claims;
    if let Some(nbf) = nbf
        && *nbf > now.plus(NBF_LEEWAY_MS)
    {
        let message = format!(
            "the token is not valid yet: `nbf` is {}, expected at most 60 s after the current time \
             {}. Try again later, or check the clock of the issuer",
            nbf.to_seconds(),
            now.to_seconds()
        );
        return Err(unauthorized(message));
    }
    if let Some(room) = room
        && granted != "*"
        && granted != room
    {
        return Err(unauthorized(format!(
            "the token is for another room: `room` is {}, expected {}. Request a token for this \
             room",
            shorten(granted),
            shorten(room)
        )));
    }
    if let (Some(device), Some(id)) = (viewer_of, id)
        && id.as_str() == device
    {
        return Err(unauthorized(format!(
            "the token is for the viewers of {}: expected another peer id. The device needs a token \
             with its id as `sub`",
            shorten(device)
        )));
    }
    if let Some(sub) = sub
        && id.is_none_or(|id| id.as_str() != sub)
    {
        return Err(unauthorized(format!(
            "the token is for another peer: `sub` is {}, expected the id of this peer. Use the \
             `sub` of the token as the peer id",
            shorten(sub)
        )));
    }
    Ok(())
}

pub(super) fn unauthorized(message: String) -> Refusal<'static> {
    Refusal::new(Code::Unauthorized, message)
}
