//! The requests of the owner of the server about a room: list its peers, remove one, or remove all.
//!
//! | Request | Answer |
//! |---|---|
//! | `POST /admin/:room/list` | `{"ids":["ann","bob"]}` |
//! | `POST /admin/:room/remove` with the body `{"id":"ann"}` | `{"removed":1}`, or 0 if no peer had the id |
//! | `POST /admin/:room/close` | `{"removed":12}` |
//!
//! The requests concern the peers of the party family, or with `?dialect=peerjs` those of the family of
//! that dialect.
//!
//! The Worker checks the token, and then sends the room a request with a URL of its own. The room trusts
//! this request, because no client can send it: its path begins with `PREFIX`, and the Worker forwards
//! only paths of its [routes](crate::edge::route).

use crate::core::admin::AdminRequest;
use crate::core::event::Reply;
use crate::core::peer::PeerId;
use crate::dialect::json::{Object, ObjectWriter, array, quote};
use crate::edge::body::{deny_unknown, malformed, required};
use crate::edge::live::NOT_CONFIGURED;
use crate::edge::route::{HttpError, bad_id};

/// The start of the URLs of all requests from the Worker to a room.
const PREFIX: &str = "https://room/internal/admin/";

/// Returns the URL with which the Worker sends the request to a room.
#[must_use]
pub fn url(request: &AdminRequest) -> String {
    match request {
        AdminRequest::List => format!("{PREFIX}list"),
        // An id has no characters that a query must escape. In a path, the id `..` would be removed.
        AdminRequest::Remove(id) => format!("{PREFIX}remove?{id}"),
        AdminRequest::Close => format!("{PREFIX}close"),
    }
}

/// Reads a request from its URL. Returns `None` for any other URL.
#[must_use]
pub fn read_url(url: &str) -> Option<AdminRequest> {
    match url.strip_prefix(PREFIX)? {
        "list" => Some(AdminRequest::List),
        "close" => Some(AdminRequest::Close),
        path => {
            let id = path.strip_prefix("remove?")?;
            PeerId::parse(id).map(AdminRequest::Remove)
        }
    }
}

/// Reads the body of `POST /admin/:room/remove`.
///
/// # Errors
///
/// 400: `malformed`, or `bad-id` for an id that no client can have
pub fn read_removal(body: &str) -> Result<AdminRequest, HttpError> {
    let mut body = Object::read(body).map_err(malformed)?;
    let id = required(&mut body, "id")?;
    let id = PeerId::parse(&id).ok_or_else(|| bad_id(&id))?;
    deny_unknown(body, "`id`")?;
    Ok(AdminRequest::Remove(id))
}

/// Returns the body of the answer, or `None` for a reply to another request.
#[must_use]
pub fn answer(reply: &Reply) -> Option<String> {
    match reply {
        Reply::Ids(ids) => {
            let ids = array(ids.iter().map(|id| quote(id.as_str())));
            Some(ObjectWriter::new(ids.len()).raw("ids", &ids).end())
        }
        Reply::Removed(peers) => {
            let peers = peers.to_string();
            Some(ObjectWriter::new(0).raw("removed", &peers).end())
        }
        Reply::Registered(_) | Reply::Live(_) => None,
    }
}

/// Returns the error for a server without `ROOM_SECRET`, which cannot check who is its owner: 503
/// `not-configured`.
#[must_use]
pub fn without_secret() -> HttpError {
    let message = "the requests of the owner are off: expected the secret ROOM_SECRET, with which your \
         back end signs their tokens. Set it with `npx wrangler secret put ROOM_SECRET`";
    HttpError::new(503, NOT_CONFIGURED, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::route::{Request, route, split_url};

    fn requests() -> Vec<AdminRequest> {
        let longest = format!("{}~:-.", "a".repeat(PeerId::MAX - 4));
        let remove = |id| AdminRequest::Remove(PeerId::parse(id).unwrap());
        vec![
            AdminRequest::List,
            AdminRequest::Close,
            remove("ann"),
            remove("list"),
            remove(".."),
            remove(&longest),
        ]
    }

    #[test]
    fn a_request_is_read_from_its_url() {
        for request in requests() {
            assert_eq!(read_url(&url(&request)), Some(request));
        }
        for other in [
            "",
            "https://room/internal/admin/",
            "https://room/internal/admin/remove?",
            "https://room/internal/admin/remove?~live",
            "https://room/internal/admin/list?",
            "https://room/admin/demo/list",
        ] {
            assert_eq!(read_url(other), None, "{other}");
        }
    }

    #[test]
    fn the_worker_forwards_no_path_of_such_a_request() {
        for request in requests() {
            let url = url(&request);
            let (path, query) = split_url(&url);
            for method in ["GET", "POST"] {
                let request = Request {
                    method,
                    path,
                    query,
                    upgrade: Some("websocket"),
                    ..Request::default()
                };
                assert_eq!(route(&request).unwrap_err().status, 404, "{path}");
            }
        }
    }

    #[test]
    fn a_removal_names_one_peer() {
        let ann = AdminRequest::Remove(PeerId::parse("ann").unwrap());
        assert_eq!(read_removal(r#"{"id":"ann"}"#), Ok(ann));
        for (body, code) in [
            ("", "malformed"),
            ("[]", "malformed"),
            ("{}", "malformed"),
            (r#"{"id":7}"#, "malformed"),
            (r#"{"id":"ann","ban":true}"#, "malformed"),
            (r#"{"id":""}"#, "bad-id"),
            (r#"{"id":"a b"}"#, "bad-id"),
            (r#"{"id":"~live"}"#, "bad-id"),
        ] {
            let error = read_removal(body).unwrap_err();
            assert_eq!((error.status, error.code), (400, code), "{body}");
        }
    }

    #[test]
    fn an_answer_has_ids_or_a_number() {
        let ids = ["ann", "bob"].map(|id| PeerId::parse(id).unwrap());
        let ids = answer(&Reply::Ids(ids.into()));
        assert_eq!(ids.as_deref(), Some(r#"{"ids":["ann","bob"]}"#));
        let removed = answer(&Reply::Removed(12));
        assert_eq!(removed.as_deref(), Some(r#"{"removed":12}"#));
    }
}
