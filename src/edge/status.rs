//! The status of a room: an HTML page for users, and JSON for programs.
//!
//! If the server requires tokens, only clients with a token see the number of peers. The status never
//! contains peer ids.

use crate::dialect::family::Family;
use crate::dialect::json::quote;

/// The public facts about a room.
#[derive(Clone, Copy, Debug)]
pub struct Status<'a> {
    /// The name of the room.
    pub room: &'a str,
    /// The family, if the status names it.
    pub family: Option<Family>,
    /// The facts that only the room knows. `None`: the client may not see them.
    pub room_facts: Option<RoomFacts<'a>>,
}

/// The facts that only the room knows.
#[derive(Clone, Copy, Debug)]
pub struct RoomFacts<'a> {
    /// The number of peers of the family, including absent peers.
    pub peers: usize,
    /// The time at which the room was loaded into memory, in ISO 8601. The platform evicts idle
    /// rooms, so this time is usually recent.
    pub awake_since: &'a str,
}

impl Status<'_> {
    /// Returns the status as JSON:
    /// `{"status":"ok","room":"demo","peers":2,"awakeSince":"2026-11-21T08:00:00.000Z"}`, or
    /// `{"status":"ok","room":"demo"}` without the facts of the room. If the status names the family,
    /// `"family":"peerjs"` follows the room.
    #[must_use]
    pub fn json(&self) -> String {
        let room = quote(self.room);
        let facts = self.room_facts.map(|facts| {
            let RoomFacts { peers, awake_since } = facts;
            format!(r#","peers":{peers},"awakeSince":"{awake_since}""#)
        });
        let facts = facts.unwrap_or_default();
        let family = self
            .family
            .map(|family| format!(r#","family":"{}""#, family.name()));
        let family = family.unwrap_or_default();
        format!(r#"{{"status":"ok","room":{room}{family}{facts}}}"#)
    }

    /// Returns the status as an HTML page. The page uses the styles in `public/status.css` and the
    /// colors in `public/style.css`.
    #[must_use]
    pub fn html(&self) -> String {
        let room = escape(self.room);
        let link =
            percent_encoding::utf8_percent_encode(self.room, percent_encoding::NON_ALPHANUMERIC);
        let peers = match self.room_facts.map(|facts| facts.peers) {
            None => {
                "You need a token to join this room and to see the number of its peers.".to_owned()
            }
            Some(0) => "Nobody is here yet.".to_owned(),
            Some(1) => "One peer is here.".to_owned(),
            Some(many) => format!("{many} peers are here."),
        };
        let awake = self.room_facts.map(|RoomFacts { awake_since, .. }| {
            format!(
                r#"
<p class="awake">In memory since <time datetime="{awake_since}">{awake_since}</time>. An idle room
is removed from memory and costs nothing. Its peers stay connected.</p>"#
            )
        });
        let awake = awake.unwrap_or_default();
        let name = escape(&quote(self.room));
        // Without a token, the link would lead to a refusal, and so would the sample.
        let (join, options) = match self.room_facts {
            Some(_) => (
                format!(r#"<a class="join" href="/?room={link}">Join this room</a>"#),
                "",
            ),
            None => (
                "Ask the operator of this server for a link with a token.".to_owned(),
                ", { token }",
            ),
        };
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
<p>{join}</p>
<h2>Use this room in your page</h2>
<pre><code>import {{ Room }} from "https://your-worker.example/room.js";

const room = new Room({name}{options});
room.on("message", ({{ peer, data }}) =&gt; console.log(peer.id, data));</code></pre>
<p>Replace <code>your-worker.example</code> with the address of this server.</p>{awake}
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
        family: None,
        room_facts: Some(TWO_PEERS),
    };
    const TWO_PEERS: RoomFacts<'_> = RoomFacts {
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
            let room_facts = Some(RoomFacts { peers, ..TWO_PEERS });
            let status = Status {
                room_facts,
                ..NASTY
            };
            assert!(status.html().contains(words));
        }
    }

    #[test]
    fn the_status_for_a_client_without_a_token_has_only_the_name() {
        let status = Status {
            room: "demo",
            family: None,
            room_facts: None,
        };
        assert_eq!(status.json(), r#"{"status":"ok","room":"demo"}"#);
        let family = Some(Family::PeerJs);
        let json = Status { family, ..status }.json();
        assert_eq!(json, r#"{"status":"ok","room":"demo","family":"peerjs"}"#);
        let html = status.html();
        assert!(html.contains("You need a token") && html.contains("link with a token"));
        assert!(html.contains(r#"new Room("demo", { token })"#.replace('"', "&quot;").as_str()));
        assert!(!html.contains("In memory since") && !html.contains("/?room="));
    }
}
