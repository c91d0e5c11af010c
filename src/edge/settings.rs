//! What whoever runs the Worker can set, each with its limits of sense.
//!
//! A setting that cannot be read is an error, never a guess: a room that was meant to hold two and
//! holds sixty-four is worse than one that says what is wrong.

use super::setting::{BadSetting, number};
use crate::core::event::Limits;
use crate::edge::ice::Ice;

/// All settings, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MAX_PEERS`, `RECONNECT_GRACE`, `HOLD_FOR_NEXT`.
    pub limits: Limits,
    /// `ALLOWED_ORIGINS`: who may open a socket or fetch from a page; empty for everybody.
    pub origins: Vec<String>,
    /// `ROOM_SECRET`: what tokens are signed with; without one, no token is asked for.
    pub secret: Option<String>,
    /// `PING_INTERVAL`: after how many milliseconds an event stream is pinged.
    pub ping: u64,
    /// All that has STUN or TURN in its name.
    pub ice: Ice,
}

impl Settings {
    /// Reads the settings; `find` gives the value of one by its name, if it is set.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be read.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let number =
            |name, default, least, most, unit| number(&find, name, default, least, most, unit);
        // 32,768 sockets are the most that the platform gives one object; some may be closing.
        let peers = number("MAX_PEERS", 64, 1, 16_384, "")?;
        // A day is more than anybody waits, and an alarm a day ahead is nothing odd.
        let grace = number("RECONNECT_GRACE", 15, 0, 86_400, "of seconds ")?;
        let hold = number("HOLD_FOR_NEXT", 120, 0, 86_400, "of seconds ")?;
        // What stands between two ends often drops what was silent for a minute.
        let ping = number("PING_INTERVAL", 25, 1, 300, "of seconds ")?;
        let listed = find("ALLOWED_ORIGINS").unwrap_or_default();
        let listed = listed
            .split(',')
            .map(str::trim)
            .filter(|origin| !origin.is_empty());
        Ok(Self {
            limits: Limits {
                peers: usize::try_from(peers).unwrap_or(usize::MAX),
                grace: grace.saturating_mul(1_000),
                hold: hold.saturating_mul(1_000),
            },
            origins: listed.map(origin).collect::<Result<_, _>>()?,
            secret: secret(find("ROOM_SECRET"))?,
            ping: ping.saturating_mul(1_000),
            ice: Ice::read(&find)?,
        })
    }
}

/// Checks that an origin is written as browsers send it, so that it can be compared as text.
fn origin(text: &str) -> Result<String, BadSetting> {
    let host = text
        .split_once("://")
        .filter(|(scheme, _)| !scheme.is_empty());
    let plain = |host: &str| !host.is_empty() && !host.contains(['/', '?', '#', '@', '*', ' ']);
    let written = host.is_some_and(|(_, host)| plain(host)) && text == text.to_ascii_lowercase();
    written.then(|| text.to_owned()).ok_or_else(|| BadSetting {
        name: "ALLOWED_ORIGINS",
        expected: "origins like https://game.example or http://localhost:8080, with commas between"
            .to_owned(),
    })
}

/// RFC 7518 §3.2 wants a key at least as long as the hash: 32 bytes.
fn secret(text: Option<String>) -> Result<Option<String>, BadSetting> {
    match text {
        Some(secret) if secret.len() < 32 => Err(BadSetting {
            name: "ROOM_SECRET",
            expected: "at least 32 bytes long".to_owned(),
        }),
        secret => Ok(secret),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, value: &str) -> Result<Settings, BadSetting> {
        Settings::read(|asked| (asked == name).then(|| value.to_owned()))
    }

    #[test]
    fn without_any_setting_everybody_may_come() {
        let limits = Limits {
            peers: 64,
            grace: 15_000,
            hold: 120_000,
        };
        let open = Settings {
            limits,
            origins: vec![],
            secret: None,
            ping: 25_000,
            ice: Ice::read(|_| None).unwrap(),
        };
        assert_eq!(Settings::read(|_| None), Ok(open.clone()));
        assert_eq!(read("ALLOWED_ORIGINS", ""), Ok(open));
    }

    #[test]
    fn a_number_that_makes_no_sense_is_named() {
        for name in [
            "MAX_PEERS",
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
            "the setting MAX_PEERS cannot be read: it must be a whole number from 1 to 16384"
        );
    }

    #[test]
    fn origins_are_as_browsers_send_them() {
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
    fn a_secret_that_can_be_guessed_is_refused() {
        assert!(read("ROOM_SECRET", "hunter2").is_err());
        assert!(
            read("ROOM_SECRET", &"s".repeat(32))
                .unwrap()
                .secret
                .is_some()
        );
    }
}
