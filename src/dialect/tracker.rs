//! The dialect of `WebTorrent` trackers (bittorrent-tracker 11), whose clients find each other in swarms.
//!
//! | Direction | Frame | In the room |
//! |---|---|---|
//! | → server | `{"action":"announce","info_hash":"…","peer_id":"…","offers":[{"offer":…,"offer_id":"…"}]}` | enter a swarm, and send each offer to another peer |
//! | → server | the same with `"event":"completed"` or `"left":0` | the peer has all data |
//! | → server | the same with `"event":"stopped"` | leave the swarm |
//! | server → | `{"complete":1,"incomplete":2,"action":"announce","interval":120,"info_hash":"…"}` | the counts of the swarm, which answer each of these frames |
//! | server → | `{"action":"announce","offer":…,"offer_id":"…","peer_id":"…","info_hash":"…"}` | the offer of a peer |
//! | → server | `{"action":"announce","info_hash":"…","peer_id":"…","to_peer_id":"…","answer":…,"offer_id":"…"}` | the answer to a peer |
//! | server → | `{"action":"announce","answer":…,"offer_id":"…","peer_id":"…","info_hash":"…"}` | the answer of a peer |
//! | → server | `{"action":"scrape","info_hash":"…"}`, or a list of hashes | count the peers of swarms |
//! | server → | `{"action":"scrape","files":{"…":{"complete":1,"incomplete":2,"downloaded":1}},"flags":{"min_request_interval":600}}` | the counts. Without `info_hash`, there are no `files` |
//! | server → | `{"action":"announce","failure reason":"…","info_hash":"…"}` | a refusal |
//!
//! `info_hash`, `peer_id` and `to_peer_id` are 20 bytes, written as the characters U+0000 to U+00FF. They are
//! compared decoded, and forwarded as written. `numwant` and all other keys are ignored.
//!
//! A refusal always has an `action` and an `info_hash`, which is empty if it is unknown, because the client
//! disconnects or fails otherwise.

use std::borrow::Cow;

use super::json::{Object, ObjectWriter, list, unquote};
use crate::core::refusal::Refusal;
use crate::core::topics::{Announce, Call, Counts, MAX_OFFERS, Notice, Offer};

/// The time until a client announces itself again, in seconds.
const INTERVAL: &str = "120";
/// The length of a hash or an id, in characters.
const ID_LENGTH: usize = 20;

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(text)?;
    let action = object.take("action").and_then(unquote);
    match action.as_deref() {
        Some("announce") => {
            let swarm = object.take("info_hash");
            let reason = match announce(object, swarm) {
                Ok(announce) => return Ok(Call::Announce(announce)),
                Err(reason) => reason,
            };
            Ok(Call::Reply(failure("announce", reason, swarm)))
        }
        Some("scrape") => Ok(match scrape(object.take("info_hash")) {
            Some(swarms) => Call::Scrape(swarms),
            None => Call::Reply(failure("scrape", "invalid info_hash", None)),
        }),
        _ => Err(Refusal::malformed(
            "invalid action: expected announce or scrape",
        )),
    }
}

/// Reads an announcement. The error is a reason in the words of the client's usual server.
fn announce<'a>(
    mut object: Object<'a>,
    swarm: Option<&'a str>,
) -> Result<Announce<'a>, &'static str> {
    let written_swarm = swarm.unwrap_or_default();
    let peer_id = object.take("peer_id").unwrap_or_default();
    let swarm = id(written_swarm).ok_or("invalid info_hash")?;
    let peer = id(peer_id).ok_or("invalid peer_id")?;
    // A client fails if the `offer_id` of an answer is not a string.
    let read_id = |id: Option<&'a str>| id.filter(|id| id.starts_with('"'));
    let post = |key, body, id: &'a str| {
        let body = ObjectWriter::new(200)
            .string("action", "announce")
            .optional_raw(key, body)
            .raw("offer_id", id)
            .raw("peer_id", peer_id)
            .raw("info_hash", written_swarm)
            .end();
        Offer { id, body }
    };
    let mut offers = Vec::new();
    let offered = object.take("offers").and_then(|offers| list(offers).ok());
    for offer in offered.unwrap_or_default().into_iter().take(MAX_OFFERS) {
        let mut offer = Object::read(offer).map_err(|_| "invalid offers")?;
        let id = read_id(offer.take("offer_id")).ok_or("invalid offers")?;
        offers.push(post("offer", offer.take("offer"), id));
    }
    let answer = object.take("answer").filter(|answer| *answer != "null");
    let to = object.take("to_peer_id").and_then(id);
    let answer = match (answer, to) {
        (None, _) => None,
        (_, None) => return Err("invalid `to_peer_id` (required with `answer`)"),
        (answer, Some(to)) => {
            let id = read_id(object.take("offer_id")).ok_or("invalid offer_id")?;
            Some((to, post("answer", answer, id)))
        }
    };
    let event = match object.take("event") {
        None | Some("null") => "".into(),
        Some(event) => unquote(event).ok_or("invalid event")?,
    };
    if !matches!(
        &*event,
        "" | "empty" | "started" | "update" | "paused" | "completed" | "stopped"
    ) {
        return Err("invalid event");
    }
    Ok(Announce {
        swarm,
        written_swarm,
        peer,
        is_complete: event == "completed" || object.take("left") == Some("0"),
        stops: event == "stopped",
        offers,
        answer,
        random: 0,
    })
}

/// Reads the hashes of a scrape. Returns `None` if one is invalid.
fn scrape(swarms: Option<&str>) -> Option<Vec<Cow<'_, str>>> {
    match swarms {
        None | Some("null") => Some(Vec::new()),
        Some(swarms) => match list(swarms) {
            Ok(swarms) => swarms.into_iter().map(id).collect(),
            Err(_) => id(swarms).map(|swarm| vec![swarm]),
        },
    }
}

/// Reads a hash or an id.
fn id(value: &str) -> Option<Cow<'_, str>> {
    let is_id = |id: &str| {
        id.chars().count() == ID_LENGTH && id.chars().all(|each| u32::from(each) <= 0xFF)
    };
    unquote(value).filter(|id| is_id(id))
}

/// Returns the frame that refuses a frame. `swarm` is the `info_hash` as written.
fn failure(action: &str, reason: &str, swarm: Option<&str>) -> String {
    // The client passes any `info_hash` to a function that fails if it is not a string.
    let swarm = swarm.filter(|swarm| swarm.starts_with('"'));
    ObjectWriter::new(0)
        .string("action", action)
        .string("failure reason", reason)
        .raw("info_hash", swarm.unwrap_or(r#""""#))
        .end()
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    vec![match notice {
        Notice::Post { body, .. } => body.to_string(),
        Notice::Announced {
            swarm,
            counts:
                Some(Counts {
                    complete,
                    incomplete,
                }),
        } => ObjectWriter::new(swarm.len())
            .raw("complete", &complete.to_string())
            .raw("incomplete", &incomplete.to_string())
            .string("action", "announce")
            .raw("interval", INTERVAL)
            .raw("info_hash", swarm)
            .end(),
        Notice::Announced {
            swarm,
            counts: None,
        } => failure("announce", "too many swarms: leave one first", Some(swarm)),
        Notice::Scraped(swarms) => {
            let mut files = ObjectWriter::new(0);
            for (swarm, counts) in swarms {
                let complete = counts.complete.to_string();
                let counts = ObjectWriter::new(0)
                    .raw("complete", &complete)
                    .raw("incomplete", &counts.incomplete.to_string())
                    .raw("downloaded", &complete)
                    .end();
                files = files.raw_at(swarm, &counts);
            }
            ObjectWriter::new(0)
                .string("action", "scrape")
                .raw("files", &files.end())
                .raw("flags", r#"{"min_request_interval":600}"#)
                .end()
        }
        Notice::Reply(frame) => frame.clone(),
        Notice::Refused(refusal) => failure("announce", &refusal.message, None),
        _ => return Vec::new(),
    }]
}
