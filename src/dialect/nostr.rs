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

use super::json::{JsonError, Object, list, quote, unquote};
use crate::core::refusal::{Code, Refusal};
use crate::core::topics::{Call, MAX_TOPIC, Notice, Published};

/// The maximum length of the name of a subscription, in bytes.
const MAX_LABEL: usize = 64;
/// The maximum number of values in a field of a filter.
const MAX_VALUES: usize = 250;
/// The maximum number of tags of an event that filters can name.
const MAX_TAGS: usize = 32;

pub(super) fn decode(text: &str) -> Result<Call<'_>, Refusal<'static>> {
    let values = list(text)?;
    let second = values.get(1).copied().unwrap_or_default();
    match (values.first().copied().unwrap_or_default(), second) {
        (r#""EVENT""#, event) => decode_event(event),
        (r#""REQ""#, label) => Ok(Call::Filter {
            label: read_label(label)?,
            filters: read_filters(values.get(2..).unwrap_or_default()),
        }),
        (r#""CLOSE""#, label) => Ok(Call::Unfilter(read_label(label)?)),
        _ => Err(Refusal::malformed("expected `EVENT`, `REQ` or `CLOSE`")),
    }
}

fn read_label(value: &str) -> Result<Cow<'_, str>, Refusal<'static>> {
    let label = unquote(value).filter(|label| (1..=MAX_LABEL).contains(&label.len()));
    label.ok_or_else(|| Refusal::malformed("the name of a subscription has 1 to 64 bytes"))
}

fn decode_event(body: &str) -> Result<Call<'_>, Refusal<'static>> {
    let mut object = Object::read(body)?;
    let id = object.take_string("id")?;
    let id = id.filter(|id| id.len() <= MAX_TOPIC);
    let id = id.ok_or_else(|| Refusal::malformed("an event has an `id`"))?;
    let refuse = |message: &str| {
        let id = quote(&id);
        Call::Reply([r#"["OK","#, &id, ",false,", &quote(message), "]"].concat())
    };
    let kind = object.take("kind").unwrap_or_default();
    if !kind
        .parse()
        .is_ok_and(|kind: u32| (20_000..30_000).contains(&kind))
    {
        return Ok(refuse("blocked: only ephemeral events (20000 to 29999)"));
    }
    let created_at = object.take("created_at").unwrap_or_default();
    let lines = read_tags(kind, object.take("tags").unwrap_or_default());
    Ok(match (created_at.parse(), lines) {
        (Ok(created_at), Ok(lines)) => Call::PublishEvent {
            id: id.into_owned(),
            event: Published {
                lines,
                created_at,
                body: body.into(),
            },
        },
        _ => refuse("invalid: expected `created_at` and `tags`, at most 32 with one letter"),
    })
}

/// Returns the lines of an event: its kind, its tags with one letter, and an empty line.
fn read_tags(kind: &str, tags: &str) -> Result<Vec<String>, JsonError> {
    let mut lines = vec![kind.to_owned()];
    for tag in list(tags)? {
        let tag = list(tag)?;
        let mut texts = tag.iter().map(|text| unquote(text));
        let (Some(Some(name)), Some(Some(value))) = (texts.next(), texts.next()) else {
            continue;
        };
        if is_tag(&name) {
            let line = [&*name, &*value].concat();
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if lines.len() > MAX_TAGS {
            return Err(JsonError("too many tags".into()));
        }
    }
    lines.push(String::new());
    Ok(lines)
}

/// Returns whether filters can name a tag, which then has one letter.
fn is_tag(name: &str) -> bool {
    name.len() == 1 && name.starts_with(|letter: char| letter.is_ascii_alphabetic())
}

/// Reads filters, in the form of `core/topics/filters.rs`.
fn read_filters(values: &[&str]) -> Result<String, Refusal<'static>> {
    if values.is_empty() {
        return Err(Refusal::malformed("a subscription has a filter"));
    }
    let mut filters = String::new();
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            filters.push('\t');
        }
        push_filter(&mut filters, value)?;
    }
    Ok(filters)
}

fn push_filter(filters: &mut String, filter: &str) -> Result<(), Refusal<'static>> {
    let mut object = Object::read(filter)?;
    if let Some(since) = object.take("since") {
        let is_time = since.parse::<u64>().is_ok();
        if !is_time {
            return Err(Refusal::malformed("`since` is a time in seconds"));
        }
        filters.push('>');
        filters.push_str(since);
        filters.push('\n');
    }
    let start = filters.len();
    while let Some((key, value)) = object.take_first() {
        let letter = key.strip_prefix('#').filter(|name| is_tag(name));
        if letter.is_none() && key != "kinds" {
            continue;
        }
        let values = list(value)?;
        if values.len() > MAX_VALUES {
            return Err(Refusal::malformed(
                "a filter has at most 250 values for a key",
            ));
        }
        if values.is_empty() {
            push_line(filters, start, "", "!");
        }
        for value in values {
            match letter {
                Some(letter) => push_line(filters, start, letter, &read_value(value)?),
                None => push_line(filters, start, "", read_kind(value)?),
            }
        }
    }
    Ok(())
}

/// Appends a line. `start` is the start of the first one.
fn push_line(filters: &mut String, start: usize, letter: &str, value: &str) {
    if filters.len() > start {
        filters.push('\n');
    }
    filters.push_str(letter);
    filters.push_str(value);
}

fn read_value(value: &str) -> Result<Cow<'_, str>, Refusal<'static>> {
    let text = unquote(value);
    let text = text.filter(|text| text.len() < MAX_TOPIC && text.bytes().all(|byte| byte >= b' '));
    text.ok_or_else(|| {
        Refusal::malformed("a value of a tag has at most 127 bytes and no control characters")
    })
}

fn read_kind(value: &str) -> Result<&str, Refusal<'static>> {
    let is_kind = value.parse::<u64>().is_ok_and(|kind| kind < 65_536);
    let kind = is_kind.then_some(value);
    kind.ok_or_else(|| Refusal::malformed("a kind is a number from 0 to 65535"))
}

pub(super) fn encode(notice: &Notice) -> Vec<String> {
    let reason = |refusal: &Refusal<'_>| {
        let prefix = match refusal.code {
            Code::Malformed | Code::TooLarge => "invalid",
            Code::TooFast => "rate-limited",
            Code::Unauthorized => "restricted",
            _ => "error",
        };
        quote(&[prefix, ": ", &refusal.message].concat())
    };
    vec![match notice {
        Notice::Post { body, label, .. } => {
            [r#"["EVENT","#, &quote(label), ",", body, "]"].concat()
        }
        Notice::Subscribed { label } => [r#"["EOSE","#, &quote(label), "]"].concat(),
        Notice::Ended { label, refusal } => {
            [r#"["CLOSED","#, &quote(label), ",", &reason(refusal), "]"].concat()
        }
        Notice::Published { id, refusal: None } => {
            [r#"["OK","#, &quote(id), r#",true,""]"#].concat()
        }
        Notice::Published {
            id,
            refusal: Some(refusal),
        } => [r#"["OK","#, &quote(id), ",false,", &reason(refusal), "]"].concat(),
        Notice::Reply(frame) => frame.clone(),
        Notice::Refused(refusal) => [r#"["NOTICE","#, &reason(refusal), "]"].concat(),
    }]
}
