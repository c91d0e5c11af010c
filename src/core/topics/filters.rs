//! Filters: a client receives the events that match one of its filters. An event has a kind and tags, and
//! a subscription with filters has no topic. Nostr has such subscriptions.
//!
//! Filters are kept as text, in which they fit into an attachment and need no memory besides. Tabs
//! separate filters. The lines of a filter are the values of its fields:
//!
//! ```text
//! >1795251720       the earliest time of the event, in seconds since 1970
//! 20001             a kind
//! x3k2j             the value `3k2j` of the tag `x`
//! !                 a field that nothing matches
//! ```
//!
//! The lines of a field follow each other. A filter matches an event if a line of each of its fields
//! does. A filter without a line matches every event.
//!
//! The lines of one field of each filter are the topics under which the subscription is found, so that an
//! event is compared only with subscriptions that probably match.

use std::rc::Rc;

use super::{Call, Effect, Mark, Notice, Subscription, Topics};
use crate::core::peer::{Socket, Time};
use crate::core::refusal::{Code, Refusal};

/// The maximum length of the filters and names of all subscriptions of a client, in bytes. They fit into
/// its attachment.
const MAX_FILTERS: usize = 15_000;
/// The length that is added for each subscription: its seat, its mark and two lengths.
const OVERHEAD: usize = 40;
/// The maximum number of lines of all filters of a client. Without it, four clients would use up
/// [`MAX_SUBSCRIPTIONS`](super::MAX_SUBSCRIPTIONS) with values of one character. A client of trystero has
/// two lines of 48 bytes for each topic, so it reaches [`MAX_FILTERS`] first.
const MAX_LINES: usize = 640;
/// The bytes as which a line counts for the rate limit, in addition to its text. The server needs about
/// 10 µs to insert and to remove a line, which has as little as four bytes in a frame.
const COST_OF_LINE: usize = 40;

/// An event that a client publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The kind and the tags of the event as lines of a filter, without duplicates. The last is empty,
    /// for filters without such a line.
    pub lines: Vec<String>,
    /// The time of the event, in seconds since 1970.
    pub created_at: u64,
    /// The event as JSON.
    pub body: Rc<str>,
}

impl Published {
    fn matches(&self, filters: &str) -> bool {
        filters.split('\t').any(|filter| self.matches_one(filter))
    }

    fn matches_one(&self, filter: &str) -> bool {
        let mut field = None;
        let mut is_match = true;
        for line in filter.split('\n') {
            if field != Some(field_of(line)) {
                if !is_match {
                    return false;
                }
                field = Some(field_of(line));
                is_match = false;
            }
            is_match = is_match || self.has(line);
        }
        is_match
    }

    fn has(&self, line: &str) -> bool {
        match line.strip_prefix('>') {
            Some(since) => since
                .parse::<u64>()
                .is_ok_and(|since| self.created_at >= since),
            None => self.lines.iter().any(|own| own == line),
        }
    }
}

/// Returns a byte that stands for the field of a line.
fn field_of(line: &str) -> u8 {
    match line.as_bytes() {
        [b'0'..=b'9', ..] => b'0',
        [first, ..] => *first,
        [] => 0,
    }
}

/// Calls `visit` with each topic under which a subscription is found. There may be duplicates.
fn each_topic(filters: &str, visit: &mut dyn FnMut(&str)) {
    for filter in filters.split('\t') {
        let mut field = None;
        for line in filter.split('\n') {
            let next = field_of(line);
            // Events with the same tag are rarer than events of the same kind.
            if next.is_ascii_alphabetic() {
                field = Some(next);
                break;
            }
            if next != b'>' {
                field = field.or(Some(next));
            }
        }
        for line in filter.split('\n') {
            if Some(field_of(line)) == field {
                visit(line);
            }
        }
    }
}

impl Subscription {
    /// Calls `visit` with each topic under which the subscription is found. There may be duplicates.
    pub(super) fn each_topic(&self, visit: &mut dyn FnMut(&str)) {
        if self.mark == Mark::Filters {
            each_topic(&self.topic, visit);
        } else {
            visit(&self.topic);
        }
    }

    /// Returns as how many subscriptions this one counts: one for each line of its filters.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self.mark {
            Mark::Filters => count_lines(&self.topic),
            _ => 1,
        }
    }
}

fn count_lines(filters: &str) -> usize {
    let bytes = filters.bytes();
    let ends = bytes.filter(|byte| matches!(byte, b'\t' | b'\n'));
    ends.count().saturating_add(1)
}

impl Call<'_> {
    /// Returns the bytes that count for the rate limit in addition to those of the frame.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Filter {
                filters: Ok(filters),
                ..
            } => count_lines(filters).saturating_mul(COST_OF_LINE),
            _ => 0,
        }
    }
}

impl Topics {
    /// Subscribes a client to the events that match filters, instead of its subscription with this name.
    /// Returns whether the subscriptions of the client have changed.
    pub(super) fn filter(
        &mut self,
        socket: Socket,
        label: &str,
        filters: Result<String, Refusal<'static>>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let was_subscribed = self.unfilter(socket, label);
        let refused = |message| Refusal::new(Code::RoomFull, message);
        let added = filters.and_then(|filters| {
            let length = |filters: &str, label: &str| {
                let texts = filters.len().saturating_add(label.len());
                texts.saturating_add(OVERHEAD)
            };
            let mut total = length(&filters, label);
            let mut lines = count_lines(&filters);
            if let Some(client) = self.clients.get(&socket) {
                for each in &client.listener.subscriptions {
                    total = total.saturating_add(length(&each.topic, &each.label));
                    lines = lines.saturating_add(each.weight());
                }
            }
            if total > MAX_FILTERS || lines > MAX_LINES {
                return Err(refused(TOO_MANY));
            }
            let is_added = self.add(socket, &filters, label, Mark::Filters);
            is_added.then_some(()).ok_or_else(|| refused(FULL))
        });
        let is_added = added.is_ok();
        let label = label.into();
        let notice = match added {
            Ok(()) => Notice::Subscribed { label },
            Err(refusal) => Notice::Ended { label, refusal },
        };
        effects.push(Effect::Send(vec![socket], notice));
        is_added || was_subscribed
    }

    /// Ends the subscription of a client with this name. Returns `false` if it has none.
    pub(super) fn unfilter(&mut self, socket: Socket, label: &str) -> bool {
        self.end_subscription(socket, |each| *each.label == *label)
    }

    /// Sends an event to each subscription with a filter that matches, and an answer to its publisher.
    pub(super) fn publish_event(
        &mut self,
        now: Time,
        socket: Socket,
        id: String,
        event: &Published,
        effects: &mut Vec<Effect>,
    ) {
        self.events = self.events.saturating_add(1);
        let answer_at = effects.len();
        let mut is_over_budget = false;
        for line in &event.lines {
            let Some(topic) = self.topics.get_mut(&**line) else {
                continue;
            };
            if !topic.spend(now, event.body.len(), &mut self.budget) {
                is_over_budget = true;
                continue;
            }
            for subscriber in &topic.subscribers {
                let Some(filters) = &subscriber.filters else {
                    continue;
                };
                // A subscription is found under several topics, and receives the event once.
                let is_new = filters.last_event.replace(self.events) != self.events;
                if is_new && event.matches(&filters.text) {
                    let notice = Notice::Post {
                        body: event.body.clone(),
                        label: subscriber.label.clone(),
                        subscribers: 0,
                    };
                    effects.push(Effect::Send(vec![subscriber.socket], notice));
                }
            }
        }
        let is_refused = is_over_budget && effects.len() == answer_at;
        let refusal = is_refused.then(|| Refusal::new(Code::TooFast, OVER_BUDGET));
        let answer = Notice::Published { id, refusal };
        effects.insert(answer_at, Effect::Send(vec![socket], answer));
    }
}

const TOO_MANY: &str =
    "too many filters: all subscriptions of a client may have 15,000 bytes and 640 values";
const FULL: &str = "too many subscriptions: a client may have 100, and all filters of a room 16,384 values. \
                    Close one, or subscribe again later";
const OVER_BUDGET: &str = "too many bytes for these subscribers: send at most 96 KiB a second";

#[cfg(test)]
mod tests {
    use super::*;

    fn event(lines: &[&str]) -> Published {
        let lines = lines.iter().chain(&[""]).map(|line| (*line).to_owned());
        Published {
            lines: lines.collect(),
            created_at: 1_000,
            body: "{}".into(),
        }
    }

    #[test]
    fn a_filter_matches_if_a_line_of_each_field_does() {
        let event = event(&["20001", "xa", "tb", "tc"]);
        for filters in [
            "",
            ">1000\n",
            "20001",
            "20000\n20001",
            "xa",
            "xb\nxa",
            ">999\n20001\n20002\nxa\nxb\ntc",
            "!\t20002\t20001",
            "xc\t",
        ] {
            assert!(event.matches(filters), "{filters:?}");
        }
        for filters in [
            "!",
            ">1001\n",
            ">x\n",
            ">\n",
            "20002",
            "xb",
            "x",
            "a",
            "ya",
            "20001\nxb",
            "xa\ntd",
            "xa\n!",
            "20002\txb",
            ">1001\nxa",
            "XA",
        ] {
            assert!(!event.matches(filters), "{filters:?}");
        }
    }

    #[test]
    fn a_subscription_is_found_under_its_tags_or_else_its_kinds() {
        for (filters, expected) in [
            ("", vec![""]),
            (">7\n", vec![""]),
            (">7\n20001\n20002", vec!["20001", "20002"]),
            ("20001\nxa\nxb\ntc", vec!["xa", "xb"]),
            (">7\n!\nxa", vec!["xa"]),
            ("!", vec!["!"]),
            ("xa\t20001\t\txa", vec!["xa", "20001", "", "xa"]),
        ] {
            let mut topics = Vec::new();
            each_topic(filters, &mut |topic| topics.push(topic.to_owned()));
            assert_eq!(topics, expected);
        }
    }

    #[test]
    fn the_refusal_names_the_budget_of_a_topic() {
        let budget = format!(" {} KiB a second", super::super::budget::KIB_PER_SECOND);
        assert!(OVER_BUDGET.contains(&budget), "{OVER_BUDGET}");
    }
}
