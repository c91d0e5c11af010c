//! The dialect of Nostr, for events that are not stored.
//!
//! | Direction | Frame |
//! |---|---|
//! | → server | `["REQ","sub",{"kinds":[20001],"#x":["3k2j"],"since":1795251720},…]` |
//! | server → | `["EOSE","sub"]` |
//! | → server | `["CLOSE","sub"]` |
//! | → server | `["EVENT",{"id":"9f…","kind":20001,"tags":[["x","3k2j"]],"created_at":1795251725,…}]` |
//! | server → | `["OK","9f…",true,""]` |
//! | server → | `["EVENT","sub",{…}]` |
//! | server → | `["OK","9f…",false,"blocked: …"]` |
//! | server → | `["CLOSED","sub","invalid: …"]` |
//! | server → | `["NOTICE","invalid: …"]` |
//!
//! The server sends an event to each subscription with a filter that matches, as it was written, also to
//! its sender. A `REQ` replaces the subscription with the same name. A filter matches on its `kinds`, its
//! tags with one letter, such as `#x`, and `since`. Other keys of a filter are ignored.
//!
//! Only ephemeral events are accepted, the kinds 20000 to 29999. The server does not check signatures:
//! clients that rely on them check them.
//!
//! The protocol is that of NIP-01.

use std::borrow::Cow;

use super::json::{Object, list, quote, unquote};
use crate::core::refusal::{Code, Refusal};
use crate::core::topics::{Call, MAX_TOPIC, Notice, Published};

/// The maximum length of the name of a subscription, in bytes.
const MAX_LABEL: usize = 64;
/// The maximum number of values in a field of a filter.
const MAX_VALUES: usize = 250;
/// The maximum number of tags of an event that filters can name.
const MAX_TAGS: usize = 32;
/// The line of a field that nothing matches.
const NOTHING: &str = "!";

/// The reason for which filters are refused.
const NO_FILTERS: &str = "expected filters with `kinds`, tags such as `#x`, both with at most 250 values, \
                          and `since`: a value has at most 127 bytes and no control characters";

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let values = list(text)?;
    let at = |index| values.get(index).copied().unwrap_or_default();
    let (command, second) = (at(0), at(1));
    if command == r#""EVENT""# {
        return decode_event(second);
    }
    let label = unquote(second).filter(|label| (1..=MAX_LABEL).contains(&label.len()));
    match (command, label) {
        (r#""REQ""#, Some(label)) => {
            let filters = read_filters(values.get(2..).unwrap_or_default());
            let filters = filters.ok_or_else(|| Refusal::malformed(NO_FILTERS));
            Ok(Call::Filter { label, filters })
        }
        (r#""CLOSE""#, Some(label)) => Ok(Call::Unfilter(label)),
        _ => Err(Refusal::malformed(
            "expected `EVENT` and an event, or `REQ` or `CLOSE` and a name of 1 to 64 bytes",
        )),
    }
}

fn decode_event(body: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(body)?;
    let mut take = |key| object.take(key).unwrap_or_default();
    let id = take("id");
    let Some(text) = unquote(id).filter(|id| id.len() <= MAX_TOPIC) else {
        return Err(Refusal::malformed("expected an event with an `id`"));
    };
    let refuse = |reason| {
        Ok(Call::Reply(
            [r#"["OK","#, id, ",false,", reason, "]"].concat(),
        ))
    };
    let kind = take("kind");
    let number: Option<u64> = kind.parse().ok();
    if number.is_none_or(|number| !(20_000..30_000).contains(&number)) {
        return refuse(r#""blocked: only ephemeral events (20000 to 29999)""#);
    }
    let created_at = take("created_at").parse().ok();
    match (created_at, read_tags(kind, take("tags"))) {
        (Some(created_at), Some(lines)) => Ok(Call::PublishEvent {
            id: text.into_owned(),
            event: Published {
                lines,
                created_at,
                body: body.into(),
            },
        }),
        _ => refuse(r#""invalid: expected `created_at` and `tags`, at most 32 with one letter""#),
    }
}

/// Returns the lines of an event: its kind, its tags with one letter, and an empty line.
fn read_tags(kind: &str, tags: &str) -> Option<Vec<String>> {
    let mut lines = vec![kind.to_owned()];
    for tag in list(tags).ok()? {
        let tag = list(tag).ok()?;
        let text = |index| tag.get(index).copied().and_then(unquote);
        let (Some(name), Some(value)) = (text(0), text(1)) else {
            continue;
        };
        let line = [&*name, &*value].concat();
        if is_tag(&name) && !lines.contains(&line) {
            if lines.len() > MAX_TAGS {
                return None;
            }
            lines.push(line);
        }
    }
    lines.push(String::new());
    Some(lines)
}

/// Returns whether filters can name a tag, which then has one letter.
const fn is_tag(name: &str) -> bool {
    matches!(name.as_bytes(), [letter] if letter.is_ascii_alphabetic())
}

/// Reads filters, in the form of `core/topics/filters.rs`.
fn read_filters(values: &[&str]) -> Option<String> {
    let mut filters = String::new();
    for value in values {
        push_filter(&mut filters, value)?;
        filters.push('\t');
    }
    filters.pop()?;
    Some(filters)
}

fn push_filter(filters: &mut String, filter: &str) -> Option<()> {
    let mut object = Object::read(filter).ok()?;
    if let Some(since) = object.take("since") {
        since.parse::<u64>().ok()?;
        filters.extend([">", since, "\n"]);
    }
    let start = filters.len();
    while let Some((key, value)) = object.take_first() {
        let letter = key.strip_prefix('#').filter(|name| is_tag(name));
        if letter.is_none() && key != "kinds" {
            continue;
        }
        let mut values = list(value).ok()?;
        if values.len() > MAX_VALUES {
            return None;
        }
        if values.is_empty() {
            values.push(NOTHING);
        }
        for value in values {
            if filters.len() > start {
                filters.push('\n');
            }
            let text = match letter {
                _ if value == NOTHING => value.into(),
                Some(letter) => {
                    filters.push_str(letter);
                    unquote(value)?
                }
                None => {
                    value.parse::<u64>().ok().filter(|kind| *kind < 65_536)?;
                    value.into()
                }
            };
            if text.len() >= MAX_TOPIC || text.bytes().any(|byte| byte < b' ') {
                return None;
            }
            filters.push_str(&text);
        }
    }
    Some(())
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    let reason = |refusal: &Refusal<'_>| {
        let prefix = match refusal.code {
            Code::Malformed | Code::TooLarge => "invalid: ",
            Code::TooFast => "rate-limited: ",
            Code::Unauthorized => "restricted: ",
            _ => "error: ",
        };
        quote(&[prefix, &refusal.message].concat())
    };
    let (start, name, end): (_, &str, Cow<'_, str>) = match notice {
        Notice::Reply(frame) => return vec![frame.clone()],
        Notice::Refused(refusal) => {
            return vec![[r#"["NOTICE","#, &reason(refusal), "]"].concat()];
        }
        Notice::Post { body, label, .. } => (r#"["EVENT","#, label, (&**body).into()),
        Notice::Subscribed { label } => (r#"["EOSE","#, label, "".into()),
        Notice::Ended { label, refusal } => (r#"["CLOSED","#, label, reason(refusal).into()),
        Notice::Published { id, refusal } => {
            let end = match refusal {
                Some(refusal) => ["false,", &reason(refusal)].concat().into(),
                None => r#"true,"""#.into(),
            };
            (r#"["OK","#, id, end)
        }
        _ => return Vec::new(),
    };
    let comma = if end.is_empty() { "" } else { "," };
    vec![[start, &quote(name), comma, &end, "]"].concat()]
}
