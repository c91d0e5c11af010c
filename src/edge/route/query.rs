//! What stands in a path and in a query, decoded and checked.

use percent_encoding::percent_decode_str;

use super::{HttpError, KeyWithSecret};
use crate::core::peer::{Key, PeerId};
use crate::dialect::Dialect;

/// The longest name of a room, in bytes of UTF-8.
const MAX_ROOM: usize = 128;

/// What the query of a join says. Parameters that mean nothing here are left alone: clients have
/// their own.
pub(super) struct QueryParams {
    pub(super) id: Option<PeerId>,
    pub(super) key: Option<KeyWithSecret>,
    pub(super) dialect: Dialect,
    pub(super) token: Option<String>,
    /// Which room the token is about. A join has that in its path, and leaves this alone.
    pub(super) room: Option<String>,
    /// Whether anything of a join was said.
    pub(super) has_join_params: bool,
}

impl QueryParams {
    pub(super) fn read(query: &str) -> Result<Self, HttpError> {
        let bad = |code, message| HttpError::new(400, code, message);
        let mut wanted = Self {
            id: None,
            key: None,
            dialect: Dialect::Native,
            token: None,
            room: None,
            has_join_params: false,
        };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "_pk" => wanted.id = Some(PeerId::parse(&value).ok_or_else(bad_id)?),
                "key" => {
                    let message = "`key` has 1 to 128 characters";
                    let key = Key::new(&value).ok_or_else(|| bad("bad-key", message))?;
                    let secret = value.into_owned();
                    wanted.key = Some(KeyWithSecret { secret, key });
                }
                "dialect" => {
                    let message =
                        "there is no such dialect: leave `dialect` out for the native one";
                    let dialect = Dialect::named(&value).filter(|dialect| !dialect.is_stream());
                    wanted.dialect = dialect.ok_or_else(|| bad("bad-dialect", message))?;
                }
                "token" => wanted.token = Some(value.into_owned()),
                "room" => {
                    wanted.room = Some(value.into_owned());
                    continue;
                }
                _ => continue,
            }
            wanted.has_join_params = true;
        }
        Ok(wanted)
    }
}

/// Percent-decodes the name of a room.
pub(super) fn room_name(encoded: &str) -> Result<String, HttpError> {
    let bad = |message| HttpError::new(400, "bad-room", message);
    let mut escapes = encoded.split('%').skip(1);
    let hex = |escape: &str| {
        let digits = escape.bytes().take(2);
        digits.filter(u8::is_ascii_hexdigit).count() == 2
    };
    if !escapes.all(hex) {
        return Err(bad(
            "a % in the name of the room is not followed by two hexadecimal digits",
        ));
    }
    let name = percent_decode_str(encoded).decode_utf8();
    let name = name.map_err(|_| bad("the name of the room is not UTF-8"))?;
    if name.is_empty() || name.len() > MAX_ROOM {
        return Err(bad("the name of a room has 1 to 128 bytes of UTF-8"));
    }
    if name.chars().any(char::is_control) {
        return Err(bad("the name of a room has no control characters"));
    }
    Ok(name.into_owned())
}

/// Percent-decodes the id of a peer.
pub(super) fn peer_id(encoded: &str) -> Result<PeerId, HttpError> {
    let id = percent_decode_str(encoded).decode_utf8();
    id.ok().and_then(|id| PeerId::parse(&id)).ok_or_else(bad_id)
}

fn bad_id() -> HttpError {
    let message = "a peer's id has 1 to 64 characters out of A-Z a-z 0-9 . _ ~ : -";
    HttpError::new(400, "bad-id", message)
}
