//! The status of a room: an HTML page for users, and JSON for programs.
//!
//! The status contains no peer ids, because clients can read the status without a token.

use crate::dialect::json::quote;

/// The public facts about a room.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// The number of peers, including absent peers.
    pub peers: usize,
    /// The time at which the room was loaded into memory, in ISO 8601. The platform evicts idle
    /// rooms, so this time is usually recent.
    pub awake_since: &'a str,
}

impl Status<'_> {
    /// Returns the status as JSON:
    /// `{"status":"ok","room":"demo","peers":2,"awakeSince":"2026-11-21T08:00:00.000Z"}`
    #[must_use]
    pub fn json(&self) -> String {
        let Self {
            room,
            peers,
            awake_since,
        } = self;
        let room = quote(room);
        format!(r#"{{"status":"ok","room":{room},"peers":{peers},"awakeSince":"{awake_since}"}}"#)
    }

    /// Returns the status as an HTML page. The page uses the styles in `public/status.css` and the
    /// colors in `public/style.css`.
    #[must_use]
    pub fn html(&self) -> String {
        let room = escape(self.room);
        let link =
            percent_encoding::utf8_percent_encode(self.room, percent_encoding::NON_ALPHANUMERIC);
        let peers = match self.peers {
            0 => "Nobody is here yet.".to_owned(),
            1 => "One peer is here.".to_owned(),
            many => format!("{many} peers are here."),
        };
        let name = escape(&quote(self.room));
        let Self { awake_since, .. } = self;
        format!(
            r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{room} · partyline</title>
<link rel="icon" href="/icon.svg">
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/status.css">
</head>
<body>
<main>
<p class="well"><span aria-hidden="true"></span>The server is running.</p>
<h1>{room}</h1>
<p class="peers">{peers}</p>
<p><a class="join" href="/?room={link}">Join this room</a></p>
<h2>From your own page</h2>
<pre><code>import {{ Room }} from "/room.js";

const room = new Room({name});
room.addEventListener("message", ({{ detail }}) =&gt; {{
  console.log(detail.peer.id, detail.data);
}});</code></pre>
<p class="awake">In memory since <time datetime="{awake_since}">{awake_since}</time>. An idle room
is removed from memory and costs nothing. Its peers stay connected.</p>
</main>
</body>
</html>
"#
        )
    }
}

/// Escapes text for HTML elements and double-quoted attributes.
fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            other => html.push(other),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    const NASTY: Status<'_> = Status {
        room: "</h1><script>\"&",
        peers: 2,
        awake_since: "2026-11-21T08:00:00.000Z",
    };

    #[test]
    fn the_name_of_a_room_is_escaped_in_html() {
        let html = NASTY.html();
        assert!(html.contains("<h1>&lt;/h1&gt;&lt;script&gt;&quot;&amp;</h1>"));
        assert!(html.contains("/?room=%3C%2Fh1%3E%3Cscript%3E%22%26"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn the_json_has_the_name_and_the_number_of_peers() {
        let json: serde_json::Value = serde_json::from_str(&NASTY.json()).unwrap();
        assert_eq!(json["room"], NASTY.room);
        assert_eq!(json["peers"], 2);
    }

    #[test]
    fn the_page_counts_the_peers_in_words() {
        for (peers, words) in [(0, "Nobody"), (1, "One peer is"), (2, "2 peers are")] {
            assert!(Status { peers, ..NASTY }.html().contains(words));
        }
    }
}
