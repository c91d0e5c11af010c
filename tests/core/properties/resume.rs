//! Random sequences of events on a stream. After any break, the stream can be resumed without loss
//! or repetition.

use proptest::collection::vec;
use proptest::prelude::*;

use super::config;
use crate::rig::{Heard, LIMITS, Rig, events};
use partyline::core::peer::Socket;

/// An event that concerns a peer with a stream.
#[derive(Clone, Debug)]
enum Life {
    /// Another peer sends a signal to the peer, or a broadcast.
    Signal {
        all: bool,
    },
    /// A third peer joins or leaves.
    Guest,
    /// The stream breaks before the last `lost` events arrive. If `noticed` is false, the room does
    /// not detect the break.
    Break {
        lost: usize,
        noticed: bool,
    },
    Resume,
    /// The room is evicted and restored.
    Sleep,
    Pass(u64),
}

fn life() -> impl Strategy<Value = Life> {
    prop_oneof![
        6 => any::<bool>().prop_map(|all| Life::Signal { all }),
        1 => Just(Life::Guest),
        3 => (0..4_usize, any::<bool>()).prop_map(|(lost, noticed)| Life::Break { lost, noticed }),
        2 => Just(Life::Resume),
        2 => Just(Life::Sleep),
        3 => prop_oneof![Just(1), Just(900), 1_000..7_000_u64].prop_map(Life::Pass),
    ]
}

/// A client of an event stream: the frames that it has received, and the id from which it resumes.
struct Listener {
    socket: Option<Socket>,
    /// The id of each frame, and the data of its events.
    got: Vec<(u64, Vec<String>)>,
    /// The number of frames that may still be in transit, because no time has passed since they were
    /// sent.
    fresh: usize,
    last: u64,
    broken: u64,
}

impl Listener {
    fn read(&mut self, rig: &mut Rig) {
        let Some(socket) = self.socket else { return };
        for heard in rig.heard(socket) {
            let Heard::Frame(text) = heard else {
                panic!("{heard:?}, though no other client opened the stream")
            };
            let (ids, data): (Vec<_>, Vec<_>) = events(&text).into_iter().unzip();
            let id = ids
                .last()
                .copied()
                .flatten()
                .expect("a frame ends with an id");
            let data: Vec<_> = data.into_iter().flatten().collect();
            if data.is_empty() {
                self.last = id;
            } else {
                self.got.push((id, data));
                self.fresh += 1;
            }
        }
    }

    fn last(&self) -> u64 {
        self.got
            .last()
            .map_or(self.last, |(id, _)| (*id).max(self.last))
    }

    fn resume(&mut self, rig: &mut Rig) {
        // If the room has not detected the break, opening the stream closes the old socket.
        let socket = rig.open_stream("bob", None, Some(self.last()));
        self.socket = Some(socket.expect("the stream can be resumed"));
        self.broken = 0;
        self.fresh = 0;
        self.read(rig);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_resumed_stream_loses_nothing_and_repeats_nothing(
        lives in vec(life(), 1..50),
    ) {
        let mut rig = Rig::new(LIMITS);
        let ann = rig.join("ann", None);
        rig.register("bob", None).unwrap();
        let socket = Some(rig.open_stream("bob", None, None).unwrap());
        let mut bob = Listener {
            socket,
            got: Vec::new(),
            fresh: 0,
            last: 0,
            broken: 0,
        };
        bob.read(&mut rig);
        let (mut expected, mut guest) = (Vec::new(), None);
        for (n, life) in lives.iter().enumerate() {
            match life {
                Life::Signal { all } => {
                    let to = if *all { "" } else { r#","to":"bob""# };
                    rig.send(ann, &format!(r#"{{"type":"say"{to},"payload":{n}}}"#));
                    expected.push(format!(r#"{{"type":"say","payload":{n},"senderId":"ann"}}"#));
                }
                Life::Guest => match guest.take() {
                    Some(socket) => rig.close(socket),
                    None => guest = Some(rig.join("eve", None)),
                },
                Life::Break { lost, noticed } => {
                    if let Some(socket) = bob.socket.take() {
                        bob.broken = 0;
                        let lost = *lost.min(&bob.fresh);
                        bob.got.truncate(bob.got.len() - lost);
                        if *noticed {
                            rig.lose(socket);
                        }
                    }
                }
                Life::Resume => bob.resume(&mut rig),
                Life::Sleep => rig.sleep(),
                Life::Pass(millis) => {
                    // The peer would leave at the end of the grace period, so its stream is resumed
                    // before the grace period ends.
                    if bob.socket.is_none() && bob.broken + millis >= LIMITS.grace {
                        bob.resume(&mut rig);
                    }
                    rig.pass(*millis);
                    bob.fresh = 0;
                    bob.broken += millis;
                }
            }
            bob.read(&mut rig);
        }
        bob.resume(&mut rig);
        let (mut said, mut knows_guest) = (Vec::new(), false);
        for data in bob.got.into_iter().flat_map(|(_, data)| data) {
            match &*data {
                r#"{"type":"new-peer","senderId":"eve"}"# => {
                    prop_assert!(!knows_guest, "joined twice");
                    knows_guest = true;
                }
                r#"{"type":"peer-left","senderId":"eve"}"# => {
                    prop_assert!(knows_guest, "left twice");
                    knows_guest = false;
                }
                _ => said.push(data),
            }
        }
        prop_assert_eq!(said, expected);
        prop_assert_eq!(knows_guest, guest.is_some());
    }
}
