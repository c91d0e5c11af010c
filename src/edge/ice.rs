//! The STUN and TURN servers that clients receive, with credentials for the TURN servers.
//!
//! This module does no I/O. The shell sends the request to Cloudflare's TURN service. This module
//! writes the body of the request and reads the response.
//!
//! | Request | Answer |
//! |---|---|
//! | `GET /ice-servers` | `{"iceServers":[{"urls":["stun:…"]},{"urls":["turn:…"],"username":"…","credential":"…"}],"ttl":3600}` |
//! | `GET /iceServers` | `{"urls":["stun:…","turn:…"],"username":"…","credential":"…"}` |

mod settings;

use std::borrow::Cow;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use serde::Serialize;
use sha1::Sha1;

use crate::core::peer::{PeerId, Time};
use crate::dialect::json::{Object, ObjectWriter, array, list, quote, unquote};

/// `ttl`, in seconds, of a response without TURN after the TURN service failed. Clients then
/// request TURN again. A shorter time would increase the load on the failing service.
const DEGRADED_TTL: u64 = 300;

/// The settings of STUN and TURN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    /// `STUN_URLS`: the URLs of STUN servers. May be empty.
    pub stun: Vec<String>,
    /// The source of TURN credentials. `None`: TURN is not configured.
    pub turn: Option<Turn>,
    /// `TURN_TTL`: the lifetime of credentials, in seconds.
    pub ttl: u64,
    /// `TURN_OPEN`: whether every client receives credentials if `ROOM_SECRET` is unset.
    pub open: bool,
}

/// The source of TURN credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A TURN server that shares a secret with this server, such as coturn with `use-auth-secret`.
    Shared {
        /// `TURN_URLS`: the URLs of the TURN server. Never empty.
        urls: Vec<String>,
        /// `TURN_SECRET`: the key that credentials are signed with.
        secret: String,
    },
    /// Cloudflare's TURN service, which issues credentials over HTTP.
    Cloudflare {
        /// The URL that issues credentials, made from `CLOUDFLARE_TURN_API` and
        /// `CLOUDFLARE_TURN_KEY_ID`.
        url: String,
        /// `CLOUDFLARE_TURN_API_TOKEN`: the bearer token for `url`.
        token: String,
    },
}

/// TURN URLs with short-lived credentials.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TurnServer {
    urls: Vec<String>,
    username: String,
    credential: String,
}

impl TurnServer {
    /// Creates credentials that expire after `ttl` seconds. A TURN server with the same secret
    /// accepts the credentials.
    ///
    /// The format is defined in draft-uberti-behave-turn-rest-00, which coturn and other TURN
    /// servers implement. The username is the expiry time in seconds since 1970, a colon and the
    /// peer id. The password is the HMAC-SHA1 of the username in base64.
    #[must_use]
    pub fn shared(
        urls: &[String],
        secret: &str,
        ttl: u64,
        now: Time,
        peer: Option<&PeerId>,
    ) -> Option<Self> {
        let peer = peer.map_or("anonymous", PeerId::as_str);
        let username = format!("{}:{peer}", now.to_seconds().saturating_add(ttl));
        // HMAC accepts keys of any length, so creating the MAC never fails.
        let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
        let mac = mac.chain_update(&username).finalize().into_bytes();
        Some(Self {
            urls: urls.to_vec(),
            username,
            credential: BASE64_STANDARD.encode(mac),
        })
    }

    /// Reads the first TURN server from a response of Cloudflare's service. STUN servers in the
    /// response are ignored, because `STUN_URLS` lists the STUN servers.
    #[must_use]
    pub fn cloudflare(body: &str) -> Option<Self> {
        let mut body = Object::read(body).ok()?;
        let servers = list(body.take("iceServers")?).ok()?;
        servers.into_iter().find_map(|server| {
            let mut server = Object::read(server).ok()?;
            let mut urls = list(server.take("urls")?)
                .ok()?
                .into_iter()
                .map(|url| unquote(url).map(Cow::into_owned))
                .collect::<Option<Vec<_>>>()?;
            urls.retain(|url| settings::is_turn(url));
            if urls.is_empty() {
                return None;
            }
            let mut field = |key| {
                let text = server.take_string(key).ok()??;
                (!text.is_empty()).then(|| text.into_owned())
            };
            Some(Self {
                urls,
                username: field("username")?,
                credential: field("credential")?,
            })
        })
    }
}

/// Returns the body of a request for credentials to Cloudflare's service. `ttl` is in seconds.
#[must_use]
pub fn cloudflare_request(ttl: u64) -> String {
    format!(r#"{{"ttl":{ttl}}}"#)
}

/// The TURN part of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// TURN is not configured, or this client may not receive credentials.
    Off,
    /// TURN is configured, but the TURN service failed.
    Degraded,
    /// TURN is available with these credentials.
    On(TurnServer),
}

/// The two formats of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceFormat {
    /// `GET /ice-servers`: an array of all servers, for the `iceServers` of an `RTCPeerConnection`.
    List,
    /// `GET /iceServers`: one server object with all URLs.
    One,
}

impl Ice {
    /// Encodes the response as JSON. Only the list format has the field `ttl`, the lifetime of the
    /// response in seconds. The field is absent if TURN is off, because the response then does not
    /// expire.
    #[must_use]
    pub fn answer(&self, format: IceFormat, state: &TurnState) -> String {
        let (turn, degraded, ttl) = match state {
            TurnState::Off => (None, None, None),
            TurnState::Degraded => (None, Some("true"), Some(DEGRADED_TTL)),
            TurnState::On(turn) => (Some(turn), None, Some(self.ttl)),
        };
        let urls = |urls: &[String]| array(urls.iter().map(|url| quote(url)));
        let answer = ObjectWriter::new(0);
        let answer = match format {
            IceFormat::List => {
                let stun = ObjectWriter::new(0).raw("urls", &urls(&self.stun));
                let stun = (!self.stun.is_empty()).then(|| stun.end());
                // Serializing strings and arrays never fails.
                let turn = turn.and_then(|turn| serde_json::to_string(turn).ok());
                let ttl = ttl.map(|ttl| ttl.to_string());
                answer
                    .raw("iceServers", &array(stun.into_iter().chain(turn)))
                    .optional_raw("ttl", ttl.as_deref())
            }
            IceFormat::One => {
                let turn_urls = turn.map_or(&[][..], |turn| &turn.urls);
                answer
                    .raw("urls", &urls(&[&self.stun, turn_urls].concat()))
                    .optional_string("username", turn.map(|turn| &*turn.username))
                    .optional_string("credential", turn.map(|turn| &*turn.credential))
            }
        };
        answer.optional_raw("degraded", degraded).end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const NOW: Time = Time(1_000_000_999);

    fn ice() -> Ice {
        Ice {
            stun: vec!["stun:a.example".into()],
            turn: None,
            ttl: 3_600,
            open: true,
        }
    }

    fn turn() -> TurnServer {
        let urls = ["turn:b.example".to_owned()];
        let peer = PeerId::parse("ann:1");
        TurnServer::shared(&urls, "north of the river", 3_600, NOW, peer.as_ref()).unwrap()
    }

    fn answer(ice: &Ice, format: IceFormat, state: &TurnState) -> Value {
        serde_json::from_str(&ice.answer(format, state)).unwrap()
    }

    #[test]
    fn a_shared_secret_makes_the_same_credential_as_the_turn_server() {
        // The expected credential is the output of:
        // printf 1003600:ann:1 | openssl dgst -sha1 -hmac 'north of the river' -binary | base64
        let turn = turn();
        assert_eq!(turn.username, "1003600:ann:1");
        assert_eq!(turn.credential, "zlVAWLQk7hTMkQFWtuW6hMsByFg=");
    }

    #[test]
    fn the_hmac_matches_the_vector_of_rfc_2202() {
        // Test case 2 of RFC 2202, section 3. The digest is encoded in standard base64 with
        // padding.
        let mac = Hmac::<Sha1>::new_from_slice(b"Jefe").unwrap();
        let mac = mac.chain_update("what do ya want for nothing?").finalize();
        assert_eq!(
            BASE64_STANDARD.encode(mac.into_bytes()),
            "7/zfauXrL6LSdBbV8YTfnCWafHk="
        );
    }

    #[test]
    fn credentials_without_a_peer_are_anonymous_and_expire() {
        let turn = TurnServer::shared(&[], "secret", 60, NOW, None).unwrap();
        assert_eq!(turn.username, "1000060:anonymous");
        let late = TurnServer::shared(&[], "secret", u64::MAX, NOW, None).unwrap();
        assert_eq!(late.username, format!("{}:anonymous", u64::MAX));
    }

    #[test]
    fn a_list_has_one_entry_for_stun_and_one_for_turn() {
        let turn = turn();
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::On(turn.clone())),
            json!({
                "iceServers": [
                    { "urls": ["stun:a.example"] },
                    {
                        "urls": ["turn:b.example"],
                        "username": turn.username,
                        "credential": turn.credential,
                    },
                ],
                "ttl": 3_600,
            })
        );
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::Off),
            json!({ "iceServers": [{ "urls": ["stun:a.example"] }] })
        );
        // A browser throws a SyntaxError for a server without URLs.
        let bare = Ice {
            stun: vec![],
            ..ice()
        };
        assert_eq!(
            answer(&bare, IceFormat::List, &TurnState::Off),
            json!({ "iceServers": [] })
        );
    }

    #[test]
    fn the_single_server_has_all_urls() {
        let turn = turn();
        assert_eq!(
            answer(&ice(), IceFormat::One, &TurnState::On(turn.clone())),
            json!({
                "urls": ["stun:a.example", "turn:b.example"],
                "username": turn.username,
                "credential": turn.credential,
            })
        );
        assert_eq!(
            answer(&ice(), IceFormat::One, &TurnState::Off),
            json!({ "urls": ["stun:a.example"] })
        );
    }

    #[test]
    fn an_answer_is_degraded_to_stun_when_the_turn_service_fails() {
        for format in [IceFormat::List, IceFormat::One] {
            let answer = answer(&ice(), format, &TurnState::Degraded);
            assert_eq!(answer["degraded"], true);
            assert!(answer.to_string().contains("stun:a.example"));
        }
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::Degraded)["ttl"],
            DEGRADED_TTL
        );
    }

    #[test]
    fn only_the_turn_server_is_read_from_an_answer_of_cloudflare() {
        let body = json!({ "iceServers": [
            { "urls": ["stun:s.example"] },
            {
                "urls": ["stun:s.example", "turn:t.example?transport=udp", "turns:t.example:443"],
                "username": "u",
                "credential": "c",
                "later": "keys",
            },
        ] });
        let turn = TurnServer::cloudflare(&body.to_string()).unwrap();
        assert_eq!(
            json!(turn),
            json!({
                "urls": ["turn:t.example?transport=udp", "turns:t.example:443"],
                "username": "u",
                "credential": "c",
            })
        );
        assert_eq!(cloudflare_request(60), r#"{"ttl":60}"#);
    }

    #[test]
    fn an_answer_of_cloudflare_without_turn_is_rejected() {
        let turn = json!({ "urls": ["turn:t.example"], "username": "u", "credential": "c" });
        for (key, value) in [
            ("urls", json!([])),
            ("urls", json!(["stun:t.example", "javascript:0"])),
            ("urls", json!("turn:t.example")),
            ("username", json!("")),
            ("username", json!(null)),
            ("credential", json!("")),
            ("credential", json!(7)),
        ] {
            let mut server = turn.clone();
            server[key] = value;
            let body = json!({ "iceServers": [server] }).to_string();
            assert_eq!(TurnServer::cloudflare(&body), None, "{body}");
        }
        for body in [
            "",
            "{}",
            "<html>",
            "null",
            r#"{"iceServers":{}}"#,
            r#"{"iceServers":[]}"#,
        ] {
            assert_eq!(TurnServer::cloudflare(body), None, "{body}");
        }
    }
}
