//! A back end that admits its users to rooms, and removes users for the owner of a room. It has two
//! requests, both with HTTP Basic authentication and a JSON body:
//!
//! - `POST /token` with `{"room":"demo"}` returns `{"token":"…"}`.
//! - `POST /remove` with `{"room":"demo","id":"bob"}` returns `{"removed":1}`.
//!
//! Set these environment variables, and put a proxy with HTTPS in front of it, such as nginx, which
//! also ends connections that are too slow. In your own project, turn on the feature `https` of minreq.
//!
//! - `ROOM_SECRET`: the secret of the Worker
//! - `WORKER`: the URL of the Worker: `https://your-worker.example`
//! - `ORIGIN`: the origin of your page: `https://game.example`
//! - `PORT` (optional): the port on which the server listens. Default: 8080

use std::collections::{HashMap, HashSet};
use std::{env, error::Error, fmt::Display, sync::Arc, sync::Mutex};

use axum::body::{HttpBody, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::IntoResponse;
use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{EncodingKey, get_current_timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::{net::TcpListener, task::spawn_blocking};

const MAX_BODY: usize = 1024; // bytes

/// The body of the response, or the status and the text of an error.
type Answer<T = Value> = Result<T, (u16, String)>;

struct User {
    password: &'static str,
    rooms: HashSet<&'static str>,
    owns: HashSet<&'static str>,
}

struct BackEnd {
    secret: EncodingKey,
    worker: String,
    origin: String,
    users: Mutex<HashMap<&'static str, User>>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|_| format!("Set {name}."));
    let user = |password, rooms, owns| User {
        password,
        rooms,
        owns,
    };
    let demo = HashSet::from(["demo"]);
    let back_end = BackEnd {
        secret: EncodingKey::from_secret(variable("ROOM_SECRET")?.as_bytes()),
        worker: variable("WORKER")?,
        origin: variable("ORIGIN")?,
        // Replace this table with your database. Store passwords as salted hashes, for example of scrypt.
        users: Mutex::new(HashMap::from([
            ("ann", user("blue lantern", demo.clone(), demo.clone())),
            ("bob", user("green kettle", demo, HashSet::new())),
        ])),
    };
    let port: u16 = variable("PORT").unwrap_or("8080".into()).parse()?;
    // Only the proxy on this machine can connect.
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on port {}", listener.local_addr()?.port());
    let router = axum::Router::new().fallback(respond);
    Ok(axum::serve(listener, router.with_state(Arc::new(back_end))).await?)
}

async fn respond(State(back_end): State<Arc<BackEnd>>, request: Request) -> impl IntoResponse {
    let (status, body) = match back_end.answer(request).await {
        Ok(Value::Null) => (204, String::new()),
        Ok(body) => (200, body.to_string()),
        Err((status, error)) => (status, json!({ "error": error }).to_string()),
    };
    let headers = [
        ("Access-Control-Allow-Origin", back_end.origin.as_str()),
        (
            "Access-Control-Allow-Headers",
            "Authorization, Content-Type",
        ),
        ("Allow", "OPTIONS, POST"),
        ("Cache-Control", "no-store"),
        ("Content-Type", "application/json"),
        ("WWW-Authenticate", "Basic realm=\"rooms\""),
    ];
    let headers = headers.map(|(name, value)| (name, value.to_owned()));
    let status = StatusCode::from_u16(status).expect("a valid status");
    (status, headers, body)
}

impl BackEnd {
    async fn answer(&self, request: Request) -> Answer {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        if !["/token", "/remove"].contains(&path) {
            return refuse(404, "there is no such path");
        }
        match parts.method {
            Method::OPTIONS => return Ok(Value::Null),
            Method::POST => {}
            _ => return refuse(405, "use POST"),
        }
        // Browsers send an Origin with every POST. Other programs send none.
        let origin = parts.headers.get(header::ORIGIN);
        if origin.is_some_and(|origin| origin != self.origin.as_str()) {
            return refuse(403, "wrong origin");
        }
        let Some(user) = self.login(&parts.headers) else {
            return refuse(401, "log in");
        };
        let length = body.size_hint().exact(); // unknown if the body is chunked
        if length.is_none_or(|length| length > MAX_BODY as u64) {
            return refuse(413, &format!("send at most {MAX_BODY} bytes"));
        }
        let bytes = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        if !body.is_object() {
            return refuse(400, "the body is not a JSON object");
        }
        let room = body["room"].as_str().unwrap_or_default();
        match path {
            "/token" => self.token(user, room),
            _ => self.remove(user, room, &body["id"]).await,
        }
    }

    /// Replace this function with your own login, such as the check of a session cookie.
    fn login(&self, headers: &HeaderMap) -> Option<&'static str> {
        let authorization = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, basic) = authorization.split_once(' ')?;
        let basic = String::from_utf8(BASE64_STANDARD.decode(basic).ok()?).ok()?;
        let (id, password) = basic.split_once(':')?;
        let users = self.users.lock().unwrap();
        let user = users.get_key_value(id);
        // Hashes have the same length, so the comparison takes the same time for every wrong password.
        let known = user.map_or("", |(_, user)| user.password);
        let equal = Sha256::digest(password).ct_eq(&Sha256::digest(known));
        let user = user.filter(|_| scheme.eq_ignore_ascii_case("Basic") && equal.into());
        user.map(|(id, _)| *id)
    }

    fn token(&self, id: &str, room: &str) -> Answer {
        if !self.users.lock().unwrap()[id].rooms.contains(room) {
            return refuse(403, "you may not enter this room");
        }
        Ok(json!({ "token": self.sign(json!({ "room": room, "sub": id }), 300)? }))
    }

    async fn remove(&self, owner: &str, room: &str, id: &Value) -> Answer {
        {
            let mut users = self.users.lock().unwrap();
            if !users[owner].owns.contains(room) {
                return refuse(403, "you do not own this room");
            }
            if let Some(user) = id.as_str().and_then(|id| users.get_mut(id)) {
                user.rooms.remove(room); // The user gets no further token.
            }
        }
        let token = self.sign(json!({ "room": room, "admin": true }), 60)?;
        let room = utf8_percent_encode(room, NON_ALPHANUMERIC);
        let request = minreq::post(format!("{}/admin/{room}/remove", self.worker))
            .with_header("Authorization", format!("Bearer {token}"))
            .with_body(json!({ "id": id }).to_string())
            .with_timeout(10);
        let reply = spawn_blocking(|| request.send())
            .await
            .map_err(failed)?
            .map_err(failed)?;
        let text = String::from_utf8_lossy(reply.as_bytes());
        match reply.status_code {
            200 => serde_json::from_str(&text).map_err(failed),
            status => {
                let failure = failed(format!("the Worker answered {status}: {text}"));
                // Only the id comes from the user.
                if status == 400 {
                    refuse(400, "send the id of a peer")
                } else {
                    Err(failure)
                }
            }
        }
    }

    /// Returns a token with these claims, which expires after `seconds`.
    fn sign(&self, mut claims: Value, seconds: u64) -> Answer<String> {
        claims["exp"] = json!(get_current_timestamp() + seconds);
        jsonwebtoken::encode(&Default::default(), &claims, &self.secret).map_err(failed)
    }
}

fn refuse(status: u16, error: &str) -> Answer {
    Err((status, error.to_owned()))
}

fn failed(error: impl Display) -> (u16, String) {
    eprintln!("{error}");
    (502, "the request failed".to_owned())
}
