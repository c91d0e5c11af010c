//! The JSON in base64url (RFC 4648 §5, without padding) that a native client sends with its join: the
//! parameter `meta`, which the others see, and the subprotocol `offer.`, an offer to one of them.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::HttpError;
use crate::dialect::json;

/// The maximum size of a meta, in bytes. A room keeps it for each peer.
const MAX_META: usize = 1_024;
/// The maximum size of the payload of an offer, in bytes. An offer of a data channel has about 500.
const MAX_OFFER: usize = 4_096;

/// Reads the parameter `meta`. An empty parameter is an empty meta.
///
/// # Errors
///
/// 400 `bad-meta`
pub(super) fn read(encoded: &str) -> Result<String, HttpError> {
    if encoded.is_empty() {
        return Ok(String::new());
    }
    decode(encoded, MAX_META).ok_or_else(|| {
        let message =
            "`meta` is invalid: encode at most 1,024 bytes of JSON as base64url without padding";
        HttpError::new(400, "bad-meta", message)
    })
}

/// Reads the payload of an offer after `offer.`. Returns `None` if it is not the JSON of an offer, or too
/// large. The client then makes an offer after it has joined.
#[must_use]
pub fn read_offer(encoded: &str) -> Option<String> {
    decode(encoded, MAX_OFFER).filter(|payload| payload != "null")
}

#[inline(never)]
fn decode(encoded: &str, max: usize) -> Option<String> {
    // Four characters encode three bytes. Longer text is not decoded at all.
    if encoded.len() > max.div_ceil(3).saturating_mul(4) {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let value = json::value(&text).filter(|_| text.len() <= max)?;
    Some(value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::test_support::{GET, join, status};
    use super::super::{Join, Request, Route, route};
    use super::*;

    fn joined(result: Result<Route, HttpError>) -> Join {
        match result.unwrap() {
            Route::Join(join) => join,
            other => panic!("{other:?}"),
        }
    }

    fn encode(text: impl AsRef<[u8]>) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    #[test]
    fn a_meta_is_json_and_an_empty_one_asks_for_those_of_the_others() {
        let meta = |query: &str| joined(join("/parties/main/demo", query)).meta;
        assert_eq!(meta("_pk=ann"), None);
        assert_eq!(meta("meta="), Some(String::new()));
        let long = format!("\"{}\"", "x".repeat(MAX_META - 2));
        let deep = ["[".repeat(MAX_META / 2), "]".repeat(MAX_META / 2)].concat();
        for text in [
            r#"{"name":"Ann","metadata":{"a":[1, 2]}}"#,
            r#""ä\ud800""#,
            "null",
            "7",
            &long,
            &deep,
        ] {
            let query = format!("meta={}", encode(text));
            assert_eq!(meta(&query).as_deref(), Some(text));
        }
        let query = format!("meta={}", encode(" [1, 2]\n"));
        assert_eq!(meta(&query).as_deref(), Some("[1, 2]"));
    }

    #[test]
    fn an_invalid_meta_is_refused_and_other_dialects_have_none() {
        let long = format!("\"{}\"", "x".repeat(MAX_META - 1));
        for bad in [
            encode("{"),
            encode("{} {}"),
            encode(" "),
            encode(b"\"\xff\""),
            encode("\"\n\""),
            encode(&long),
            encode("x".repeat(100_000)),
            "Nw==".to_owned(),
            "N".to_owned(),
            "%20".to_owned(),
        ] {
            let query = format!("meta={bad}");
            let error = join("/parties/main/demo", &query).unwrap_err();
            assert_eq!((error.status, error.code), (400, "bad-meta"), "{bad}");
            for path in ["/parties/main/demo/lobby", "/parties/main/demo/matchbox"] {
                assert_eq!(joined(join(path, &query)).meta, None);
            }
        }
        let twice = "meta=e30&meta=x";
        assert_eq!(status(join("/parties/main/demo", twice)), 400);
    }

    #[test]
    fn an_offer_is_found_in_a_subprotocol_and_an_invalid_one_is_ignored() {
        let offer = |path, protocols: &str| {
            let join = joined(route(&Request {
                path,
                upgrade: Some("websocket"),
                protocols: Some(protocols),
                ..GET
            }));
            join.offer.and_then(|encoded| read_offer(&encoded))
        };
        let path = "/parties/main/demo";
        let long = format!("\"{}\"", "x".repeat(MAX_OFFER - 2));
        for text in [r#"{"type":"offer","sdp":"v=0\r\n"}"#, &long] {
            let protocols = format!("partyline, offer.{}, token.t", encode(text));
            assert_eq!(offer(path, &protocols).as_deref(), Some(text));
            assert_eq!(offer("/parties/main/demo/lobby", &protocols), None);
        }
        for bad in [
            "",
            "e30=",
            "x",
            &encode("null"),
            &encode("{"),
            &encode(format!("{long} ")),
            &"e".repeat(100_000),
        ] {
            assert_eq!(offer(path, &format!("offer.{bad}")), None, "{bad}");
        }
        assert_eq!(offer(path, "partyline"), None);
    }
}
