//! The running program and its HTTP API.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

pub const SECRET: &str = "secret";

/// A running program on free ports.
pub struct Program {
    child: Child,
    http: SocketAddr,
}

impl Program {
    pub fn start(options: &[&str]) -> Self {
        Self::with_secret(SECRET, options)
    }

    pub fn with_secret(secret: &str, options: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_partyline-media"))
            .args(["--listen", "127.0.0.1:0", "--udp", "127.0.0.1:0"])
            .args(options)
            .env("MEDIA_SECRET", secret)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        assert_eq!(entry["message"], "listening");
        // The pipe must be read, or the program would block.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self {
            child,
            http: entry["http"].as_str().unwrap().parse().unwrap(),
        }
    }

    /// Sends bytes, and returns what the program sends until it closes the connection.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.http).unwrap();
        let patience = Some(Duration::from_secs(14));
        stream.set_read_timeout(patience).unwrap();
        // The program may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut reply = Vec::new();
        let end = stream.read_to_end(&mut reply);
        let timeout = end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!timeout, "the program did not close the connection");
        String::from_utf8(reply).unwrap()
    }

    pub fn request(&self, method: &str, path: &str, secret: &str, body: &str) -> (u16, Value) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: media\r\nauthorization: Bearer {secret}\r\n\
             content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        );
        let reply = self.raw(request.as_bytes());
        let (head, body) = reply
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{reply:?}"));
        assert!(
            head.to_lowercase()
                .contains("content-type: application/json"),
            "{head}"
        );
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (
            status,
            serde_json::from_str(body).unwrap_or_else(|_| panic!("{body}")),
        )
    }

    pub fn call(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.request(
            method,
            &format!("/v1/apps/partyline{path}"),
            SECRET,
            &body.to_string(),
        )
    }

    pub fn open(&self) -> String {
        let (status, body) = self.call("POST", "/sessions/new?correlationId=x", Value::Null);
        assert_eq!(status, 201);
        check(&body, &json!({ "sessionId": "string" }));
        body["sessionId"].as_str().unwrap().to_owned()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Checks that a value has the fields of a schema and no others. A name that ends with `?` is
/// optional.
pub fn check(value: &Value, schema: &Value) {
    match schema {
        Value::Object(fields) => {
            let object = value
                .as_object()
                .unwrap_or_else(|| panic!("{value} is no object"));
            for name in object.keys() {
                let known = fields.contains_key(name) || fields.contains_key(&format!("{name}?"));
                assert!(known, "unknown field {name} in {value}");
            }
            for (name, schema) in fields {
                let (name, optional) = match name.strip_suffix('?') {
                    Some(name) => (name, true),
                    None => (name.as_str(), false),
                };
                match object.get(name) {
                    Some(value) => check(value, schema),
                    None => assert!(optional, "no field {name} in {value}"),
                }
            }
        }
        Value::Array(items) => {
            let array = value
                .as_array()
                .unwrap_or_else(|| panic!("{value} is no array"));
            array.iter().for_each(|value| check(value, &items[0]));
        }
        Value::String(kind) => assert!(
            match kind.as_str() {
                "string" => value.is_string(),
                "boolean" => value.is_boolean(),
                one => one.split('|').any(|text| value == text),
            },
            "{value} is no {kind}"
        ),
        other => assert_eq!(value, other),
    }
}
