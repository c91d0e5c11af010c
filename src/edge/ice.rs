//! Which ICE servers a peer is told of, and the credentials that let it use those with TURN.
//!
//! It calls nobody: what Cloudflare's TURN service has to be asked, and how its answer is read, is
//! here, while the shell makes the call.
//!
//! | request | answer |
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
use crate::dialect::json::{Object, list, unquote};

/// For how many seconds an answer without the TURN that it should have is good: long enough not to
/// press a service that fails, short enough for a call that lasts.
const DEGRADED_TTL: u64 = 300;

/// Where ICE servers come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ice {
    /// `STUN_URLS`: may be none.
    pub stun: Vec<String>,
    /// Who relays.
    pub turn: Option<Turn>,
    /// `TURN_TTL`: for how many seconds credentials are good.
    pub ttl: u64,
    /// `TURN_OPEN`: whether they are given to everybody where no token is asked for.
    pub open: bool,
}

/// Who relays for peers that cannot reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// A server that has a secret in common with us, as coturn with `use-auth-secret` does.
    Shared {
        /// `TURN_URLS`: at least one.
        urls: Vec<String>,
        /// `TURN_SECRET`.
        secret: String,
    },
    /// Cloudflare's service, which makes credentials when it is asked.
    Cloudflare {
        /// Where to ask, made of `CLOUDFLARE_TURN_API` and `CLOUDFLARE_TURN_KEY_ID`.
        url: String,
        /// `CLOUDFLARE_TURN_API_TOKEN`.
        token: String,
    },
}

/// A TURN server, and what opens it for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Relay {
    urls: Vec<String>,
    username: String,
    credential: String,
}

impl Relay {
    /// Makes credentials that a server with the same secret accepts until they expire. There is no
    /// standard, only what all of them do: the username is the second in which it expires (since
    /// 1970), a colon, and whom it is for; the password is its HMAC-SHA1 in base64.
    #[must_use]
    pub fn shared(
        urls: &[String],
        secret: &str,
        ttl: u64,
        now: Time,
        peer: Option<&PeerId>,
    ) -> Option<Self> {
        let now = std::time::Duration::from_millis(now.0).as_secs();
        let peer = peer.map_or("anonymous", PeerId::as_str);
        let username = format!("{}:{peer}", now.saturating_add(ttl));
        // HMAC takes keys of any length, so there is always a `Some`.
        let mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).ok()?;
        let mac = mac.chain_update(&username).finalize().into_bytes();
        Some(Self {
            urls: urls.to_vec(),
            username,
            credential: BASE64_STANDARD.encode(mac),
        })
    }

    /// Reads what Cloudflare's service has answered: its first server with TURN. Its STUN servers
    /// are left out, since those are for `STUN_URLS` to say.
    #[must_use]
    pub fn cloudflare(body: &str) -> Option<Self> {
        let mut body = Object::read(body).ok()?;
        let servers = list(body.take("iceServers")?).ok()?;
        servers.into_iter().find_map(|server| {
            let mut server = Object::read(server).ok()?;
            let urls = list(server.take("urls")?).ok()?.into_iter();
            let urls = urls.map(|url| unquote(url).map(Cow::into_owned));
            let mut urls = urls.collect::<Option<Vec<_>>>()?;
            urls.retain(|url| settings::is_turn(url));
            let mut told = |key| {
                let text = server.take_string(key).ok()??;
                (!text.is_empty()).then(|| text.into_owned())
            };
            let relay = Self {
                urls,
                username: told("username")?,
                credential: told("credential")?,
            };
            (!relay.urls.is_empty()).then_some(relay)
        })
    }
}

/// What Cloudflare's service is asked for.
#[must_use]
pub fn cloudflare_request(ttl: u64) -> String {
    format!(r#"{{"ttl":{ttl}}}"#)
}

/// What came of looking for a relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// There is none to be had here.
    Off,
    /// There should be one, but the service failed.
    Degraded,
    /// There is one.
    On(Relay),
}

/// In which form the answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceFormat {
    /// `GET /ice-servers`: all servers, ready for `new RTCPeerConnection(…)`.
    List,
    /// `GET /iceServers`: one server with all URLs.
    One,
}

impl Ice {
    /// The answer. Its `ttl` is the time in seconds for which it is good; without one, it does not
    /// expire.
    #[must_use]
    pub fn answer(&self, form: IceFormat, relaying: &TurnState) -> String {
        let (relay, degraded, ttl) = match relaying {
            TurnState::Off => (None, None, None),
            TurnState::Degraded => (None, Some(true), Some(DEGRADED_TTL)),
            TurnState::On(relay) => (Some(relay), None, Some(self.ttl)),
        };
        let answer = match form {
            IceFormat::List => {
                let stun = (!self.stun.is_empty()).then_some(Server::Stun { urls: &self.stun });
                let servers = stun.into_iter().chain(relay.map(Server::Turn));
                serde_json::to_string(&List {
                    ice_servers: servers.collect(),
                    ttl,
                    degraded,
                })
            }
            IceFormat::One => {
                let turn = relay.map(|relay| &relay.urls);
                serde_json::to_string(&One {
                    urls: self.stun.iter().chain(turn.into_iter().flatten()).collect(),
                    username: relay.map(|relay| &*relay.username),
                    credential: relay.map(|relay| &*relay.credential),
                    degraded,
                })
            }
        };
        // Text, numbers and lists of them always become JSON.
        answer.unwrap_or_default()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    ice_servers: Vec<Server<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Server<'a> {
    Stun { urls: &'a [String] },
    Turn(&'a Relay),
}

#[derive(Serialize)]
struct One<'a> {
    urls: Vec<&'a String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<bool>,
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

    fn relay() -> Relay {
        let urls = ["turn:b.example".to_owned()];
        let peer = PeerId::parse("ann:1");
        Relay::shared(&urls, "north of the river", 3_600, NOW, peer.as_ref()).unwrap()
    }

    fn answer(ice: &Ice, form: IceFormat, relaying: &TurnState) -> Value {
        serde_json::from_str(&ice.answer(form, relaying)).unwrap()
    }

    #[test]
    fn a_shared_secret_makes_the_credential_that_the_turn_server_will_make() {
        // printf 1003600:ann:1 | openssl dgst -sha1 -hmac 'north of the river' -binary | base64
        let relay = relay();
        assert_eq!(relay.username, "1003600:ann:1");
        assert_eq!(relay.credential, "zlVAWLQk7hTMkQFWtuW6hMsByFg=");
    }

    #[test]
    fn the_mac_is_that_of_rfc_2202() {
        // Its test case 2. Base64 is that of the standard alphabet, with padding.
        let mac = Hmac::<Sha1>::new_from_slice(b"Jefe").unwrap();
        let mac = mac.chain_update("what do ya want for nothing?").finalize();
        assert_eq!(
            BASE64_STANDARD.encode(mac.into_bytes()),
            "7/zfauXrL6LSdBbV8YTfnCWafHk="
        );
    }

    #[test]
    fn credentials_without_a_peer_are_for_anybody_and_expire_all_the_same() {
        let relay = Relay::shared(&[], "secret", 60, NOW, None).unwrap();
        assert_eq!(relay.username, "1000060:anonymous");
        let late = Relay::shared(&[], "secret", u64::MAX, NOW, None).unwrap();
        assert_eq!(late.username, format!("{}:anonymous", u64::MAX));
    }

    #[test]
    fn a_list_is_ready_for_a_peer_connection() {
        let relay = relay();
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::On(relay.clone())),
            json!({
                "iceServers": [
                    { "urls": ["stun:a.example"] },
                    {
                        "urls": ["turn:b.example"],
                        "username": relay.username,
                        "credential": relay.credential,
                    },
                ],
                "ttl": 3_600,
            })
        );
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::Off),
            json!({ "iceServers": [{ "urls": ["stun:a.example"] }] })
        );
        // A server without a URL is a SyntaxError in browsers.
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
    fn one_server_has_all_urls() {
        let relay = relay();
        assert_eq!(
            answer(&ice(), IceFormat::One, &TurnState::On(relay.clone())),
            json!({
                "urls": ["stun:a.example", "turn:b.example"],
                "username": relay.username,
                "credential": relay.credential,
            })
        );
        assert_eq!(
            answer(&ice(), IceFormat::One, &TurnState::Off),
            json!({ "urls": ["stun:a.example"] })
        );
    }

    #[test]
    fn a_service_that_fails_leaves_stun_and_says_so() {
        for form in [IceFormat::List, IceFormat::One] {
            let answer = answer(&ice(), form, &TurnState::Degraded);
            assert_eq!(answer["degraded"], true);
            assert!(answer.to_string().contains("stun:a.example"));
        }
        assert_eq!(
            answer(&ice(), IceFormat::List, &TurnState::Degraded)["ttl"],
            DEGRADED_TTL
        );
    }

    #[test]
    fn of_what_cloudflare_answers_the_turn_server_is_taken() {
        let body = json!({ "iceServers": [
            { "urls": ["stun:s.example"] },
            {
                "urls": ["stun:s.example", "turn:t.example?transport=udp", "turns:t.example:443"],
                "username": "u",
                "credential": "c",
                "later": "keys",
            },
        ] });
        let relay = Relay::cloudflare(&body.to_string()).unwrap();
        assert_eq!(
            json!(relay),
            json!({
                "urls": ["turn:t.example?transport=udp", "turns:t.example:443"],
                "username": "u",
                "credential": "c",
            })
        );
        assert_eq!(cloudflare_request(60), r#"{"ttl":60}"#);
    }

    #[test]
    fn an_answer_of_cloudflare_without_turn_is_none() {
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
            assert_eq!(Relay::cloudflare(&body), None, "{body}");
        }
        for body in [
            "",
            "{}",
            "<html>",
            "null",
            r#"{"iceServers":{}}"#,
            r#"{"iceServers":[]}"#,
        ] {
            assert_eq!(Relay::cloudflare(body), None, "{body}");
        }
    }
}
