//! The settings of the Worker, with their defaults and limits.
//!
//! An invalid setting is an error. If the default replaced an invalid `MAX_PEERS`, a room meant for
//! two peers could admit 64.

use super::setting::{BadSetting, Range, boolean, is_origin, number};
use crate::core::event::Limits;
use crate::dialect::family::Family;
use crate::edge::admission::Secrets;
use crate::edge::ice::Ice;
use crate::edge::live::LiveSettings;

/// The range of `MAX_PEERS`. The maximum is half of the platform's limit of 32,768 WebSockets for
/// each object, because a closing WebSocket also counts until the client replies with a Close
/// frame.
const PEERS: Range = Range {
    default: 64,
    min: 1,
    max: 16_384,
    unit: None,
};

/// The range of `MAX_VIEWERS`. Its maximum has the same reason as the maximum of `MAX_PEERS`.
const VIEWERS: Range = Range {
    default: 1_000,
    ..PEERS
};

/// The range of `MAX_CLIENTS`. The default is the limit of the server of `PeerJS`. Its maximum has the
/// same reason as the maximum of `MAX_PEERS`.
const CLIENTS: Range = Range {
    default: 5_000,
    ..PEERS
};

/// The range of `RECONNECT_GRACE`. One day is longer than any reconnect takes.
const GRACE: Range = seconds(15, 0, 86_400);

/// The range of `HOLD_FOR_NEXT`. The platform supports alarms one day ahead.
const HOLD: Range = seconds(120, 0, 86_400);

/// The range of `PING_INTERVAL`. Many proxies close connections that are idle for a minute, so the
/// default is shorter.
const PING: Range = seconds(25, 1, 300);

/// The time for which a signal waits for a `PeerJS` client that is just joining, in milliseconds: the
/// default `expire_timeout` of the server of `PeerJS`.
const AWAIT_PEER_MS: u64 = 5_000;

const fn seconds(default: u64, min: u64, max: u64) -> Range {
    Range {
        default,
        min,
        max,
        unit: Some("seconds"),
    }
}

/// All settings of the Worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The values of `MAX_PEERS`, `MAX_VIEWERS`, `RECONNECT_GRACE` and `HOLD_FOR_NEXT`: the limits of
    /// a room in [`Family::Party`].
    pub limits: Limits,
    /// `MAX_CLIENTS`: the maximum number of peers of a room in any other family, including absent peers.
    pub clients: usize,
    /// `ALLOWED_ORIGINS`: the origins whose pages may use this server. Empty: every origin is
    /// allowed.
    pub origins: Vec<String>,
    /// `ROOM_SECRET` and `ROOM_SECRET_PREVIOUS`: the secrets that tokens and keys are signed with.
    /// `None`: tokens are not required.
    pub secrets: Option<Secrets>,
    /// `CLOSE_EXPIRED`: whether an open connection is closed when its token expires.
    pub close_expired: bool,
    /// `PING_INTERVAL`: the time between two pings of an event stream, in milliseconds.
    pub ping: u64,
    /// The settings of STUN and TURN.
    pub ice: Ice,
    /// The settings of live sessions.
    pub live: LiveSettings,
}

impl Settings {
    /// Returns the secret that signs what the server issues.
    #[must_use]
    pub fn signing_secret(&self) -> Option<&str> {
        self.secrets.as_ref().map(|secrets| &*secrets.current)
    }

    /// Returns the limits of a room in a family.
    #[must_use]
    pub fn limits_of(&self, family: Family) -> Limits {
        match family {
            Family::Party => self.limits,
            Family::PeerJs => Limits {
                peers: self.clients,
                hides_peers: true,
                await_peer: AWAIT_PEER_MS,
                ..self.limits
            },
            _ => Limits {
                peers: self.clients,
                ..self.limits
            },
        }
    }

    /// Reads the settings. `find` returns the value of a setting, or `None` if the setting is
    /// absent.
    ///
    /// # Errors
    ///
    /// The first setting with an invalid value.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let peers = number(&find, "MAX_PEERS", &PEERS)?;
        let viewers = number(&find, "MAX_VIEWERS", &VIEWERS)?;
        let clients = number(&find, "MAX_CLIENTS", &CLIENTS)?;
        let milliseconds =
            |name, range| number(&find, name, range).map(|seconds| seconds.saturating_mul(1_000));
        Ok(Self {
            limits: Limits {
                peers: usize::try_from(peers).unwrap_or(usize::MAX),
                viewers: usize::try_from(viewers).unwrap_or(usize::MAX),
                grace: milliseconds("RECONNECT_GRACE", &GRACE)?,
                hold: milliseconds("HOLD_FOR_NEXT", &HOLD)?,
                hides_peers: false,
                await_peer: 0,
            },
            clients: usize::try_from(clients).unwrap_or(usize::MAX),
            ping: milliseconds("PING_INTERVAL", &PING)?,
            origins: origins(&find("ALLOWED_ORIGINS").unwrap_or_default())?,
            secrets: Secrets::read(&find)?,
            close_expired: boolean(&find, "CLOSE_EXPIRED")?,
            ice: Ice::read(&find)?,
            live: LiveSettings::read(&find)?,
        })
    }
}

/// Splits a comma-separated list of origins. Each origin must have the form that browsers send,
/// because origins are compared as text.
fn origins(listed: &str) -> Result<Vec<String>, BadSetting> {
    let origins = listed.split(',').map(str::trim);
    let origins = origins.filter(|origin| !origin.is_empty());
    origins
        .map(|origin| {
            if is_origin(origin) {
                return Ok(origin.to_owned());
            }
            let expected = "a comma-separated list of origins, \
                 such as https://game.example,http://localhost:8080";
            Err(BadSetting::variable("ALLOWED_ORIGINS", origin, expected))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Settings, BadSetting> {
        Settings::read(|setting| (setting == name).then(|| value.to_owned()))
    }

    #[test]
    fn defaults_apply_when_no_setting_is_given() {
        let limits = Limits {
            peers: 64,
            viewers: 1_000,
            grace: 15_000,
            hold: 120_000,
            hides_peers: false,
            await_peer: 0,
        };
        let defaults = Settings {
            limits,
            clients: 5_000,
            origins: vec![],
            secrets: None,
            close_expired: false,
            ping: 25_000,
            ice: Ice::read(|_| None).unwrap(),
            live: LiveSettings::default(),
        };
        assert_eq!(Settings::read(|_| None), Ok(defaults.clone()));
        assert_eq!(read("ALLOWED_ORIGINS", ""), Ok(defaults));
    }

    #[test]
    fn an_invalid_number_is_refused_with_the_name_of_its_setting() {
        for name in [
            "MAX_PEERS",
            "MAX_VIEWERS",
            "MAX_CLIENTS",
            "RECONNECT_GRACE",
            "HOLD_FOR_NEXT",
            "PING_INTERVAL",
        ] {
            for value in [
                "",
                "many",
                "-1",
                "+5",
                "1.5",
                "1e3",
                " 5",
                "15s",
                "99999999999999999999",
            ] {
                assert_eq!(read(name, value).unwrap_err().name, name, "{value:?}");
            }
        }
        assert!(read("MAX_PEERS", "0").is_err());
        assert!(read("PING_INTERVAL", "0").is_err());
        assert_eq!(read("RECONNECT_GRACE", "0").unwrap().limits.grace, 0);
        assert_eq!(
            read("MAX_PEERS", "none").unwrap_err().to_string(),
            "the setting MAX_PEERS is \"none\": it must be a whole number from 1 to 16384. \
             Correct MAX_PEERS in wrangler.toml and deploy again"
        );
        let message = read("RECONNECT_GRACE", "15s").unwrap_err().to_string();
        assert!(message.contains("a whole number of seconds from 0 to 86400"));
    }

    #[test]
    fn the_number_of_peers_has_a_limit_of_its_own_in_each_family() {
        let settings = read("MAX_CLIENTS", "7").unwrap();
        let peers = Family::ALL.map(|family| settings.limits_of(family).peers);
        assert_eq!(peers, [64, 7, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn an_origin_is_accepted_only_as_browsers_send_it() {
        let origins = read(
            "ALLOWED_ORIGINS",
            "https://a.example, http://localhost:8080",
        )
        .unwrap();
        assert_eq!(
            origins.origins,
            ["https://a.example", "http://localhost:8080"]
        );
        for bad in [
            "a.example",
            "https://a.example/",
            "https://*.a.example",
            "HTTPS://a.example",
            "*",
            "https://",
        ] {
            assert_eq!(
                read("ALLOWED_ORIGINS", bad).unwrap_err().name,
                "ALLOWED_ORIGINS",
                "{bad}"
            );
        }
    }

    #[test]
    fn a_short_secret_is_refused_and_never_quoted() {
        assert_eq!(
            read("ROOM_SECRET", "hunter2").unwrap_err().to_string(),
            "the setting ROOM_SECRET has 7 bytes: it must be at least 32 bytes long. \
             Set it with `npx wrangler secret put ROOM_SECRET`"
        );
        assert!(read("ROOM_SECRET", "").is_err());
        assert!(
            read("ROOM_SECRET", &"s".repeat(32))
                .unwrap()
                .secrets
                .is_some()
        );
    }

    #[test]
    fn expired_connections_are_closed_only_if_the_setting_is_true() {
        let close = |value| read("CLOSE_EXPIRED", value).map(|settings| settings.close_expired);
        assert_eq!((close("true"), close("false")), (Ok(true), Ok(false)));
        for invalid in ["", "1", "True", "yes"] {
            assert_eq!(close(invalid).unwrap_err().name, "CLOSE_EXPIRED");
        }
    }
}
