//! An outbox as text, which is how it is kept while its room sleeps.
//!
//! The first line has its four numbers. Then come the notices, one after the other: what it is, its
//! number, its fields, the lengths in bytes of what can be anything, a line feed, and that:
//!
//! ```text
//! 1795251600127 1795251600125 1795251600000 0
//! j 1795251600001 bob 1
//! l 1795251600125 bob
//! s 1795251600126 ann eve 9 7
//! candidate{"a":1}r 1795251600127 no-such-peer 15 3
//! nobody is there zed
//! ```
//!
//! `*` stands for everybody as the receiver, `-` for the length of what is not there.

use std::borrow::Cow;
use std::fmt::Write;

use crate::core::notice::{Notice, RoutedSignal};
use crate::core::outbox::{Counters, Numbered, Outbox};
use crate::core::peer::PeerId;
use crate::core::refusal::{Code, Refusal};

impl Outbox {
    /// Appends it to a text.
    pub fn write(&self, text: &mut String) {
        // Writing into memory has nothing to fail at.
        let Counters {
            last,
            sent,
            stream_start,
            resumed_at,
        } = self.counters();
        let _ = writeln!(text, "{last} {sent} {stream_start} {resumed_at}");
        for Numbered { number, notice } in self.kept() {
            let _ = match notice {
                Notice::Joined { id, polite } => {
                    writeln!(text, "j {number} {id} {}", u8::from(*polite))
                }
                Notice::Left { id } => writeln!(text, "l {number} {id}"),
                Notice::Signal(RoutedSignal {
                    from,
                    to,
                    signal_type,
                    payload,
                }) => {
                    let to = to.as_ref().map_or("*", PeerId::as_str);
                    let (length, payload) = optional(payload.as_deref());
                    let type_length = signal_type.len();
                    write!(
                        text,
                        "s {number} {from} {to} {type_length} {length}\n{signal_type}{payload}"
                    )
                }
                Notice::Refused(Refusal { code, message, to }) => {
                    let (length, to) = optional(to.as_deref());
                    let code = code.as_str();
                    write!(
                        text,
                        "r {number} {code} {} {length}\n{message}{to}",
                        message.len()
                    )
                }
                // It is said anew whenever a stream opens.
                Notice::Welcome { .. } => Ok(()),
            };
        }
    }

    /// Reads what [`write`](Self::write) wrote; `None` for anything else.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (numbers, mut rest) = text.split_once('\n')?;
        let mut numbers = numbers.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let counters = Counters {
            last: next()?,
            sent: next()?,
            stream_start: next()?,
            resumed_at: next()?,
        };
        let mut kept = Vec::new();
        while !rest.is_empty() {
            let (head, body) = rest.split_once('\n')?;
            let mut fields = head.split(' ');
            let what = fields.next()?;
            let number = fields.next()?.parse().ok()?;
            rest = body;
            let notice = match what {
                "j" => Notice::Joined {
                    id: PeerId::parse(fields.next()?)?,
                    polite: fields.next()? == "1",
                },
                "l" => Notice::Left {
                    id: PeerId::parse(fields.next()?)?,
                },
                "s" => Notice::Signal(RoutedSignal {
                    from: PeerId::parse(fields.next()?)?,
                    to: match fields.next()? {
                        "*" => None,
                        id => Some(PeerId::parse(id)?),
                    },
                    signal_type: take(fields.next()?, &mut rest)??,
                    payload: take(fields.next()?, &mut rest)?,
                }),
                "r" => Notice::Refused(Refusal {
                    code: Code::named(fields.next()?)?,
                    message: take(fields.next()?, &mut rest)??,
                    to: take(fields.next()?, &mut rest)?,
                }),
                _ => return None,
            };
            kept.push(Numbered { number, notice });
        }
        Some(Self::restore(counters, kept))
    }
}

/// How long a text is, as it is written, and the text.
fn optional(text: Option<&str>) -> (Cow<'static, str>, &str) {
    text.map_or(("-".into(), ""), |text| {
        (text.len().to_string().into(), text)
    })
}

/// Takes as many bytes as `length` says off the start of a text; inside, `None` if it is `-`.
#[allow(clippy::option_option)]
fn take(length: &str, rest: &mut &str) -> Option<Option<Cow<'static, str>>> {
    if length == "-" {
        return Some(None);
    }
    let (taken, left) = rest.split_at_checked(length.parse().ok()?)?;
    *rest = left;
    Some(Some(taken.to_owned().into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::outbox::Delivery;
    use crate::core::peer::Time;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap()
    }

    #[test]
    fn an_outbox_survives_being_written() {
        let signal =
            |to: Option<&str>, signal_type: &'static str, payload: Option<&'static str>| {
                Notice::Signal(RoutedSignal {
                    from: id("ann"),
                    to: to.map(id),
                    signal_type: signal_type.into(),
                    payload: payload.map(Into::into),
                })
            };
        let refused = |message: &'static str, to: Option<&'static str>| {
            Notice::Refused(Refusal {
                to: to.map(Into::into),
                ..Refusal::new(Code::NoSuchPeer, message)
            })
        };
        let mut outbox = Outbox::default();
        outbox.restart(Time(7));
        for (how, notice) in [
            (
                Delivery::Sent { keep_ms: 99 },
                Notice::Joined {
                    id: id("bob"),
                    polite: true,
                },
            ),
            (
                Delivery::Sent { keep_ms: 99 },
                Notice::Joined {
                    id: id("-"),
                    polite: false,
                },
            ),
            (
                Delivery::Sent { keep_ms: 99 },
                Notice::Left { id: id("bob") },
            ),
            (
                Delivery::Queued,
                signal(Some("eve"), "offer", Some("{\n \"sdp\": \"ä\"}")),
            ),
            (Delivery::Queued, signal(None, "s 1 ann", None)),
            (Delivery::Queued, signal(Some("-"), "\n", Some(""))),
            (Delivery::Queued, refused("nobody\nis there", Some("-"))),
            (Delivery::Queued, refused("", None)),
        ] {
            outbox.push(Time(9), how, notice).unwrap();
        }
        let mut text = String::new();
        outbox.write(&mut text);
        let read = Outbox::read(&text).unwrap();
        assert_eq!(read.unsent().count(), outbox.unsent().count());
        assert_eq!(read, outbox);
    }

    #[test]
    fn what_is_not_an_outbox_is_nothing() {
        for text in [
            "",
            "1 2",
            "1 2 3 4",
            "1 2\n",
            "1 2 3 x\n",
            "1 2 3 4\nj 1 bob",
            "1 2 3 4\nq 1 bob\n",
            "1 2 3 4\ns 1 ann * 5 -\noff",
            "1 2 3 4\ns 1 ann * 1 -\nä",
            "1 2 3 4\nr 1 because 0 -\n",
            "1 2 3 4\ns 1 ann * - -\n",
        ] {
            assert_eq!(Outbox::read(text), None, "{text:?}");
        }
    }
}
