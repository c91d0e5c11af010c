//! The outbox of one peer as stored text.
//!
//! The first line contains the four counters of the outbox. Each notice is a line with a letter for its
//! type, its number, its fields and the lengths of its bodies:
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
//! | letter | notice | fields | bodies |
//! |---|---|---|---|
//! | `j` | peer joined | id, `1` if the receiver is polite to it | |
//! | `l` | peer left | id | |
//! | `s` | signal | sender, receiver or `*` for all | type, payload (optional) |
//! | `r` | refusal | code | message, receiver (optional) |

use std::borrow::Cow;

use super::fields::{Reader, write_line};
use crate::core::notice::{Notice, RoutedSignal};
use crate::core::outbox::{Counters, Numbered, Outbox};
use crate::core::peer::PeerId;
use crate::core::refusal::{Code, Refusal};

impl Outbox {
    /// Appends the outbox to a record.
    pub(super) fn write(&self, text: &mut String) {
        let Counters {
            last,
            sent,
            stream_start,
            resumed_at,
        } = self.counters();
        let counters = format_args!("{last} {sent} {stream_start} {resumed_at}");
        write_line(text, counters, &[]);
        for Numbered { number, notice } in self.kept() {
            match notice {
                Notice::Joined { id, polite } => {
                    let polite = u8::from(*polite);
                    write_line(text, format_args!("j {number} {id} {polite}"), &[]);
                }
                Notice::Left { id } => write_line(text, format_args!("l {number} {id}"), &[]),
                Notice::Signal(RoutedSignal {
                    from,
                    to,
                    signal_type,
                    payload,
                }) => {
                    let to = to.as_ref().map_or("*", PeerId::as_str);
                    let bodies = [Some(&**signal_type), payload.as_deref()];
                    write_line(text, format_args!("s {number} {from} {to}"), &bodies);
                }
                Notice::Refused(Refusal { code, message, to }) => {
                    let code = code.as_str();
                    let bodies = [Some(&**message), to.as_deref()];
                    write_line(text, format_args!("r {number} {code}"), &bodies);
                }
                // A welcome is not stored, because the room sends a new welcome whenever a stream
                // opens.
                Notice::Welcome { .. } => {}
            }
        }
    }

    /// Reads the part of a record that [`write`](Self::write) appended.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.next_line()?;
        let counters = Counters {
            last: reader.number()?,
            sent: reader.number()?,
            stream_start: reader.number()?,
            resumed_at: reader.number()?,
        };
        let mut kept = Vec::new();
        while !reader.is_last_line() {
            reader.next_line()?;
            kept.push(read_notice(reader)?);
        }
        reader.end_line()?;
        Some(Self::restore(counters, kept))
    }
}

fn read_notice(reader: &mut Reader<'_>) -> Option<Numbered> {
    let letter = reader.field()?;
    let number = reader.number()?;
    let notice = match letter {
        "j" => Notice::Joined {
            id: reader.id()?,
            polite: reader.field()? == "1",
        },
        "l" => Notice::Left { id: reader.id()? },
        "s" => Notice::Signal(RoutedSignal {
            from: reader.id()?,
            to: match reader.field()? {
                "*" => None,
                id => Some(PeerId::parse(id)?),
            },
            signal_type: owned(reader.body()?),
            payload: reader.optional_body()?.map(owned),
        }),
        "r" => Notice::Refused(Refusal {
            code: Code::named(reader.field()?)?,
            message: owned(reader.body()?),
            to: reader.optional_body()?.map(owned),
        }),
        _ => return None,
    };
    Some(Numbered { number, notice })
}

fn owned(body: &str) -> Cow<'static, str> {
    Cow::Owned(body.to_owned())
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
    fn an_outbox_is_read_as_it_was_written() {
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
        let mut text = "v1 \n".to_owned();
        outbox.write(&mut text);
        let read = read(&text).unwrap();
        assert_eq!(read.unsent().count(), outbox.unsent().count());
        assert_eq!(read, outbox);
    }

    #[test]
    fn invalid_text_is_not_read_as_an_outbox() {
        for text in [
            "",
            "1 2",
            "1 2 3 4",
            "1 2\n",
            "1 2 3 x\n",
            "1 2 3 4 5\n",
            "1 2 3 4\nj 1 bob 1",
            "1 2 3 4\nj 1 bob 1 1\n",
            "1 2 3 4\nq 1 bob\n",
            "1 2 3 4\ns 1 ann * 5 -\noff",
            "1 2 3 4\ns 1 ann * 1 -\nä",
            "1 2 3 4\nr 1 because 0 -\n",
            "1 2 3 4\ns 1 ann * - -\n",
        ] {
            assert_eq!(read(&format!("v1 \n{text}")), None, "{text:?}");
        }
    }

    /// Reads an outbox from a record whose first line is empty.
    fn read(text: &str) -> Option<Outbox> {
        let mut reader = Reader::new(text)?;
        assert_eq!(reader.field(), Some(""));
        Outbox::read(&mut reader)
    }
}
