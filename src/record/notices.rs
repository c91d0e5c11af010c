//! Kept notices as stored text: the end of an attachment, or of a row of notices.
//!
//! Each notice is a line with a letter for its type, its number, its fields and the lengths of its
//! bodies:
//!
//! ```text
//! j 114896102400064 bob 1 7
//! l 114896102408000 bob 7
//! c 114896102408061 6 4 eve 5 dan
//! s 114896102408064 ann eve 9 7
//! candidate{"a":1}r 114896102408128 no-such-peer 15 3
//! nobody is there zed
//! ```
//!
//! | letter | notice | fields | bodies |
//! |---|---|---|---|
//! | `j` | peer joined | id, `1` if the receiver is polite to it, seat | |
//! | `l` | peer left | id, seat | |
//! | `c` | changes | highest known seat; then seat and id of each peer that left | |
//! | `s` | signal | sender, receiver or `*` for all | type, payload (optional) |
//! | `r` | refusal | code | message, receiver (optional) |

use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;

use super::fields::{Reader, write_line};
use crate::core::notice::{Changes, Notice, RoutedSignal};
use crate::core::outbox::Numbered;
use crate::core::peer::{PeerId, Seat};
use crate::core::refusal::{Code, Refusal};

/// Appends notices to a record.
pub(super) fn write_notices(text: &mut String, notices: &[Numbered]) {
    for Numbered { number, notice } in notices {
        match &**notice {
            // Only an event stream keeps notices, and its client asks for no meta.
            Notice::Joined {
                id, polite, seat, ..
            } => {
                let (polite, seat) = (u8::from(*polite), seat.0);
                write_line(text, format_args!("j {number} {id} {polite} {seat}"), &[]);
            }
            Notice::Left { id, seat } => {
                write_line(text, format_args!("l {number} {id} {}", seat.0), &[]);
            }
            Notice::Changes(Changes {
                after,
                left,
                joined: _, // the room lists them again
            }) => {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "c {number} {}", after.0);
                for (seat, id) in left {
                    let _ = write!(text, " {} {id}", seat.0);
                }
                text.push('\n');
            }
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
            // A welcome is not stored, because the room sends a new welcome whenever a stream opens.
            // The others are sent only to a connected peer.
            Notice::Welcome { .. } | Notice::Acknowledged { .. } | Notice::Unavailable { .. } => {}
        }
    }
}

/// Reads the notices at the end of a record.
pub(super) fn read_notices(reader: &mut Reader<'_>) -> Option<Vec<Numbered>> {
    let mut notices = Vec::new();
    while !reader.is_last_line() {
        reader.next_line()?;
        notices.push(read_notice(reader)?);
    }
    reader.end_line()?;
    Some(notices)
}

fn read_notice(reader: &mut Reader<'_>) -> Option<Numbered> {
    let letter = reader.field()?;
    let number = reader.number()?;
    let notice = match letter {
        "j" => Notice::Joined {
            id: reader.id()?,
            polite: reader.field()? == "1",
            seat: Seat(reader.number()?),
            meta: None,
        },
        "l" => Notice::Left {
            id: reader.id()?,
            seat: Seat(reader.number()?),
        },
        "c" => Notice::Changes(read_changes(reader)?),
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
    let notice = Rc::new(notice);
    Some(Numbered { number, notice })
}

fn read_changes(reader: &mut Reader<'_>) -> Option<Changes> {
    let after = Seat(reader.number()?);
    let mut left = Vec::new();
    while let Some(seat) = reader.field() {
        left.push((Seat(seat.parse().ok()?), reader.id()?));
    }
    Some(Changes {
        after,
        left,
        joined: Vec::new(),
    })
}

fn owned(body: &str) -> Cow<'static, str> {
    Cow::Owned(body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> PeerId {
        PeerId::parse(text).unwrap()
    }

    #[test]
    fn notices_are_read_as_they_were_written() {
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
        let notices = [
            Notice::Joined {
                id: id("bob"),
                polite: true,
                seat: Seat(u64::MAX),
                meta: None,
            },
            Notice::Joined {
                id: id("-"),
                polite: false,
                seat: Seat(0),
                meta: None,
            },
            Notice::Left {
                id: id("bob"),
                seat: Seat(7),
            },
            Notice::Changes(Changes {
                after: Seat(9),
                left: vec![(Seat(1), id("-")), (Seat(7), id("eve"))],
                joined: vec![],
            }),
            signal(Some("eve"), "offer", Some("{\n \"sdp\": \"ä\"}")),
            signal(None, "s 1 ann", None),
            signal(Some("-"), "\n", Some("")),
            refused("nobody\nis there", Some("-")),
            refused("", None),
        ];
        let notices: Vec<_> = (0..)
            .zip(notices)
            .map(|(number, notice)| Numbered {
                number,
                notice: Rc::new(notice),
            })
            .collect();
        let mut text = "v2 \n".to_owned();
        write_notices(&mut text, &notices);
        assert_eq!(read(&text), Some(notices));
    }

    #[test]
    fn invalid_text_is_not_read_as_notices() {
        for text in [
            "j 1 bob 1 1",
            "j 1 bob 1\n",
            "l 1 bob\n",
            "q 1 bob\n",
            "c 1\n",
            "c 1 2 3\n",
            "c 1 2 bob 3\n",
            "c 1 2 3 b/b\n",
            "s 1 ann * 5 -\noff",
            "s 1 ann * 1 -\nä",
            "r 1 because 0 -\n",
            "s 1 ann * - -\n",
        ] {
            assert_eq!(read(&format!("v2 \n{text}")), None, "{text:?}");
        }
    }

    /// Reads notices from a record whose first line is empty.
    fn read(text: &str) -> Option<Vec<Numbered>> {
        let mut reader = Reader::new(text)?;
        assert_eq!(reader.field(), Some(""));
        read_notices(&mut reader)
    }
}
