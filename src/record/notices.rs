//! Kept notices as stored text: the end of an attachment, or of a row of notices.
//!
//! Each notice is a line with a letter for its type, its number, its fields and the lengths of its
//! bodies:
//!
//! ```text
//! j 114896102400064 bob 1
//! l 114896102408000 bob
//! c 114896102408061 +eve -dan
//! s 114896102408064 ann eve 9 7
//! candidate{"a":1}r 114896102408128 no-such-peer 15 3
//! nobody is there zed
//! ```
//!
//! | letter | notice | fields | bodies |
//! |---|---|---|---|
//! | `j` | peer joined | id, `1` if the receiver is polite to it | |
//! | `l` | peer left | id | |
//! | `c` | changes | `+` and id for each join, `-` and id for each leave | |
//! | `s` | signal | sender, receiver or `*` for all | type, payload (optional) |
//! | `r` | refusal | code | message, receiver (optional) |

use std::borrow::Cow;
use std::fmt::Write;
use std::rc::Rc;

use super::fields::{Reader, write_line};
use crate::core::notice::{Change, Notice, RoutedSignal};
use crate::core::outbox::Numbered;
use crate::core::peer::PeerId;
use crate::core::refusal::{Code, Refusal};

/// Appends notices to a record.
pub(super) fn write_notices(text: &mut String, notices: &[Numbered]) {
    for Numbered { number, notice } in notices {
        match &**notice {
            Notice::Joined { id, polite } => {
                let polite = u8::from(*polite);
                write_line(text, format_args!("j {number} {id} {polite}"), &[]);
            }
            Notice::Left { id } => write_line(text, format_args!("l {number} {id}"), &[]),
            Notice::Changes(changes) => {
                // Writing to a `String` cannot fail.
                let _ = write!(text, "c {number}");
                for change in changes {
                    let _ = match change {
                        Change::Joined(id) => write!(text, " +{id}"),
                        Change::Left(id) => write!(text, " -{id}"),
                    };
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
            Notice::Welcome { .. } => {}
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
        },
        "l" => Notice::Left { id: reader.id()? },
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

fn read_changes(reader: &mut Reader<'_>) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while let Some(field) = reader.field() {
        let change = match field.split_at_checked(1)? {
            ("+", id) => Change::Joined(PeerId::parse(id)?),
            ("-", id) => Change::Left(PeerId::parse(id)?),
            _ => return None,
        };
        changes.push(change);
    }
    Some(changes)
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
            },
            Notice::Joined {
                id: id("-"),
                polite: false,
            },
            Notice::Left { id: id("bob") },
            Notice::Changes(vec![
                Change::Left(id("-")),
                Change::Joined(id("-")),
                Change::Left(id("eve")),
            ]),
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
            "j 1 bob 1",
            "j 1 bob 1 1\n",
            "q 1 bob\n",
            "c 1 bob\n",
            "c 1 +\n",
            "c 1 +b/b\n",
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
