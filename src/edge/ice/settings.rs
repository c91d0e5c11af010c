//! The settings of ICE: which servers there are, and for whom.
//!
//! A browser makes no connection at all with a URL that it cannot read, so they are read here first.

use super::super::setting::{BadSetting, number};
use super::{Ice, Turn};

/// What is there for all the world to use. It costs us nothing.
const DEFAULT_STUN: &str = "stun:stun.cloudflare.com:3478";

/// Where Cloudflare's service takes requests.
const CLOUDFLARE: &str = "https://rtc.live.cloudflare.com/v1";

impl Ice {
    /// Reads the settings; `find` gives the value of one by its name, if it is set.
    ///
    /// # Errors
    ///
    /// The first setting that cannot be read.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let stun = find("STUN_URLS").unwrap_or_else(|| DEFAULT_STUN.to_owned());
        let stun = urls("STUN_URLS", &stun, is_stun, "stun:host:port")?;
        let turn = find("TURN_URLS").unwrap_or_default();
        let expected = "turn:host:port or turns:host:port?transport=tcp";
        let turn = urls("TURN_URLS", &turn, is_turn, expected)?;
        Ok(Self {
            stun,
            turn: relay(turn, &find)?,
            // 48 hours are the most that Cloudflare's service gives; in less than a minute, nothing
            // is negotiated on a bad line.
            ttl: number(&find, "TURN_TTL", 3_600, 60, 172_800, "of seconds ")?,
            open: match find("TURN_OPEN").as_deref() {
                Some("true") => true,
                Some("false") | None => false,
                Some(_) => return Err(bad("TURN_OPEN", r#""true" or "false", as text"#)),
            },
        })
    }
}

/// Finds out who relays. What was begun and not ended is an error, and so is more than one.
fn relay(
    urls: Vec<String>,
    find: impl Fn(&str) -> Option<String>,
) -> Result<Option<Turn>, BadSetting> {
    let find = |name| find(name).filter(|text| !text.is_empty());
    let shared = match (urls.is_empty(), find("TURN_SECRET")) {
        (true, None) => None,
        (true, Some(_)) => return Err(bad("TURN_URLS", "set, since TURN_SECRET is")),
        // Whoever gets a credential can try secrets on it, at home.
        (false, secret) => match secret.filter(|secret| secret.len() >= 16) {
            Some(secret) => Some(Turn::Shared { urls, secret }),
            None => {
                return Err(bad(
                    "TURN_SECRET",
                    "at least 16 bytes long, if TURN_URLS is set",
                ));
            }
        },
    };
    let key = find("CLOUDFLARE_TURN_KEY_ID");
    let token = find("CLOUDFLARE_TURN_API_TOKEN");
    let (key, token) = match (key, token) {
        (None, None) => return Ok(shared),
        (Some(key), Some(token)) => (key, token),
        (Some(_), None) => return Err(bad("CLOUDFLARE_TURN_API_TOKEN", "set with its key's id")),
        (None, Some(_)) => return Err(bad("CLOUDFLARE_TURN_KEY_ID", "set with its API token")),
    };
    if shared.is_some() {
        let expected = "left out where TURN_URLS is set: one of the two relays";
        return Err(bad("CLOUDFLARE_TURN_KEY_ID", expected));
    }
    let word = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
    };
    if !word(&key) {
        return Err(bad("CLOUDFLARE_TURN_KEY_ID", "letters and digits alone"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = "ASCII without spaces, since it goes into a header";
        return Err(bad("CLOUDFLARE_TURN_API_TOKEN", expected));
    }
    let base = find("CLOUDFLARE_TURN_API").unwrap_or_else(|| CLOUDFLARE.to_owned());
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| base.strip_prefix(scheme));
    if !rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(['?', '#', ' '])) {
        let expected = format!("a URL like {CLOUDFLARE}");
        return Err(bad("CLOUDFLARE_TURN_API", &expected));
    }
    let base = base.trim_end_matches('/');
    let url = format!("{base}/turn/keys/{key}/credentials/generate-ice-servers");
    Ok(Some(Turn::Cloudflare { url, token }))
}

/// Reads URLs with commas between.
fn urls(
    name: &'static str,
    listed: &str,
    known: impl Fn(&str) -> bool,
    like: &str,
) -> Result<Vec<String>, BadSetting> {
    let listed = listed
        .split(',')
        .map(str::trim)
        .filter(|url| !url.is_empty());
    let read = |url: &str| known(url).then(|| url.to_owned());
    let expected = || bad(name, &format!("URLs like {like}, with commas between"));
    listed.map(|url| read(url).ok_or_else(expected)).collect()
}

/// Is it a URL of RFC 7064? Those have no query.
fn is_stun(url: &str) -> bool {
    let rest = ["stun:", "stuns:"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    rest.is_some_and(is_authority)
}

/// Is it a URL of RFC 7065?
pub(super) fn is_turn(url: &str) -> bool {
    let rest = ["turn:", "turns:"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    rest.is_some_and(|rest| match rest.split_once('?') {
        Some((authority, query)) => {
            is_authority(authority) && ["transport=udp", "transport=tcp"].contains(&query)
        }
        None => is_authority(rest),
    })
}

/// Is it a host, or a host, a colon and a port? The host may be an IPv6 address in brackets.
fn is_authority(text: &str) -> bool {
    let name = |host: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        !host.is_empty() && host.bytes().all(known)
    };
    let address = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
    let port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    if let Some(text) = text.strip_prefix('[') {
        return text.split_once(']').is_some_and(|(host, rest)| {
            address(host) && (rest.is_empty() || rest.strip_prefix(':').is_some_and(port))
        });
    }
    match text.split_once(':') {
        Some((host, text)) => name(host) && port(text),
        None => name(text),
    }
}

fn bad(name: &'static str, expected: &str) -> BadSetting {
    BadSetting {
        name,
        expected: expected.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: (&str, &str) = ("TURN_SECRET", "long enough for a secret");
    const KEY: (&str, &str) = ("CLOUDFLARE_TURN_KEY_ID", "0a1b");
    const TOKEN: (&str, &str) = ("CLOUDFLARE_TURN_API_TOKEN", "c2d3");

    fn read(set: &[(&str, &str)]) -> Result<Ice, BadSetting> {
        Ice::read(|asked| {
            let found = set.iter().find(|(name, _)| *name == asked);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn blamed(set: &[(&str, &str)]) -> &'static str {
        read(set).unwrap_err().name
    }

    #[test]
    fn without_any_setting_there_is_stun_alone() {
        let ice = Ice {
            stun: vec!["stun:stun.cloudflare.com:3478".into()],
            turn: None,
            ttl: 3_600,
            open: false,
        };
        assert_eq!(read(&[]), Ok(ice.clone()));
        assert_eq!(read(&[("TURN_URLS", ""), ("TURN_SECRET", "")]), Ok(ice));
        assert!(read(&[("STUN_URLS", " ")]).unwrap().stun.is_empty());
    }

    #[test]
    fn urls_that_a_browser_would_not_take_are_named() {
        let good = "stun:a.example, stuns:a.example:5349,stun:[::1]:3478,stun:192.0.2.1";
        assert_eq!(read(&[("STUN_URLS", good)]).unwrap().stun.len(), 4);
        for bad in [
            "a.example",
            "stun:",
            "stun://a.example",
            "stun:a.example:",
            "stun:a.example:0",
            "stun:a.example:65536",
            "stun:a.example:+1",
            "stun:a.example?transport=udp",
            "stun:[::1",
            "stun:[::g]",
            "stun:a b",
            "STUN:a.example",
            "turn:a.example",
            "https://a.example",
        ] {
            assert_eq!(blamed(&[("STUN_URLS", bad)]), "STUN_URLS", "{bad}");
        }
        for bad in [
            "stun:a.example",
            "turn:a.example?transport=sctp",
            "turn:a.example?",
            "turn:u@a",
        ] {
            assert_eq!(blamed(&[("TURN_URLS", bad), SECRET]), "TURN_URLS", "{bad}");
        }
    }

    #[test]
    fn a_server_with_a_shared_secret_relays() {
        let urls = "turn:a.example:3478,turns:a.example:5349?transport=tcp";
        let ice = read(&[("TURN_URLS", urls), SECRET, ("TURN_OPEN", "true")]).unwrap();
        let shared = Turn::Shared {
            urls: urls.split(',').map(str::to_owned).collect(),
            secret: SECRET.1.to_owned(),
        };
        assert_eq!((ice.turn, ice.open), (Some(shared), true));
    }

    #[test]
    fn cloudflare_relays_where_it_is_asked() {
        let url = |set: &[(&str, &str)]| match read(set).unwrap().turn {
            Some(Turn::Cloudflare { url, token }) if token == TOKEN.1 => url,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            url(&[KEY, TOKEN]),
            "https://rtc.live.cloudflare.com/v1/turn/keys/0a1b/credentials/generate-ice-servers"
        );
        assert_eq!(
            url(&[
                KEY,
                TOKEN,
                ("CLOUDFLARE_TURN_API", "http://localhost:7/v2/")
            ]),
            "http://localhost:7/v2/turn/keys/0a1b/credentials/generate-ice-servers"
        );
    }

    #[test]
    fn what_does_not_fit_together_is_named() {
        let urls = ("TURN_URLS", "turn:a.example");
        for (set, name) in [
            (&[urls][..], "TURN_SECRET"),
            (&[urls, ("TURN_SECRET", "hunter2")], "TURN_SECRET"),
            (&[SECRET], "TURN_URLS"),
            (&[KEY], TOKEN.0),
            (&[TOKEN], KEY.0),
            (&[urls, SECRET, KEY, TOKEN], KEY.0),
            (&[(KEY.0, "../.."), TOKEN], KEY.0),
            (&[KEY, (TOKEN.0, "a\nb")], TOKEN.0),
            (
                &[KEY, TOKEN, ("CLOUDFLARE_TURN_API", "rtc.example")],
                "CLOUDFLARE_TURN_API",
            ),
            (
                &[KEY, TOKEN, ("CLOUDFLARE_TURN_API", "http://a?b")],
                "CLOUDFLARE_TURN_API",
            ),
            (&[("TURN_OPEN", "yes")], "TURN_OPEN"),
            (&[("TURN_OPEN", "")], "TURN_OPEN"),
            (&[("TURN_TTL", "59")], "TURN_TTL"),
            (&[("TURN_TTL", "172801")], "TURN_TTL"),
            (&[("TURN_TTL", "an hour")], "TURN_TTL"),
        ] {
            assert_eq!(blamed(set), name, "{set:?}");
        }
        assert!(!read(&[("TURN_OPEN", "false")]).unwrap().open);
        assert_eq!(read(&[("TURN_TTL", "172800")]).unwrap().ttl, 172_800);
    }
}
