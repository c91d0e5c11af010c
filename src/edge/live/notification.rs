//! The notification that asks a device to join a live session.

use super::{LiveSettings, NewSession};
use crate::core::peer::{PeerId, Time};
use crate::edge::quote::shorten;
use crate::edge::route::HttpError;
use crate::edge::signature::{hex, sign};

/// The request that notifies a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// The body, as JSON text.
    pub body: String,
    /// The header `Idempotency-Key`, the same for all attempts.
    pub idempotency_key: String,
    /// The header `X-Signature`: `t=<seconds>,v1=<hex>`, the HMAC-SHA256 of `<seconds>.<body>` by
    /// `LIVE_KEY`. `None` without that setting.
    pub signature: Option<String>,
}

impl Notification {
    /// Creates the notification for a new session. `secret` is `ROOM_SECRET`.
    #[must_use]
    pub fn new(
        session: &NewSession,
        live: &LiveSettings,
        secret: Option<&str>,
        now: Time,
        random: u128,
    ) -> Self {
        let body = session.notification(secret);
        let seconds = now.to_seconds();
        let signature = live.key.as_deref().and_then(|key| {
            let signature = sign(key, &format!("{seconds}.{body}"))?;
            Some(format!("t={seconds},v1={}", hex(&signature)))
        });
        Self {
            body,
            idempotency_key: PeerId::random(random).to_string(),
            signature,
        }
    }
}

/// Returns the error for a `notify` that is not allowed: 400 `bad-notify`.
#[must_use]
pub fn bad_notify(server: &str) -> HttpError {
    let server = shorten(server);
    let message = format!(
        "`notify` is {server}: expected a URL without a query, whose origin is in LIVE_NOTIFY_ORIGINS. \
         Ask the operator of this server to allow the origin"
    );
    HttpError::new(400, "bad-notify", message)
}

/// Returns the error for a session whose device was not notified: 502 `not-notified`.
#[must_use]
pub fn not_notified(session: &str, cause: &str) -> HttpError {
    let session = shorten(session);
    let message = format!(
        "the session exists, but its device was not notified, because {cause}: expected a status from \
         200 to 299. Send the request again with \"sessionId\": {session}"
    );
    HttpError::new(502, "not-notified", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::live::Tracks;
    use serde_json::{Value, json};

    #[test]
    fn a_notification_is_signed_and_contains_the_token_of_the_device() {
        let session = NewSession {
            session: "demo".into(),
            device: PeerId::parse("camera").unwrap(),
            tracks: Tracks::ALL,
            expires_at: Time(2_000_000),
            notify: None,
        };
        let live = LiveSettings {
            key: Some("Jefe".into()),
            ..LiveSettings::default()
        };
        let Notification {
            body,
            idempotency_key,
            signature,
        } = Notification::new(&session, &live, None, Time(1_500), 7);
        // printf '1.%s' "$body" | openssl dgst -sha256 -hmac Jefe
        assert_eq!(
            body,
            r#"{"sessionId":"demo","deviceId":"camera","socket":{"path":"/socket.io/","query":{"room":"demo"}},"expiresAt":2000}"#
        );
        assert_eq!(
            signature.as_deref(),
            Some("t=1,v1=a1e9658eb5e0f837e8c5269113f9b6758d2942283db2865d1a3ec479f6401e9b")
        );
        assert_eq!(idempotency_key, format!("{:032x}", 7));
        let unsigned = Notification::new(&session, &LiveSettings::default(), Some("s"), Time(0), 7);
        assert_eq!(unsigned.signature, None);
        let body: Value = serde_json::from_str(&unsigned.body).unwrap();
        let token =
            crate::edge::admission::mint_token("s", "demo", &session.device, session.expires_at);
        assert_eq!(body["token"], json!(token));
    }
}
