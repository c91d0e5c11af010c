//! The Worker's part of live sessions: checks the caller, asks the room, and lets `notify.js` notify
//! the device.
//!
//! A session is created in steps: the body of the request arrives, the room creates the session, and
//! the device is notified. From the second step on, the request of the [`Call`] is the request to the
//! room, whose URL contains the session.

use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::*;

use super::answer::{Answer, JSON, respond};
use super::body::{self, Bodies};
use super::call::{Call, room_response};
use super::failure::{Error, Failure};
use super::platform::{ADDRESS, ORIGIN, header, now, random};
use super::promise::Step;
use crate::edge::body::MAX_BODY;
use crate::edge::live::{
    Caller, Credentials, LiveSettings, NewSession, Notification, RoomRequest, StopRequest,
    bad_notify, not_notified, without_media_server,
};
use crate::edge::route::{HttpError, LiveAction, Route};
use crate::edge::settings::Settings;

#[wasm_bindgen(module = "/src/shell/notify.js", wasm_bindgen = worker::wasm_bindgen, js_sys = worker::js_sys)]
extern "C" {
    /// Returns the URL of a notification, or `None` if its origin is not allowed. `origins` are
    /// separated by spaces.
    #[wasm_bindgen(catch, js_name = notificationUrl)]
    fn notification_url(server: &str, origins: &str) -> Result<Option<String>, JsValue>;
    /// Sends a notification. Returns a promise of `status` after a success, and otherwise of the cause of
    /// the failure.
    #[wasm_bindgen(catch)]
    fn notify(
        url: &str,
        body: &str,
        idempotency_key: &str,
        signature: Option<&str>,
        status: u16,
    ) -> Result<Promise, JsValue>;
}

/// Handles a request about a live session.
#[inline(never)]
pub(super) fn start(
    action: &LiveAction,
    call: &Call,
    settings: &Settings,
) -> Result<Answer, Failure> {
    match action {
        LiveAction::Create => {
            let headers = CallerHeaders::read(call)?;
            settings.live.check_back_end(&headers.caller())?;
            if settings.live.media.is_none() {
                return Err(without_media_server().into());
            }
            Ok(body::read(call, &BACK_END, MAX_BODY, Step::BodyRead))
        }
        LiveAction::Stop { .. } => Ok(body::read(call, &OTHERS, MAX_BODY, Step::BodyRead)),
        LiveAction::Status { session, tokens } => {
            check_control(call, settings, session, tokens, None)?;
            Ok(call.ask(session, &RoomRequest::Status.url(), Step::Answered)?)
        }
    }
}

/// Continues after the body of the request has arrived.
pub(super) fn on_read(call: &Call, outcome: &JsValue) -> Result<Answer, Failure> {
    let settings = call.settings()?;
    let text = body::text(outcome, MAX_BODY)?;
    match call.route()? {
        Route::Live(LiveAction::Create) => {
            let mut session = NewSession::read(&text, now(), random()?)?;
            session.notify = find_notification_url(&session, &settings.live)?;
            let room = session.session.clone();
            let url = RoomRequest::Create(session).url();
            Ok(call.ask(&room, &url, Step::SessionCreated)?)
        }
        Route::Live(LiveAction::Stop { tokens }) => {
            let StopRequest { session, stop_key } = StopRequest::read(&text)?;
            check_control(call, &settings, &session, &tokens, stop_key.as_deref())?;
            Ok(call.ask(&session, &RoomRequest::Stop.url(), Step::Answered)?)
        }
        _ => Err(Error::from("the request had a body, but parses differently now").into()),
    }
}

/// Continues after the room has created the session, or has refused it.
pub(super) fn on_created(call: &Call, outcome: JsValue) -> Result<Answer, Failure> {
    let response = room_response(outcome)?;
    let status = response.status();
    if !(200..=299).contains(&status) {
        return Ok(response.into());
    }
    let settings = call.settings()?;
    let session = session_of(call)?;
    let Some(url) = &session.notify else {
        return answer(call, &session, &settings, status, false);
    };
    let secret = settings.signing_secret();
    let Notification {
        body,
        idempotency_key,
        signature,
    } = Notification::new(&session, &settings.live, secret, now(), random()?);
    let sent = notify(url, &body, &idempotency_key, signature.as_deref(), status)?;
    Ok(call.proceed_after(&sent, Step::DeviceNotified))
}

/// Continues after the device has been notified, or could not be notified.
pub(super) fn on_notified(call: &Call, outcome: &JsValue) -> Result<Answer, Failure> {
    let session = session_of(call)?;
    match outcome.as_f64() {
        Some(status) => {
            let status = if status == 201.0 { 201 } else { 200 };
            answer(call, &session, &*call.settings()?, status, true)
        }
        None => {
            let cause = outcome.as_string().unwrap_or_default();
            Err(not_notified(&session.session, &cause).into())
        }
    }
}

fn answer(
    call: &Call,
    session: &NewSession,
    settings: &Settings,
    status: u16,
    notified: bool,
) -> Result<Answer, Failure> {
    let body = session.answer(&settings.live, settings.signing_secret(), notified);
    Ok(respond(status, JSON, &body, &call.cors())?.into())
}

/// Returns the session in the URL of the request to the room.
fn session_of(call: &Call) -> Result<NewSession, Failure> {
    match RoomRequest::read(&call.request.url()) {
        Some(RoomRequest::Create(session)) => Ok(session),
        _ => Err(Error::from("the request to the room names no session").into()),
    }
}

/// Returns the URL to which the notification of a session is sent, if there is a server for it.
fn find_notification_url(
    session: &NewSession,
    live: &LiveSettings,
) -> Result<Option<String>, Failure> {
    let Some(server) = session.notify.as_ref().or(live.notify_url.as_ref()) else {
        return Ok(None);
    };
    match notification_url(server, &live.notify_origins.join(" "))? {
        Some(url) => Ok(Some(url)),
        None if session.notify.is_some() => Err(bad_notify(server).into()),
        None => Err(live.bad_notify_url().into()),
    }
}

thread_local! {
    /// The bodies of requests whose sender has been checked.
    static BACK_END: Bodies = Bodies::new();
    /// The bodies of requests whose credential may be in the body. Strangers can fill their limits, but
    /// not those of the back end.
    static OTHERS: Bodies = Bodies::new();
}

fn check_control(
    call: &Call,
    settings: &Settings,
    session: &str,
    tokens: &[String],
    stop_key: Option<&str>,
) -> Result<(), Failure> {
    let headers = CallerHeaders::read(call)?;
    let credentials = Credentials {
        session,
        tokens,
        stop_key,
    };
    let Settings { live, secrets, .. } = settings;
    live.check_control(&headers.caller(), &credentials, secrets.as_ref(), now())?;
    Ok(())
}

/// The parts of a request that show who sent it.
struct CallerHeaders {
    url: String,
    address: Option<String>,
    origin: Option<String>,
    authorization: Option<String>,
}

impl CallerHeaders {
    fn read(call: &Call) -> Result<Self, HttpError> {
        let headers = call.request.headers();
        let unreadable = |_| super::request::unreadable_header();
        Ok(Self {
            url: call.request.url(),
            address: header(&headers, &ADDRESS).map_err(unreadable)?,
            origin: header(&headers, &ORIGIN).map_err(unreadable)?,
            authorization: headers.get("Authorization").map_err(unreadable)?,
        })
    }

    fn caller(&self) -> Caller<'_> {
        Caller {
            url: &self.url,
            address: self.address.as_deref(),
            origin: self.origin.as_deref(),
            authorization: self.authorization.as_deref(),
        }
    }
}
