//! Checks the documentation against the Rust code: the sample in docs/auth.md works, and the tables
//! contain all error codes and the limits.

use jsonwebtoken::EncodingKey;
use partyline::core::close::Close;
use partyline::core::event::{Limits, MAX_FRAME};
use partyline::core::outbox::{MAX_HELD_BYTES, MAX_ROOM_BYTES};
use partyline::core::peer::{PeerId, Time};
use partyline::core::refusal::{Code, Refusal};
use partyline::core::unread::{MAX_ALL_UNREAD, MAX_UNREAD};
use partyline::edge::admission::check_token;
use partyline::edge::route::HttpError;

const AUTH: &str = include_str!("../../docs/auth.md");
const HTTP: &str = include_str!("../../docs/http.md");
const PROTOCOL: &str = include_str!("../../docs/protocol.md");

/// Creates a token. The lines are the sample in docs/auth.md, unchanged.
#[rustfmt::skip]
fn mint(secret: &[u8]) -> Result<String, jsonwebtoken::errors::Error> {
    let exp = jsonwebtoken::get_current_timestamp() + 300;
    let claims = serde_json::json!({ "room": "demo", "sub": "ann", "exp": exp });
    let token = jsonwebtoken::encode(&Default::default(), &claims, &EncodingKey::from_secret(secret))?;
    Ok(token)
}

#[test]
fn a_token_minted_by_the_sample_is_accepted() {
    let secret = "a secret that is long enough to be one";
    let token = mint(secret.as_bytes()).unwrap();
    let now = Time(jsonwebtoken::get_current_timestamp() * 1_000);
    let check = |room, id| {
        check_token(
            &secret.into(),
            Some(&token),
            now,
            Some(room),
            PeerId::parse(id).as_ref(),
        )
    };
    assert!(check("demo", "ann").unwrap() > now);
    assert!(check("other", "ann").is_err() && check("demo", "bob").is_err());
}

#[test]
fn the_sample_in_the_documentation_is_tested() {
    let this_file = include_str!("readme.rs");
    let (_, code) = AUTH.split_once("```rust\n").expect("auth.md has Rust code");
    let (code, _) = code.split_once("```").expect("the code block ends");
    for line in code.lines() {
        assert!(this_file.contains(line), "{line}");
    }
}

#[test]
fn the_limits_in_the_documentation_are_those_of_the_code() {
    const SECURITY: &str = include_str!("../../docs/security.md");
    let mib = |bytes: usize| format!("{} MiB", bytes / 1024 / 1024);
    let kib = |bytes: usize| format!("{} KiB", bytes / 1024);
    let limits = |peers| Limits {
        peers,
        ..Limits::default()
    };
    let (least, most) = (limits(1).burst_bytes(), limits(16_384).burst_bytes());
    assert_eq!(limits(100).burst_bytes(), 100 * 16 * 1024);
    let burst = format!(
        "16 KiB × `MAX_PEERS`, at least {} and at most {}",
        mib(least),
        mib(most)
    );
    for (page, row, value) in [
        (
            PROTOCOL,
            "| Signals queued and kept in one room |",
            mib(MAX_ROOM_BYTES),
        ),
        (
            PROTOCOL,
            "| Bytes that a WebSocket client leaves unread |",
            mib(MAX_UNREAD as usize),
        ),
        (
            PROTOCOL,
            "| Bytes that all WebSocket clients of a room leave unread |",
            mib(MAX_ALL_UNREAD as usize),
        ),
        (
            PROTOCOL,
            "| Signals queued for one absent peer",
            kib(MAX_HELD_BYTES),
        ),
        (PROTOCOL, "| Size of one frame |", kib(MAX_FRAME)),
        (PROTOCOL, "| Bytes from one peer |", burst.clone()),
        (
            SECURITY,
            "| Signals queued for absent peers",
            mib(MAX_ROOM_BYTES),
        ),
        (
            SECURITY,
            "| Bytes that a WebSocket peer has not read |",
            mib(MAX_UNREAD as usize),
        ),
        (
            SECURITY,
            "| Bytes that all WebSocket clients of a room have not read |",
            mib(MAX_ALL_UNREAD as usize),
        ),
        (
            SECURITY,
            "| Signals queued for an absent peer |",
            kib(MAX_HELD_BYTES),
        ),
        (
            SECURITY,
            "| Size of a frame or request body |",
            kib(MAX_FRAME),
        ),
        (SECURITY, "| Bytes sent |", burst),
    ] {
        let line = page.lines().find(|line| line.starts_with(row));
        assert!(
            line.is_some_and(|line| line.contains(&value)),
            "{row} {value}: {line:?}"
        );
    }
    let waiting = limits(64);
    assert_eq!(
        (waiting.waiting(), waiting.waiting_of_one_address()),
        (16, 8)
    );
    assert_eq!(
        (limits(2).waiting(), limits(2).waiting_of_one_address()),
        (2, 2)
    );
}

/// Returns the lines between a second-level heading and the next second-level heading.
fn section<'a>(page: &'a str, heading: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = page.lines().skip_while(move |line| *line != heading);
    lines.skip(1).take_while(|line| !line.starts_with("## "))
}

#[test]
fn every_error_code_of_a_websocket_is_documented() {
    for code in Code::ALL {
        let row = format!("| `{}` |", code.as_str());
        let row = section(PROTOCOL, "## Error codes").find(|line| line.starts_with(&row));
        if matches!(
            code,
            Code::NotRegistered | Code::Replaced | Code::NoSuchSession | Code::SessionExists
        ) {
            assert_eq!(row, None, "only HTTP uses {code:?}");
            continue;
        }
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md has no row for {code:?}"));
        let end = match Close::after(code) {
            Some(_) => "| closed |",
            None if code == Code::TooFast => "| stays open, then closed |",
            None => "| stays open |",
        };
        assert!(row.ends_with(end), "{row}");
    }
}

#[test]
fn every_error_code_of_http_is_documented_with_its_status() {
    for code in Code::ALL {
        // Only an `error` event, which has no status, reports these failures of a live session.
        if matches!(code, Code::UnsupportedCodec | Code::MediaUnavailable) {
            continue;
        }
        let HttpError { status, .. } = HttpError::refused(Refusal::new(code, ""));
        let name = format!("`{}`", code.as_str());
        let row = format!("| {status} |");
        assert!(
            section(HTTP, "## Errors").any(|line| line.starts_with(&row) && line.contains(&name)),
            "docs/http.md has no row with {status} and {name}"
        );
    }
}
