//! Checks who may create, stop and read a live session.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{LiveSettings, NOT_CONFIGURED};
use crate::core::peer::Time;
use crate::core::refusal::{Code, Refusal};
use crate::edge::admission::{Secrets, check_control_token};
use crate::edge::header::token_in_authorization;
use crate::edge::route::{HttpError, host_of};
use crate::edge::signature::sign;

/// The parts of a request that show who sent it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller<'a> {
    /// The URL of the request.
    pub url: &'a str,
    /// The header `CF-Connecting-IP`, which the platform sets.
    pub address: Option<&'a str>,
    /// The header `Origin`.
    pub origin: Option<&'a str>,
    /// The header `Authorization`.
    pub authorization: Option<&'a str>,
}

/// The credentials for one live session, in addition to those of the [`Caller`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Credentials<'a> {
    /// The name of the session.
    pub session: &'a str,
    /// The tokens in the URL.
    pub tokens: &'a [String],
    /// The `stopKey` in the body.
    pub stop_key: Option<&'a str>,
}

impl LiveSettings {
    /// Checks that the caller is the back end: it has `LIVE_KEY`. Without that setting, it must be on
    /// this machine.
    ///
    /// # Errors
    ///
    /// - 401 `unauthorized`: the key is missing or wrong
    /// - 503 `not-configured`: `LIVE_KEY` is not set, and the caller may be on another machine
    pub fn check_back_end(&self, caller: &Caller<'_>) -> Result<(), HttpError> {
        let bearer = caller.authorization.and_then(token_in_authorization);
        match &self.key {
            Some(key) if bearer.is_some_and(|bearer| is_same(bearer, key)) => Ok(()),
            Some(_) => Err(unauthorized(
                "the request has no valid key: expected the header `Authorization: Bearer` with the \
                 LIVE_KEY of this server. Send the request from your back end",
            )),
            None if caller.is_local() => Ok(()),
            None => Err(without_key()),
        }
    }

    /// Checks that the caller may stop and read a session: it is the back end, or has the `stopKey` of
    /// the session, or a token for the room with the claim `"live":"control"`. `secrets` are
    /// those of `ROOM_SECRET`.
    ///
    /// # Errors
    ///
    /// - 401 `unauthorized`: there is no valid credential
    /// - 503 `not-configured`: neither `LIVE_KEY` nor `ROOM_SECRET` is set, and the caller may be on
    ///   another machine
    pub fn check_control(
        &self,
        caller: &Caller<'_>,
        credentials: &Credentials<'_>,
        secrets: Option<&Secrets>,
        now: Time,
    ) -> Result<(), HttpError> {
        let Credentials {
            session,
            tokens,
            stop_key: sent,
        } = credentials;
        let refused = match self.check_back_end(caller) {
            Ok(()) => return Ok(()),
            Err(refused) => refused,
        };
        let bearer = caller.authorization.and_then(token_in_authorization);
        if let Some(key) = &self.key
            && let Some(expected) = stop_key(key, session)
            && [*sent, bearer]
                .into_iter()
                .flatten()
                .any(|sent| is_same(sent, &expected))
        {
            return Ok(());
        }
        let mut tokens = bearer.into_iter().chain(tokens.iter().map(String::as_str));
        let (Some(secrets), Some(token)) = (secrets, tokens.next()) else {
            return Err(match self.key {
                Some(_) => unauthorized(
                    "the request has no valid credential for this session: expected LIVE_KEY, the \
                     `stopKey` of the session, or a token with the claim \"live\":\"control\". Send \
                     one of them",
                ),
                None => refused,
            });
        };
        if tokens.next().is_some() {
            return Err(unauthorized(
                "the request has more than one token: expected one, in the URL or in \
                 `Authorization`. Send the token in one place",
            ));
        }
        check_control_token(secrets, token, now, session).map_err(HttpError::refused)
    }
}

impl Caller<'_> {
    /// Returns whether the request comes from this machine: from a program, or from a page that this
    /// machine serves. A page of another origin could otherwise send requests to a development server.
    fn is_local(&self) -> bool {
        let is_loopback = |address: &str| {
            let address = address.parse::<IpAddr>();
            address.is_ok_and(|address| address.to_canonical().is_loopback())
        };
        host_of(self.url).is_some_and(is_local_host)
            && self.address.is_none_or(is_loopback)
            && self
                .origin
                .is_none_or(|origin| host_of(origin).is_some_and(is_local_host))
    }
}

/// Returns whether a host, which may have a port, is a name of this machine.
pub(super) fn is_local_host(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"]
        .into_iter()
        .any(|local| {
            let port = host.strip_prefix(local);
            port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
        })
}

/// Returns the key that stops and reads one session: the HMAC-SHA256 of its name by `LIVE_KEY`, in
/// base64url. The purpose at the start separates it from other uses of `LIVE_KEY`.
#[must_use]
pub fn stop_key(key: &str, session: &str) -> Option<String> {
    let signature = sign(key, &format!("stop:{session}"))?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(signature))
}

/// Compares two secrets in constant time. Their hashes are compared, so that the time does not depend
/// on their lengths either.
fn is_same(one: &str, other: &str) -> bool {
    let [one, other] = [one, other].map(|text| Sha256::digest(text.as_bytes()));
    one.as_slice().ct_eq(other.as_slice()).into()
}

fn unauthorized(message: &'static str) -> HttpError {
    HttpError::refused(Refusal::new(Code::Unauthorized, message))
}

fn without_key() -> HttpError {
    let message = "live sessions are closed to other machines: expected the secret LIVE_KEY. Set it with \
         `npx wrangler secret put LIVE_KEY`, and send it as `Authorization: Bearer`";
    HttpError::new(503, NOT_CONFIGURED, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::admission::sign_claims;

    const KEY: &str = "a-live-key-that-is-long-enough-to-be-one";
    const SECRET: &str = "a secret that is long enough to be one";
    const NOW: Time = Time(1_000_000_000);
    const AWAY: Caller<'_> = Caller {
        url: "https://live.example/create-session",
        address: Some("203.0.113.7"),
        origin: None,
        authorization: None,
    };

    fn live(key: Option<&str>) -> LiveSettings {
        LiveSettings {
            key: key.map(str::to_owned),
            ..LiveSettings::default()
        }
    }

    fn status(result: Result<(), HttpError>) -> u16 {
        result.map_or_else(|error| error.status, |()| 200)
    }

    #[test]
    fn the_back_end_has_the_key() {
        let create = |authorization: &str| {
            let authorization = Some(authorization);
            let caller = Caller {
                authorization,
                ..AWAY
            };
            status(live(Some(KEY)).check_back_end(&caller))
        };
        assert_eq!(create(&format!("Bearer {KEY}")), 200);
        assert_eq!(create(&format!("bearer  {KEY}")), 200);
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            KEY,
            &format!("Basic {KEY}"),
            &format!("Bearer {KEY}x"),
        ] {
            assert_eq!(create(wrong), 401, "{wrong}");
        }
        let local = Caller {
            url: "http://localhost/create-session",
            address: None,
            ..AWAY
        };
        assert_eq!(status(live(Some(KEY)).check_back_end(&local)), 401);
    }

    #[test]
    fn without_a_key_only_this_machine_may_create_sessions() {
        for (url, address, origin, expected) in [
            ("http://localhost:1999/x", None, None, 200),
            ("http://127.0.0.1/x", Some("127.0.0.1"), None, 200),
            (
                "http://[::1]:8080/x",
                Some("::1"),
                Some("http://localhost:1999"),
                200,
            ),
            ("http://localhost/x", Some("::ffff:127.0.0.1"), None, 200),
            ("http://localhost/x", Some("203.0.113.7"), None, 503),
            ("http://localhost/x", Some("somewhere"), None, 503),
            ("https://live.example/x", None, None, 503),
            (
                "https://live.example/localhost",
                Some("127.0.0.1"),
                None,
                503,
            ),
            ("http://localhost.example/x", Some("127.0.0.1"), None, 503),
            ("http://127.0.0.1.example/x", None, None, 503),
            ("http://user@localhost/x", None, None, 503),
            (
                "http://localhost/x",
                None,
                Some("https://evil.example"),
                503,
            ),
            (
                "http://localhost/x",
                None,
                Some("http://localhost.example"),
                503,
            ),
            ("http://localhost/x", None, Some("null"), 503),
        ] {
            let caller = Caller {
                url,
                address,
                origin,
                authorization: Some("Bearer x"),
            };
            assert_eq!(
                status(live(None).check_back_end(&caller)),
                expected,
                "{caller:?}"
            );
        }
    }

    /// Returns the status for a caller with this bearer token and this `stopKey`.
    fn control(key: Option<&str>, bearer: Option<&str>, stop_key: Option<&str>) -> u16 {
        let authorization = bearer.map(|bearer| format!("Bearer {bearer}"));
        let caller = Caller {
            authorization: authorization.as_deref(),
            ..AWAY
        };
        let credentials = Credentials {
            session: "demo",
            tokens: &[],
            stop_key,
        };
        status(live(key).check_control(&caller, &credentials, Some(&SECRET.into()), NOW))
    }

    #[test]
    fn a_session_is_controlled_with_the_key_or_its_stop_key() {
        // printf stop:demo | openssl dgst -sha256 -hmac Jefe -binary | basenc --base64url
        let expected = "P2-439p5F3Dlq5y7y3M3F92bLB2WzojHbLinZO7dP14";
        assert_eq!(stop_key("Jefe", "demo").as_deref(), Some(expected));
        let (own, other) = (stop_key(KEY, "demo"), stop_key(KEY, "other"));
        assert_eq!(control(Some(KEY), Some(KEY), None), 200);
        assert_eq!(control(Some(KEY), None, own.as_deref()), 200);
        assert_eq!(control(Some(KEY), own.as_deref(), None), 200);
        for wrong in [None, Some(""), other.as_deref(), Some("x")] {
            assert_eq!(control(Some(KEY), wrong, wrong), 401, "{wrong:?}");
        }
        assert_eq!(control(None, None, own.as_deref()), 503);
    }

    #[test]
    fn a_session_is_controlled_with_a_token_that_says_so() {
        let token =
            |claims: &str| sign_claims(SECRET, &format!(r#"{{"exp":1000001,{claims}}}"#)).unwrap();
        for good in [
            r#""room":"demo","live":"control""#,
            r#""room":"*","live":"control","sub":"ann""#,
        ] {
            assert_eq!(control(Some(KEY), Some(&token(good)), None), 200, "{good}");
            assert_eq!(control(None, Some(&token(good)), None), 200, "{good}");
        }
        for wrong in [
            r#""room":"other","live":"control""#,
            r#""room":"demo","live":"watch""#,
            r#""room":"demo","live":true"#,
            r#""room":"demo""#,
            r#""room":"demo","live":"control","nbf":1000061"#,
        ] {
            assert_eq!(
                control(Some(KEY), Some(&token(wrong)), None),
                401,
                "{wrong}"
            );
        }
        let good = token(r#""room":"demo","live":"control""#);
        let both = [good.clone(), good];
        for (tokens, expected) in [(&both[..1], 200), (&both[..], 401), (&[], 401)] {
            let credentials = Credentials {
                session: "demo",
                tokens,
                stop_key: None,
            };
            let checked =
                live(Some(KEY)).check_control(&AWAY, &credentials, Some(&SECRET.into()), NOW);
            assert_eq!(status(checked), expected);
            let unset = live(Some(KEY)).check_control(&AWAY, &credentials, None, NOW);
            assert_eq!(status(unset), 401, "tokens need ROOM_SECRET");
        }
    }
}
