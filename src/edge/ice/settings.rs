//! The settings of STUN and TURN.
//!
//! A browser rejects the whole ICE configuration if one URL is invalid, so this module checks each
//! URL.

use super::super::setting::{BadSetting, Range, bearer_token, boolean, http_url, number};
use super::{Ice, Turn};

/// Cloudflare's public STUN server, the default of `STUN_URLS`.
pub(super) const DEFAULT_STUN: &str = "stun:stun.cloudflare.com:3478";

/// The base URL of Cloudflare's TURN API, the default of `CLOUDFLARE_TURN_API`.
const CLOUDFLARE: &str = "https://rtc.live.cloudflare.com/v1";

/// The name of the setting for the id of Cloudflare's TURN key.
const KEY_ID: &str = "CLOUDFLARE_TURN_KEY_ID";

/// The name of the setting for the API token of Cloudflare's TURN key.
const API_TOKEN: &str = "CLOUDFLARE_TURN_API_TOKEN";

/// The minimum length of `TURN_SECRET`, in bytes. A client with a credential can test guesses
/// offline, so a short secret is unsafe.
const MIN_SECRET: usize = 16;

/// The range of `TURN_TTL`. The minimum is 60 seconds, because connection setup over a slow network
/// can take almost a minute. Cloudflare's service issues credentials for at most 48 hours.
const TTL: Range = Range {
    default: 3_600,
    min: 60,
    max: 172_800,
    unit: Some("seconds"),
};

impl Ice {
    /// Reads the settings. `find` returns the value of a setting, or `None` if the setting is
    /// absent.
    ///
    /// # Errors
    ///
    /// The first setting with an invalid value.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let stun = find("STUN_URLS").unwrap_or_else(|| DEFAULT_STUN.to_owned());
        let stun = urls("STUN_URLS", &stun, is_stun, "stun:host:port")?;
        let turn = find("TURN_URLS").unwrap_or_default();
        let form = "turn:host:port or turns:host:port?transport=tcp";
        let turn = urls("TURN_URLS", &turn, is_turn, form)?;
        Ok(Self {
            stun,
            turn: read_turn(turn, &find)?,
            ttl: number(&find, "TURN_TTL", &TTL)?,
            open: boolean(&find, "TURN_OPEN")?,
        })
    }
}

/// Reads the settings of TURN. Incomplete settings are an error. Settings for both a shared secret
/// and Cloudflare's service are also an error.
fn read_turn(
    urls: Vec<String>,
    find: impl Fn(&str) -> Option<String>,
) -> Result<Option<Turn>, BadSetting> {
    let find = |name| find(name).filter(|text| !text.is_empty());
    let shared = match (urls.is_empty(), find("TURN_SECRET")) {
        (true, None) => None,
        (true, Some(_)) => return Err(missing_urls()),
        (false, secret) => Some(shared(urls, secret)?),
    };
    let key = find(KEY_ID);
    let token = find(API_TOKEN);
    let (key, token) = match (key, token) {
        (None, None) => return Ok(shared),
        (Some(key), Some(token)) => (key, token),
        (Some(_), None) => return Err(unpaired(API_TOKEN, KEY_ID)),
        (None, Some(_)) => return Err(unpaired(KEY_ID, API_TOKEN)),
    };
    if shared.is_some() {
        return Err(two_services());
    }
    let base = find("CLOUDFLARE_TURN_API").unwrap_or_else(|| CLOUDFLARE.to_owned());
    cloudflare(&base, &key, token).map(Some)
}

/// Reads the settings of a TURN server with a shared secret.
fn shared(urls: Vec<String>, secret: Option<String>) -> Result<Turn, BadSetting> {
    let secret = secret.unwrap_or_default();
    if secret.len() >= MIN_SECRET {
        return Ok(Turn::Shared { urls, secret });
    }
    let problem = match secret.len() {
        0 => "is missing".to_owned(),
        length => format!("has {length} bytes"),
    };
    let expected = format!("at least {MIN_SECRET} bytes long, because TURN_URLS is set");
    Err(BadSetting::secret("TURN_SECRET", problem, expected))
}

/// Reads the settings of Cloudflare's TURN service. The messages quote neither the key id nor the
/// token, because an operator may have swapped the two values.
fn cloudflare(base: &str, key: &str, token: String) -> Result<Turn, BadSetting> {
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.bytes().all(is_id) {
        let problem = "has characters other than letters, digits, - and _";
        let expected = "the key id that Cloudflare's dashboard shows";
        return Err(BadSetting::secret(KEY_ID, problem, expected));
    }
    let token = bearer_token(API_TOKEN, token)?;
    let base = http_url("CLOUDFLARE_TURN_API", base, CLOUDFLARE)?;
    let url = format!("{base}/turn/keys/{key}/credentials/generate-ice-servers");
    Ok(Turn::Cloudflare { url, token })
}

fn missing_urls() -> BadSetting {
    BadSetting {
        name: "TURN_URLS",
        problem: "is missing".to_owned(),
        expected: "a comma-separated list of TURN URLs, because TURN_SECRET is set".to_owned(),
        fix: "Set TURN_URLS in wrangler.toml, or delete TURN_SECRET".to_owned(),
    }
}

fn unpaired(missing: &'static str, present: &str) -> BadSetting {
    let expected = format!("set together with {present}");
    BadSetting::secret(missing, "is missing", expected)
}

fn two_services() -> BadSetting {
    BadSetting {
        name: KEY_ID,
        problem: "is set, and TURN_URLS is also set".to_owned(),
        expected: "absent, because the server supports only one TURN service".to_owned(),
        fix: format!("Remove {KEY_ID} and {API_TOKEN}, or TURN_URLS and TURN_SECRET"),
    }
}

/// Splits a comma-separated list of URLs, and checks each URL. Messages show `form` as an example.
fn urls(
    name: &'static str,
    listed: &str,
    is_valid: impl Fn(&str) -> bool,
    form: &str,
) -> Result<Vec<String>, BadSetting> {
    let urls = listed.split(',').map(str::trim);
    let urls = urls.filter(|url| !url.is_empty());
    urls.map(|url| {
        if is_valid(url) {
            return Ok(url.to_owned());
        }
        let expected = format!("a comma-separated list of URLs such as {form}");
        Err(BadSetting::variable(name, url, expected))
    })
    .collect()
}

/// Returns whether the text is a STUN URL (RFC 7064). STUN URLs have no query.
fn is_stun(url: &str) -> bool {
    let rest = ["stun:", "stuns:"]
        .iter()
        .find_map(|scheme| url.strip_prefix(scheme));
    rest.is_some_and(is_authority)
}

/// Returns whether the text is a TURN URL (RFC 7065).
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

/// Returns whether the text is a host with an optional port. The host may be an IPv6 address in
/// brackets.
fn is_authority(text: &str) -> bool {
    let is_name = |host: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
        !host.is_empty() && host.bytes().all(allowed)
    };
    let is_address = |host: &str| host.parse::<std::net::Ipv6Addr>().is_ok();
    let is_port = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|n| n > 0)
    };
    if let Some(text) = text.strip_prefix('[') {
        return text.split_once(']').is_some_and(|(host, rest)| {
            is_address(host) && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port))
        });
    }
    match text.split_once(':') {
        Some((host, port)) => is_name(host) && is_port(port),
        None => is_name(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: (&str, &str) = ("TURN_SECRET", "long enough for a secret");
    const KEY: (&str, &str) = ("CLOUDFLARE_TURN_KEY_ID", "0a1b");
    const TOKEN: (&str, &str) = ("CLOUDFLARE_TURN_API_TOKEN", "c2d3");

    fn read(set: &[(&str, &str)]) -> Result<Ice, BadSetting> {
        Ice::read(|setting| {
            let found = set.iter().find(|(name, _)| *name == setting);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn bad_name(set: &[(&str, &str)]) -> &'static str {
        read(set).unwrap_err().name
    }

    #[test]
    fn only_the_default_stun_server_is_used_when_nothing_is_set() {
        let ice = Ice {
            stun: vec![DEFAULT_STUN.into()],
            turn: None,
            ttl: 3_600,
            open: false,
        };
        assert_eq!(read(&[]), Ok(ice.clone()));
        assert_eq!(read(&[("TURN_URLS", ""), ("TURN_SECRET", "")]), Ok(ice));
        assert!(read(&[("STUN_URLS", " ")]).unwrap().stun.is_empty());
    }

    #[test]
    fn a_url_that_browsers_refuse_is_refused() {
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
            assert_eq!(bad_name(&[("STUN_URLS", bad)]), "STUN_URLS", "{bad}");
        }
        for bad in [
            "stun:a.example",
            "turn:a.example?transport=sctp",
            "turn:a.example?",
            "turn:u@a",
        ] {
            assert_eq!(
                bad_name(&[("TURN_URLS", bad), SECRET]),
                "TURN_URLS",
                "{bad}"
            );
        }
    }

    #[test]
    fn a_shared_secret_configures_turn() {
        let urls = "turn:a.example:3478,turns:a.example:5349?transport=tcp";
        let ice = read(&[("TURN_URLS", urls), SECRET, ("TURN_OPEN", "true")]).unwrap();
        let shared = Turn::Shared {
            urls: urls.split(',').map(str::to_owned).collect(),
            secret: SECRET.1.to_owned(),
        };
        assert_eq!((ice.turn, ice.open), (Some(shared), true));
    }

    #[test]
    fn a_key_and_a_token_configure_the_service_of_cloudflare() {
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
    fn a_conflicting_or_incomplete_setting_is_named() {
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
            assert_eq!(bad_name(set), name, "{set:?}");
        }
        assert!(!read(&[("TURN_OPEN", "false")]).unwrap().open);
        assert_eq!(read(&[("TURN_TTL", "172800")]).unwrap().ttl, 172_800);
    }

    #[test]
    fn a_message_quotes_a_variable_and_never_a_secret() {
        let message = |set: &[(&str, &str)]| read(set).unwrap_err().to_string();
        assert_eq!(
            message(&[("TURN_OPEN", "yes")]),
            "the setting TURN_OPEN is \"yes\": it must be \"true\" or \"false\", as text. \
             Correct TURN_OPEN in wrangler.toml and deploy again"
        );
        assert!(message(&[("STUN_URLS", "stun:a.example,b.example")]).contains("\"b.example\""));
        let urls = ("TURN_URLS", "turn:a.example");
        for (set, secret) in [
            (&[urls, ("TURN_SECRET", "hunter2")][..], "hunter2"),
            (&[(KEY.0, "a b"), TOKEN], "a b"),
            (&[KEY, (TOKEN.0, "c d")], "c d"),
        ] {
            assert!(!message(set).contains(secret), "{}", message(set));
        }
    }
}
