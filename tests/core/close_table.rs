//! Checks that the close codes in docs/protocol.md and the retry rules in public/retry.js match
//! `src/core/close.rs`.

use partyline::core::close::{Close, Retry};

#[test]
fn the_documentation_has_the_table_of_close_codes() {
    let protocol = include_str!("../../docs/protocol.md");
    for close in Close::ALL {
        let retry = match close.retry() {
            Retry::Never => "no",
            Retry::Later => "later",
            Retry::NewToken => "with a new token",
        };
        let row = format!("| {} | `{}` |", close.code(), close.reason());
        let row = protocol.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("docs/protocol.md has no row for {close:?}"));
        assert!(row.ends_with(&format!("| {retry} |")), "{row}");
    }
}

#[test]
fn the_browser_client_follows_the_retry_rule() {
    let client = include_str!("../../public/retry.js");
    for close in Close::ALL {
        let retry = match close.retry() {
            Retry::Never => "never",
            Retry::Later => "later",
            Retry::NewToken => "new-token",
        };
        let row = format!("{}: '{retry}', // {}", close.code(), close.reason());
        assert!(client.contains(&row), "retry.js has no `{row}`");
    }
}

#[test]
fn the_sessions_of_socket_io_follow_the_retry_rule() {
    let session = include_str!("../../src/shell/engine/room.js");
    for close in Close::ALL {
        let row = format!("{}, // {}", close.code(), close.reason());
        let is_listed = session.contains(&row);
        assert_eq!(is_listed, close.retry() == Retry::Never, "{close:?}");
    }
}
