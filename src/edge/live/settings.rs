//! The settings of live sessions.

use super::access::is_local_host;
use super::{LiveSettings, MediaServer, NOT_CONFIGURED};
use crate::core::text::split_once;
use crate::edge::route::HttpError;
use crate::edge::setting::{BadSetting, bearer_token, http_url, is_origin, strong_secret};

/// The base URL of Cloudflare's Realtime SFU, the default of `MEDIA_URL`.
const CLOUDFLARE: &str = "https://rtc.live.cloudflare.com/v1";

/// The name of the setting for the id of the app at the media server.
const APP: &str = "MEDIA_APP";

/// The name of the setting for the secret of the app.
const SECRET: &str = "MEDIA_SECRET";

/// The name of the setting for the key of the back end.
const KEY: &str = "LIVE_KEY";

/// The name of the setting for the allowed origins of notifications.
const ORIGINS: &str = "LIVE_NOTIFY_ORIGINS";

impl LiveSettings {
    /// Reads the settings. `find` returns the value of a setting, or `None` if the setting is
    /// absent.
    ///
    /// # Errors
    ///
    /// The first setting with an invalid value.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Self, BadSetting> {
        let filled = |name| find(name).filter(|text| !text.is_empty());
        let notify_url = filled("LIVE_NOTIFY_URL");
        let notify_url =
            notify_url.map(|url| http_url("LIVE_NOTIFY_URL", &url, "https://push.example"));
        Ok(Self {
            media: media_server(filled)?,
            key: strong_secret(KEY, find(KEY))?
                .map(|key| bearer_token(KEY, key))
                .transpose()?,
            notify_url: notify_url.transpose()?,
            notify_origins: notify_origins(&filled(ORIGINS).unwrap_or_default())?,
        })
    }

    /// Returns the error for a `LIVE_NOTIFY_URL` whose origin is not in `LIVE_NOTIFY_ORIGINS`.
    #[must_use]
    pub fn bad_notify_url(&self) -> BadSetting {
        let url = self.notify_url.as_deref().unwrap_or_default();
        let expected = format!("a URL without a query, whose origin is in {ORIGINS}");
        BadSetting::variable("LIVE_NOTIFY_URL", url, expected)
    }
}

/// Returns the error for a session on a server without a media server: 503 `not-configured`.
#[must_use]
pub fn without_media_server() -> HttpError {
    let message = "this server has no media server: expected the setting MEDIA_APP and the secret \
         MEDIA_SECRET. Set both, and MEDIA_URL if you host the media server yourself";
    HttpError::new(503, NOT_CONFIGURED, message)
}

/// Reads the settings of the media server. An app without a secret, or a secret without an app, is an
/// error.
fn media_server(
    find: impl Fn(&'static str) -> Option<String>,
) -> Result<Option<MediaServer>, BadSetting> {
    let base = find("MEDIA_URL").unwrap_or_else(|| CLOUDFLARE.to_owned());
    let base = http_url("MEDIA_URL", &base, CLOUDFLARE)?;
    let (app, secret) = match (find(APP), find(SECRET)) {
        (None, None) => return Ok(None),
        (Some(app), Some(secret)) => (app, secret),
        (Some(_), None) => {
            let expected = format!("set together with {APP}");
            return Err(BadSetting::secret(SECRET, "is missing", expected));
        }
        (None, Some(_)) => {
            let expected = format!("the id of an app at the media server, because {SECRET} is set");
            return Err(BadSetting::variable(APP, "", expected));
        }
    };
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !app.bytes().all(is_id) {
        let expected = "the app id that Cloudflare's dashboard or your media server shows: letters, \
             digits, - and _";
        return Err(BadSetting::variable(APP, &app, expected));
    }
    Ok(Some(MediaServer {
        url: format!("{base}/apps/{app}"),
        secret: bearer_token(SECRET, secret)?,
    }))
}

/// Splits a comma-separated list of origins. A notification is signed and may contain a token, so it is
/// sent over HTTPS, or over HTTP within this machine.
fn notify_origins(listed: &str) -> Result<Vec<String>, BadSetting> {
    let origins = listed.split(',').map(str::trim);
    let origins = origins.filter(|origin| !origin.is_empty());
    origins
        .map(|origin| {
            let is_secure = match split_once(origin, "://") {
                Some(("https", _)) => true,
                Some(("http", host)) => is_local_host(host),
                _ => false,
            };
            if is_secure && is_origin(origin) {
                return Ok(origin.to_owned());
            }
            let expected = "a comma-separated list of origins, such as https://push.example. Only \
                 localhost may use http";
            Err(BadSetting::variable(ORIGINS, origin, expected))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<LiveSettings, BadSetting> {
        LiveSettings::read(|name| {
            let found = settings.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn refused(settings: &[(&str, &str)]) -> BadSetting {
        read(settings).unwrap_err()
    }

    #[test]
    fn live_sessions_are_off_when_no_setting_is_given() {
        assert_eq!(read(&[]), Ok(LiveSettings::default()));
        let empty = [
            ("MEDIA_URL", ""),
            ("MEDIA_APP", ""),
            ("MEDIA_SECRET", ""),
            ("LIVE_NOTIFY_URL", ""),
            ("LIVE_NOTIFY_ORIGINS", ""),
        ];
        assert_eq!(read(&empty), Ok(LiveSettings::default()));
    }

    #[test]
    fn an_app_with_its_secret_is_a_media_server() {
        let app = [("MEDIA_APP", "a-1"), ("MEDIA_SECRET", "s")];
        let media = |url: &str| {
            Some(MediaServer {
                url: url.to_owned(),
                secret: "s".to_owned(),
            })
        };
        let cloudflare = "https://rtc.live.cloudflare.com/v1/apps/a-1";
        assert_eq!(read(&app).unwrap().media, media(cloudflare));
        let own = [app[0], app[1], ("MEDIA_URL", "http://127.0.0.1:7/v1/")];
        let url = "http://127.0.0.1:7/v1/apps/a-1";
        assert_eq!(read(&own).unwrap().media, media(url));
    }

    #[test]
    fn an_invalid_setting_is_refused_with_its_name() {
        for (name, value) in [
            ("MEDIA_URL", "rtc.example"),
            ("MEDIA_URL", "https://rtc.example/?a"),
            ("MEDIA_APP", "a"),
            ("LIVE_NOTIFY_URL", "push.example"),
            ("LIVE_NOTIFY_ORIGINS", "https://a.example/"),
            ("LIVE_NOTIFY_ORIGINS", "http://a.example"),
            ("LIVE_NOTIFY_ORIGINS", "http://localhost.example"),
            (
                "LIVE_NOTIFY_ORIGINS",
                "https://a.example, HTTPS://b.example",
            ),
            ("LIVE_NOTIFY_ORIGINS", "wss://a.example"),
            ("LIVE_KEY", "short"),
            ("LIVE_KEY", "a key that is long enough but has spaces"),
        ] {
            let expected = if name == "MEDIA_APP" { SECRET } else { name };
            assert_eq!(refused(&[(name, value)]).name, expected, "{value}");
        }
        assert_eq!(refused(&[("MEDIA_SECRET", "s")]).name, APP);
        for (app, secret, name) in [("a/b", "s", APP), ("a", "s t", SECRET)] {
            let bad = refused(&[("MEDIA_APP", app), ("MEDIA_SECRET", secret)]);
            assert_eq!(bad.name, name);
            assert!(!bad.to_string().contains("s t"), "a secret is never quoted");
        }
    }

    #[test]
    fn only_this_machine_may_be_notified_over_http() {
        let list = "https://a.example, http://localhost:8080,http://127.0.0.1:9,http://[::1]:9";
        let origins = read(&[("LIVE_NOTIFY_ORIGINS", list)])
            .unwrap()
            .notify_origins;
        assert_eq!(origins.len(), 4);
        assert_eq!(origins[1], "http://localhost:8080");
    }
}
