//! The state of a live session as stored text.
//!
//! The line of a peer's connection to the media server begins with `m`. Its fields are the stage with its
//! numbers, the number of failures, the session or `-`, and the `mid`s:
//!
//! ```text
//! m connected 0 9f8e7d6c 0 1
//! m wanted 1795251720000 2 -
//! m calling 114896102408064 1795251720000 0 9f8e7d6c
//! ```
//!
//! The row of a live session has one line: the device, the requested tracks (such as `audio,video`, or
//! `-` for none), the time at which the session ends, and the state. The state `live` is followed by the
//! session of the device, its tracks, its source, and the `mid`s of its tracks. The source is `-` if it
//! is certain, and otherwise a time, after `?` if the device is in the room:
//!
//! ```text
//! v2 camera audio,video 1795266120000 waiting
//! v2 camera audio,video 1795266120000 live 9f8e7d6c video - 1
//! ```

use std::fmt::Write;
use std::rc::Rc;

use super::fields::{Reader, write_line};
use crate::core::live::{LiveSession, LiveState, Media, Source, Stage, Tracks};
use crate::core::peer::Time;

/// The start of the line of a connection to the media server.
pub(super) const MEDIA_LINE: &str = "m ";

/// Appends the line of a connection to the media server.
#[inline(never)] // only live sessions have such a connection
pub(super) fn write_media(text: &mut String, media: &Media) {
    let Media {
        session,
        mids,
        stage,
        failures,
    } = media;
    let stage = match stage {
        Stage::Wanted(Time(at)) => format!("wanted {at}"),
        Stage::Calling {
            call,
            until: Time(until),
        } => format!("calling {call} {until}"),
        Stage::Offered => "offered".to_owned(),
        Stage::Connected => "connected".to_owned(),
    };
    let session = session.as_deref().unwrap_or("-");
    // Writing to a `String` cannot fail.
    let _ = write!(text, "{MEDIA_LINE}{stage} {failures} {session}");
    for mid in mids {
        let _ = write!(text, " {mid}");
    }
    text.push('\n');
}

/// Reads the line that [`write_media`] appended, from its second field.
#[inline(never)]
pub(super) fn read_media(reader: &mut Reader<'_>) -> Option<Media> {
    let stage = match reader.field()? {
        "wanted" => Stage::Wanted(Time(reader.number()?)),
        "calling" => Stage::Calling {
            call: reader.number()?,
            until: Time(reader.number()?),
        },
        "offered" => Stage::Offered,
        "connected" => Stage::Connected,
        _ => return None,
    };
    let failures = u32::try_from(reader.number()?).ok()?;
    let session = match reader.field()? {
        "-" => None,
        session => Some(Rc::from(session)),
    };
    Some(Media {
        session,
        mids: read_mids(reader),
        stage,
        failures,
    })
}

fn read_mids(reader: &mut Reader<'_>) -> Vec<Rc<str>> {
    std::iter::from_fn(|| reader.field())
        .map(Rc::from)
        .collect()
}

/// Appends the line of a live session.
#[inline(never)]
pub(super) fn write_session(text: &mut String, session: &LiveSession) {
    let LiveSession {
        device,
        tracks,
        expires_at: Time(expires_at),
        state,
    } = session;
    let name = state.name();
    let details = match state {
        LiveState::Waiting | LiveState::Away => String::new(),
        LiveState::Live {
            session,
            tracks,
            mids,
            source,
        } => {
            let source = match source {
                Source::Certain => "-".to_owned(),
                Source::InDoubt(Time(at)) => format!("?{at}"),
                Source::Left(Time(at)) => at.to_string(),
            };
            let mids: String = mids.iter().map(|mid| format!(" {mid}")).collect();
            format!(" {session} {tracks} {source}{mids}")
        }
    };
    let fields = format_args!("{device} {tracks} {expires_at} {name}{details}");
    write_line(text, fields, &[]);
}

/// Reads the line that [`write_session`] appended.
#[inline(never)]
pub(super) fn read_session(reader: &mut Reader<'_>) -> Option<LiveSession> {
    let session = LiveSession {
        device: reader.id()?,
        tracks: Tracks::parse(reader.field()?)?,
        expires_at: Time(reader.number()?),
        state: match reader.field()? {
            "waiting" => LiveState::Waiting,
            "away" => LiveState::Away,
            "live" => LiveState::Live {
                session: Rc::from(reader.field()?),
                tracks: Tracks::parse(reader.field()?)?,
                source: read_source(reader.field()?)?,
                mids: read_mids(reader),
            },
            _ => return None,
        },
    };
    reader.end_line()?;
    reader.is_last_line().then_some(session)
}

fn read_source(text: &str) -> Option<Source> {
    let time = |at: &str| at.parse().ok().map(Time);
    match text.strip_prefix('?') {
        None if text == "-" => Some(Source::Certain),
        None => time(text).map(Source::Left),
        Some(at) => time(at).map(Source::InDoubt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::event::{Row, RowKey};
    use crate::core::peer::PeerId;
    use crate::record::fields::start_record;

    fn media(stage: Stage, session: Option<&str>, mids: &[&str]) -> Media {
        Media {
            session: session.map(Rc::from),
            mids: mids.iter().copied().map(Rc::from).collect(),
            stage,
            failures: 3,
        }
    }

    #[test]
    fn a_connection_survives_storage_at_every_stage() {
        let calling = Stage::Calling {
            call: 7,
            until: Time(9),
        };
        for media in [
            media(Stage::Wanted(Time(5)), None, &[]),
            media(calling, Some("s1"), &[]),
            media(Stage::Offered, Some("s1"), &["0", "1"]),
            media(Stage::Connected, Some("s1"), &["0"]),
        ] {
            let mut text = start_record();
            text.push('\n');
            write_media(&mut text, &media);
            let mut reader = Reader::new(&text).unwrap();
            assert_eq!(reader.field(), Some(""));
            assert_eq!(reader.skip_prefix(MEDIA_LINE), Some(true));
            assert_eq!(read_media(&mut reader), Some(media));
        }
    }

    #[test]
    fn a_session_survives_storage_in_every_state() {
        let live = |source| LiveState::Live {
            session: "s1".into(),
            tracks: Tracks {
                audio: false,
                video: true,
            },
            mids: vec!["1".into()],
            source,
        };
        for state in [
            LiveState::Waiting,
            LiveState::Away,
            live(Source::Certain),
            live(Source::InDoubt(Time(11))),
            live(Source::Left(Time(11))),
        ] {
            let row = Row::Live(LiveSession {
                device: PeerId::parse("camera").unwrap(),
                tracks: Tracks::ALL,
                expires_at: Time(1_000),
                state,
            });
            let text = row.encode();
            assert_eq!(row.key(), RowKey::Live);
            assert_eq!(Row::decode("live", &text), Some(row));
            let cut = text.strip_suffix('\n').unwrap();
            assert_eq!(Row::decode("live", cut), None);
            assert_eq!(Row::decode("live", &format!("{text}x")), None);
        }
    }
}
