//! The wire protocols of the servers. All protocols transport the same signals in different frames.

use serde::Deserialize;
use serde_json::json;

use crate::measures::Server;
use crate::room::{fresh, mark};
use crate::websocket::WebSocket;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// partyline's native dialect, which the JavaScript servers also implement.
    Native,
    /// The native dialect without `welcome`, for the baseline `tests/bench/servers/floor.js`, which
    /// forwards frames unchanged.
    Floor,
    /// partyline's forum dialect.
    Forum,
    /// partyline's lobby dialect.
    Lobby,
    /// The protocol of PeerServer.
    Peer,
    /// The protocol of y-webrtc, which has topics instead of peers. Every subscriber receives every
    /// message, including its own.
    Topic,
    /// The protocol of trystero's ws-relay: topics, with other names.
    Trystero,
    /// The protocol of Nostr: events that match filters.
    Nostr,
    /// The protocol of WebTorrent trackers.
    Tracker,
    /// The protocol of matchbox, whose server assigns the ids.
    Matchbox,
    /// The protocol of RxDB's replication over WebRTC, whose server assigns the ids.
    Rxdb,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SignalType {
    /// The SDP offer of a data channel, about 1.5 KB as JSON.
    Offer,
    /// The SDP answer of a data channel, about 1.5 KB as JSON.
    Answer,
    /// An ICE candidate, about 200 bytes as JSON.
    Candidate,
}

impl SignalType {
    fn name(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
            Self::Candidate => "candidate",
        }
    }

    /// Returns a payload that contains `mark`.
    fn payload(self, mark: &str) -> String {
        match self {
            Self::Offer | Self::Answer => {
                let name = self.name();
                let lines =
                    "a=candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx raddr \
                             10.0.0.5 rport 46154 generation 0 network-cost 999\\r\\n"
                        .repeat(8);
                format!(
                    "{{\"type\":\"{name}\",\"sdp\":\"v=0\\r\\no=- 4611731400430051336 2 IN IP4 \
                     127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\na=group:BUNDLE 0\\r\\na=msid-semantic: WMS\\r\\n\
                     m=application 9 UDP/DTLS/SCTP webrtc-datachannel\\r\\nc=IN IP4 0.0.0.0\\r\\n{lines}\
                     a=ice-ufrag:EEtu\\r\\na=ice-pwd:Tqv1S3fKDRO2fVdTQOqTfTTd\\r\\na=setup:actpass\\r\\n\
                     a=mid:0\\r\\na=sctp-port:5000\\r\\na=max-message-size:262144\\r\\n\",\"n\":\"{mark}\"}}"
                )
            }
            Self::Candidate => format!(
                "{{\"candidate\":\"candidate:842163049 1 udp 1677729535 203.0.113.7 46154 typ srflx \
                 raddr 10.0.0.5 rport 46154 generation 0 ufrag EEtu\",\"sdpMid\":\"0\",\
                 \"sdpMLineIndex\":0,\"n\":\"{mark}\"}}"
            ),
        }
    }
}

impl Protocol {
    /// Returns the path and query of the request to join.
    fn path(self, in_room: bool, room: &str, id: &str) -> String {
        let query = match self {
            Self::Native | Self::Floor => return format!("/parties/main/{room}?_pk={id}"),
            Self::Forum => return format!("/parties/main/{room}?_pk={id}&dialect=forum"),
            Self::Lobby => return format!("/parties/main/{room}?_pk={id}&dialect=lobby"),
            Self::Peer => format!("?key=peerjs&id={room}.{id}&token=t&version=1.5.5"),
            _ => String::new(),
        };
        if in_room {
            let dialect = match self {
                Self::Peer => "peerjs",
                Self::Topic => "y-webrtc",
                Self::Trystero => "trystero",
                Self::Nostr => "nostr",
                Self::Tracker => "tracker",
                Self::Matchbox => "matchbox",
                _ => "rxdb",
            };
            return format!("/parties/main/{room}/{dialect}{query}");
        }
        match self {
            Self::Peer => format!("/peerjs{query}"),
            Self::Matchbox => format!("/{room}"),
            _ => "/".to_owned(),
        }
    }

    /// Starts a join, without waiting for the response.
    pub(crate) fn begin(self, server: &Server, room: &str, id: &str) -> WebSocket {
        WebSocket::begin(server.port, &self.path(server.in_room, room, id))
    }

    /// Waits for the response, and reads all frames that a new peer receives in a room with
    /// `others` other peers. Returns the id of the peer if the server assigns it.
    ///
    /// In most protocols, a newcomer also sends frames, such as subscriptions. Here it sends the
    /// frames of the real client.
    pub(crate) fn finish(
        self,
        socket: &mut WebSocket,
        room: &str,
        id: &str,
        others: usize,
    ) -> Option<String> {
        socket.finish();
        let subscribe = |topic: &str| match self {
            Self::Topic => format!(r#"{{"type":"subscribe","topics":["{topic}"]}}"#),
            Self::Trystero => format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#),
            _ => format!(r##"["REQ","{topic}",{{"kinds":[20001],"since":0,"#x":["{topic}"]}}]"##),
        };
        match self {
            Self::Floor => None,
            Self::Lobby => {
                socket.skip(1 + others);
                None
            }
            Self::Topic | Self::Trystero | Self::Nostr => {
                socket.send(&subscribe(room));
                if self != Self::Topic {
                    socket.send(&subscribe(&own_topic(room, id)));
                }
                // The announcement comes back, because the newcomer is a subscriber.
                let mark = mark();
                socket.send(&self.publish(room, &announcement(&mark)));
                socket.until(&mark);
                None
            }
            Self::Tracker => {
                // Clients send five offers with their first announcement.
                let offers: Vec<_> = (0..5)
                    .map(|_| {
                        let (mark, offer) = (mark(), SignalType::Offer);
                        format!(
                            r#"{{"offer":{},"offer_id":"{mark:-<20}"}}"#,
                            offer.payload(&mark)
                        )
                    })
                    .collect();
                let fields = format!(r#""event":"started","offers":[{}]"#, offers.join(","));
                socket.send(&announce(room, id, &fields));
                socket.until(r#""interval""#);
                None
            }
            Self::Matchbox => Some(assigned(socket)),
            Self::Rxdb => {
                let id = assigned(socket);
                socket.send(&format!(r#"{{"type":"join","room":"{room}"}}"#));
                socket.until(r#""joined""#);
                Some(id)
            }
            Self::Native | Self::Forum | Self::Peer => {
                socket.skip(1);
                None
            }
        }
    }

    /// Returns whether a peer receives a notice when another peer joins or leaves.
    ///
    /// Other protocols have similar frames. They do not count, because a receiver skips all frames
    /// without the expected mark.
    pub(crate) fn sends_notices(self) -> bool {
        matches!(self, Self::Native | Self::Lobby)
    }

    /// Returns the frame that a client sends while it waits, and its interval in seconds.
    pub(crate) fn waiting(self, room: &str, id: &str) -> (String, u64) {
        let (frame, interval) = match self {
            Self::Peer => (r#"{"type":"HEARTBEAT"}"#, 5),
            Self::Topic => (r#"{"type":"ping"}"#, 15),
            Self::Matchbox => (r#""KeepAlive""#, 10),
            Self::Rxdb => (r#"{"type":"ping"}"#, 60),
            Self::Trystero | Self::Nostr => {
                return (self.publish(room, &announcement(&mark())), 60);
            }
            Self::Tracker => return (announce(room, id, r#""offers":[]"#), 120),
            Self::Native | Self::Floor | Self::Forum | Self::Lobby => ("ping", 25),
        };
        (frame.to_owned(), interval)
    }

    /// Returns a frame with a signal that contains `mark`. The frame is a broadcast if `to` is
    /// `None`.
    pub(crate) fn signal(
        self,
        signal_type: SignalType,
        room: &str,
        from: &str,
        to: Option<&str>,
        mark: &str,
    ) -> String {
        let (name, payload) = (signal_type.name(), signal_type.payload(mark));
        let with = |key: &str, prefix: &str| match to {
            Some(to) => format!(r#""{key}":"{prefix}{to}","#),
            None => String::new(),
        };
        let receiver = to.unwrap_or_default();
        match self {
            Self::Native | Self::Floor => {
                format!(
                    r#"{{"type":"{name}",{}"payload":{payload}}}"#,
                    with("to", "")
                )
            }
            Self::Forum => {
                let action = if signal_type == SignalType::Candidate {
                    "icecandidate"
                } else {
                    name
                };
                let to = with("toPeerId", "");
                format!(r#"{{"action":"forward-{action}",{to}"{name}":{payload}}}"#)
            }
            Self::Lobby => format!(r#"{{{}"{name}":{payload}}}"#, with("toId", "")),
            Self::Peer => {
                let (name, to) = (name.to_uppercase(), with("dst", &format!("{room}.")));
                format!(r#"{{"type":"{name}",{to}"payload":{payload}}}"#)
            }
            Self::Topic => {
                format!(
                    r#"{{"type":"publish","topic":"{room}",{}"data":{payload}}}"#,
                    with("to", "")
                )
            }
            Self::Trystero | Self::Nostr => self.publish(&own_topic(room, receiver), &payload),
            // A tracker forwards an answer to one peer.
            Self::Tracker => {
                let fields = format!(
                    r#""to_peer_id":"{receiver:-<20}","answer":{payload},"offer_id":"{mark:-<20}""#
                );
                announce(room, from, &fields)
            }
            Self::Matchbox => {
                let data = json!({ "IceCandidate": payload });
                format!(r#"{{"Signal":{{"receiver":"{receiver}","data":{data}}}}}"#)
            }
            Self::Rxdb => format!(
                r#"{{"type":"signal","room":"{room}","senderPeerId":"{from}","receiverPeerId":"{receiver}","data":{payload}}}"#
            ),
        }
    }

    /// Returns a frame that sends a message, given as JSON, to the subscribers of a topic.
    fn publish(self, topic: &str, message: &str) -> String {
        match self {
            Self::Topic => format!(r#"{{"type":"publish","topic":"{topic}","data":{message}}}"#),
            Self::Trystero => {
                let payload = json!(message);
                format!(r#"{{"type":"publish","topic":"{topic}","payload":{payload}}}"#)
            }
            _ => {
                let (content, id) = (json!(message), fresh());
                format!(
                    r#"["EVENT",{{"id":"{id:064x}","pubkey":"{id:064x}","created_at":1795251725,"kind":20001,"tags":[["x","{topic}"]],"content":{content},"sig":"{id:0128x}"}}]"#
                )
            }
        }
    }
}

/// Returns the topic on which a client of trystero receives signals.
fn own_topic(room: &str, id: &str) -> String {
    format!("{room}:{id}")
}

/// Returns the message with which a client of topics announces itself.
fn announcement(mark: &str) -> String {
    format!(r#"{{"type":"announce","from":"{mark}"}}"#)
}

/// Returns a frame to a tracker. The hash and the id have 20 characters.
fn announce(room: &str, id: &str, fields: &str) -> String {
    format!(
        r#"{{"action":"announce","info_hash":"{room:-<20}","peer_id":"{id:-<20}","numwant":5,"uploaded":0,"downloaded":0,"left":1,{fields}}}"#
    )
}

/// Reads the first frame, whose last string is the id of the peer.
fn assigned(socket: &mut WebSocket) -> String {
    let frame = socket.next();
    let id = frame.split('"').nth_back(1);
    id.unwrap_or_else(|| panic!("expected an id: {frame}"))
        .to_owned()
}
