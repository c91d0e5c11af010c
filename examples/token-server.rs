//! A back end that admits its users to rooms, and removes users for the owner of a room. It has two
//! requests, both with HTTP Basic authentication and a JSON body:
//!
//! - `POST /token` with `{"room":"demo"}` returns `{"token":"…"}`.
//! - `POST /remove` with `{"room":"demo","id":"bob"}` returns `{"removed":1}`.
//!
//! Set these environment variables, and put a proxy with HTTPS in front of it. The proxy must buffer
//! bodies and limit them to 1 MB, as nginx does by default: tiny_http allocates the whole
//! `Content-Length` of a body that nobody reads, and a huge one ends the process. In your own project,
//! turn on the feature `https` of minreq.
//!
//! - `ROOM_SECRET`: the secret of the Worker
//! - `WORKER`: the URL of the Worker: `https://your-worker.example`
//! - `ORIGIN`: the origin of your page: `https://game.example`
//! - `PORT` (optional): the port on which the server listens. Default: 8080

use std::{env, error::Error, fmt::Display, io::Read, sync::Mutex, thread};

use base64::{Engine, prelude::BASE64_STANDARD};
use jsonwebtoken::{EncodingKey, get_current_timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tiny_http::{Header, Method, Request, Response, Server};

const MAX_BODY: usize = 1024; // bytes

/// The body of the response, or the status and the text of an error.
type Answer<T = Value> = Result<T, (u16, String)>;

struct User {
    id: &'static str,
    password: &'static str,
    rooms: Vec<&'static str>,
    owns: Vec<&'static str>,
}

struct BackEnd {
    secret: EncodingKey,
    worker: String,
    origin: String,
    users: Mutex<Vec<User>>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let variable = |name| env::var(name).map_err(|_| format!("Set {name}."));
    let user = |id, password, rooms, owns| User {
        id,
        password,
        rooms,
        owns,
    };
    let back_end = BackEnd {
        secret: EncodingKey::from_secret(variable("ROOM_SECRET")?.as_bytes()),
        worker: variable("WORKER")?,
        origin: variable("ORIGIN")?,
        // Replace this table with your database. Store passwords as salted hashes, for example of scrypt.
        users: Mutex::new(vec![
            user("ann", "blue lantern", vec!["demo"], vec!["demo"]),
            user("bob", "green kettle", vec!["demo"], vec![]),
        ]),
    };
    let port: u16 = variable("PORT").unwrap_or("8080".into()).parse()?;
    // Only the proxy on this machine can connect.
    let server = Server::http(("127.0.0.1", port)).map_err(|error| error.to_string())?;
    if let Some(address) = server.server_addr().to_ip() {
        println!("listening on port {}", address.port());
    }
    // Each request has its own thread, so that a slow client delays no other.
    thread::scope(|scope| {
        for request in server.incoming_requests() {
            scope.spawn(|| back_end.respond(request));
        }
    });
    Ok(())
}

impl BackEnd {
    fn respond(&self, mut request: Request) {
        let (status, body) = match self.answer(&mut request) {
            Ok(Value::Null) => (204, String::new()),
            Ok(body) => (200, body.to_string()),
            Err((status, error)) => (status, json!({ "error": error }).to_string()),
        };
        let mut headers = vec![
            ("Access-Control-Allow-Origin", self.origin.as_str()),
            (
                "Access-Control-Allow-Headers",
                "Authorization, Content-Type",
            ),
            ("Cache-Control", "no-store"),
            ("Content-Type", "application/json"),
        ];
        match status {
            401 => headers.push(("WWW-Authenticate", "Basic realm=\"rooms\"")),
            405 => headers.push(("Allow", "OPTIONS, POST")),
            _ => {}
        }
        let mut response = Response::from_string(body).with_status_code(status);
        for header in headers {
            response.add_header(Header::from_bytes(header.0, header.1).expect("a valid header"));
        }
        let _ = request.respond(response); // An error means that the client has disconnected.
    }

    fn answer(&self, request: &mut Request) -> Answer {
        let path = request.url().to_owned();
        if !["/token", "/remove"].contains(&path.as_str()) {
            return refuse(404, "there is no such path");
        }
        match request.method() {
            Method::Options => return Ok(Value::Null),
            Method::Post => {}
            _ => return refuse(405, "use POST"),
        }
        // Browsers send an Origin with every POST. Other programs send none.
        if header(request, "Origin").is_some_and(|origin| origin != self.origin) {
            return refuse(403, "wrong origin");
        }
        let Some(user) = self.login(request) else {
            return refuse(401, "log in");
        };
        if request.body_length().is_none_or(|length| length > MAX_BODY) {
            return refuse(413, &format!("send at most {MAX_BODY} bytes"));
        }
        let body: Value =
            serde_json::from_reader(request.as_reader().take(MAX_BODY as u64)).unwrap_or_default();
        if !body.is_object() {
            return refuse(400, "the body is not a JSON object");
        }
        let room = body["room"].as_str().unwrap_or_default();
        match path.as_str() {
            "/token" => self.token(user, room),
            _ => self.remove(user, room, &body["id"]),
        }
    }

    /// Replace this function with your own login, such as the check of a session cookie.
    fn login(&self, request: &Request) -> Option<&'static str> {
        let (scheme, basic) = header(request, "Authorization")?.split_once(' ')?;
        let basic = String::from_utf8(BASE64_STANDARD.decode(basic).ok()?).ok()?;
        let (id, password) = basic.split_once(':')?;
        let users = self.users.lock().unwrap();
        let user = users.iter().find(|user| user.id == id);
        // Hashes have the same length, so the comparison takes the same time for every wrong password.
        let known = user.map_or("", |user| user.password);
        let equal = Sha256::digest(password).ct_eq(&Sha256::digest(known));
        user.filter(|_| scheme.eq_ignore_ascii_case("Basic") && equal.into())
            .map(|user| user.id)
    }

    fn token(&self, id: &str, room: &str) -> Answer {
        let users = self.users.lock().unwrap();
        if !users
            .iter()
            .any(|user| user.id == id && user.rooms.contains(&room))
        {
            return refuse(403, "you may not enter this room");
        }
        Ok(json!({ "token": self.sign(json!({ "room": room, "sub": id }), 600)? }))
    }

    fn remove(&self, owner: &str, room: &str, id: &Value) -> Answer {
        let mut users = self.users.lock().unwrap();
        if !users
            .iter()
            .any(|user| user.id == owner && user.owns.contains(&room))
        {
            return refuse(403, "you do not own this room");
        }
        for user in users.iter_mut().filter(|user| *id == user.id) {
            user.rooms.retain(|other| *other != room); // The user gets no further token.
        }
        drop(users);
        let room_in_url = utf8_percent_encode(room, NON_ALPHANUMERIC);
        let token = self.sign(json!({ "room": room, "admin": true }), 60)?;
        let reply = minreq::post(format!("{}/admin/{room_in_url}/remove", self.worker))
            .with_header("Authorization", format!("Bearer {token}"))
            .with_body(json!({ "id": id }).to_string())
            .with_timeout(10)
            .send()
            .map_err(failed)?;
        if reply.status_code != 200 {
            return Err(failed(format!("the Worker answered {}", reply.status_code)));
        }
        serde_json::from_slice(reply.as_bytes()).map_err(failed)
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

fn header<'a>(request: &'a Request, name: &'static str) -> Option<&'a str> {
    let mut headers = request.headers().iter();
    let found = headers.find(|header| header.field.equiv(name))?;
    Some(found.value.as_str())
}
