//! Groups, with clients of matchbox and `RxDB`.

mod properties;

use partyline::core::close::Close;
use partyline::core::drive::SendError;
use partyline::core::event::{Limits, MAX_FRAME};
use partyline::core::peer::{Socket, Time};
use partyline::core::refusal::{Code, Refusal};
use partyline::core::topics::groups::MAX_GROUPS;
use partyline::dialect::Dialect;

use super::stage::{LIMITS, Stage, id_of};
use crate::rig::Heard;

fn matchbox() -> Stage {
    Stage::new(Dialect::Matchbox, Limits { peers: 9, ..LIMITS })
}

fn rxdb() -> Stage {
    Stage::new(Dialect::RxDb, Limits { peers: 9, ..LIMITS })
}

/// Returns a frame of matchbox about a client.
fn event(name: &str, client: Socket) -> Heard {
    Heard::Frame(format!(r#"{{"{name}":"{}"}}"#, id_of(client)))
}

/// Returns the frame that informs a client of `RxDB` about its id.
fn init(client: Socket) -> Heard {
    let id = id_of(client);
    Heard::Frame(format!(r#"{{"type":"init","yourPeerId":"{id}"}}"#))
}

/// Returns the frame that informs a client of `RxDB` about the members of a group.
fn joined(members: &[Socket]) -> Heard {
    let ids: Vec<_> = members
        .iter()
        .map(|each| format!("\"{}\"", id_of(*each)))
        .collect();
    let ids = ids.join(",");
    Heard::Frame(format!(r#"{{"type":"joined","otherPeerIds":[{ids}]}}"#))
}

fn enter(stage: &mut Stage, client: Socket, room: &str) {
    stage.send(client, &format!(r#"{{"type":"join","room":"{room}"}}"#));
}

/// Returns the frame with a signal of a client of `RxDB`.
fn signal(sender: Socket, receiver: Socket, room: &str) -> String {
    let (sender, receiver) = (id_of(sender), id_of(receiver));
    format!(
        r#"{{"type":"signal","senderPeerId":"{sender}","receiverPeerId":"{receiver}","room":"{room}","data":1}}"#
    )
}

/// Sends a signal of a client of matchbox.
fn send_signal(stage: &mut Stage, sender: Socket, receiver: Socket) {
    let receiver = id_of(receiver);
    stage.send(
        sender,
        &format!(r#"{{"Signal":{{"receiver":"{receiver}","data":1}}}}"#),
    );
}

fn signaled(sender: Socket) -> Heard {
    let sender = id_of(sender);
    Heard::Frame(format!(r#"{{"Signal":{{"sender":"{sender}","data":1}}}}"#))
}

#[test]
fn only_earlier_members_learn_of_a_new_one() {
    let mut stage = matchbox();
    let (ann, bob, eve) = (stage.join(), stage.join(), stage.join());
    let assigned = |client| event("IdAssigned", client);
    let new = |client| event("NewPeer", client);
    assert_eq!(stage.heard(ann), [assigned(ann), new(bob), new(eve)]);
    assert_eq!(stage.heard(bob), [assigned(bob), new(eve)]);
    assert_eq!(stage.heard(eve), [assigned(eve)]);
    stage.end(bob);
    assert_eq!(stage.heard(ann), [event("PeerLeft", bob)]);
    assert_eq!(stage.heard(eve), [event("PeerLeft", bob)]);
}

#[test]
fn as_many_as_next_meet_and_then_a_new_group_begins() {
    for sleeps in [false, true] {
        let mut stage = matchbox();
        let join = |stage: &mut Stage, next| {
            if sleeps {
                stage.sleep();
            }
            stage.join_group(next, None)
        };
        let (ann, bob) = (join(&mut stage, Some(2)), join(&mut stage, Some(2)));
        let trio = [Some(3); 2].map(|next| join(&mut stage, next));
        let (eve, dan) = (join(&mut stage, Some(2)), join(&mut stage, Some(2)));
        let alone = join(&mut stage, None);
        let last = join(&mut stage, Some(3));
        let assigned = |client| event("IdAssigned", client);
        let new = |client| event("NewPeer", client);
        assert_eq!(stage.heard(ann), [assigned(ann), new(bob)]);
        assert_eq!(stage.heard(bob), [assigned(bob)]);
        assert_eq!(stage.heard(eve), [assigned(eve), new(dan)]);
        assert_eq!(
            stage.heard(trio[0]),
            [assigned(trio[0]), new(trio[1]), new(last)]
        );
        assert_eq!(stage.heard(trio[1]), [assigned(trio[1]), new(last)]);
        assert_eq!(stage.heard(alone), [assigned(alone)]);
    }
}

#[test]
fn an_open_group_is_filled_again_and_a_full_group_is_closed_for_ever() {
    let mut stage = matchbox();
    let join = |stage: &mut Stage| {
        stage.sleep();
        stage.join_group(Some(3), None)
    };
    let (ann, bob) = (join(&mut stage), join(&mut stage));
    stage.end(ann);
    let eve = join(&mut stage);
    assert_eq!(
        stage.heard(bob)[1..],
        [event("PeerLeft", ann), event("NewPeer", eve)]
    );
    let dan = join(&mut stage);
    assert_eq!(stage.heard(eve)[1..], [event("NewPeer", dan)]);
    stage.all_heard();
    stage.end(eve);
    let next = join(&mut stage);
    assert_eq!(
        stage.heard(bob),
        [event("PeerLeft", eve)],
        "the group stays closed"
    );
    assert_eq!(stage.heard(next), [event("IdAssigned", next)]);
    send_signal(&mut stage, bob, dan);
    send_signal(&mut stage, bob, next);
    assert_eq!(stage.heard(dan), [event("PeerLeft", eve), signaled(bob)]);
    assert_eq!(stage.heard(next), []);
}

#[test]
fn many_pairs_meet_at_a_url_and_a_full_group_without_a_size_is_refused() {
    let mut stage = Stage::new(
        Dialect::Matchbox,
        Limits {
            peers: 40,
            ..LIMITS
        },
    );
    for _ in 0..15 {
        let (one, other) = (
            stage.join_group(Some(2), None),
            stage.join_group(Some(2), None),
        );
        assert_eq!(stage.heard(one)[1..], [event("NewPeer", other)]);
    }
    let members: Vec<_> = (0..LIMITS.group).map(|_| stage.join()).collect();
    stage.all_heard();
    let refused = stage.join();
    assert_eq!(stage.heard(refused), [Heard::Closed(Close::RoomFull)]);
    assert_eq!(stage.all_heard().len(), 0, "no member learns of it");
    stage.end(members[0]);
    let next = stage.join();
    assert!(stage.is_open(next));
}

#[test]
fn a_signal_reaches_one_member_whose_id_may_have_hyphens() {
    let mut stage = matchbox();
    let (ann, bob, eve) = (stage.join(), stage.join(), stage.join());
    stage.all_heard();
    let id = id_of(bob).to_string();
    let hyphens = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    stage.send(
        ann,
        &format!(r#"{{"Signal":{{"receiver":"{hyphens}","data":1}}}}"#),
    );
    assert_eq!(stage.heard(bob), [signaled(ann)]);
    assert_eq!(stage.heard(eve), []);
    for frame in [
        r#""KeepAlive""#,
        "",
        "{}",
        r#"{"Signal":1}"#,
        r#"{"Signal":{"receiver":"x"}}"#,
    ] {
        stage.send(ann, frame);
    }
    stage.end(bob);
    stage.all_heard();
    send_signal(&mut stage, ann, bob);
    assert_eq!(stage.all_heard().len(), 0);
}

#[test]
fn all_members_learn_all_ids_at_each_change() {
    let mut stage = rxdb();
    let [ann, bob, eve] = [(); 3].map(|()| stage.join());
    enter(&mut stage, ann, "heroes");
    enter(&mut stage, bob, "heroes");
    enter(&mut stage, ann, "heroes");
    enter(&mut stage, eve, "villains");
    enter(&mut stage, bob, "villains");
    assert_eq!(
        stage.heard(ann),
        [init(ann), joined(&[ann]), joined(&[ann, bob])]
    );
    assert_eq!(
        stage.heard(eve),
        [init(eve), joined(&[eve]), joined(&[eve, bob])]
    );
    let heard = [init(bob), joined(&[ann, bob]), joined(&[eve, bob])];
    assert_eq!(stage.heard(bob), heard);
    stage.sleep();
    stage.end(bob);
    assert_eq!(stage.heard(ann), [joined(&[ann])]);
    assert_eq!(stage.heard(eve), [joined(&[eve])]);
}

#[test]
fn a_signal_is_forwarded_as_written_within_its_group_only() {
    let mut stage = rxdb();
    let [ann, bob, eve] = [(); 3].map(|()| stage.join());
    for client in [ann, bob] {
        enter(&mut stage, client, "heroes");
    }
    for client in [ann, eve] {
        enter(&mut stage, client, "villains");
    }
    stage.all_heard();
    let frame = signal(ann, bob, "heroes");
    stage.send(ann, &frame);
    assert_eq!(stage.heard(bob), [Heard::Frame(frame)]);
    for (receiver, room) in [(eve, "heroes"), (bob, "villains"), (bob, "nobody")] {
        stage.send(ann, &signal(ann, receiver, room));
    }
    stage.send(bob, &signal(bob, eve, "villains"));
    assert_eq!(stage.all_heard().len(), 0);
}

#[test]
fn a_client_that_names_another_sender_is_closed_with_1008() {
    for sender in [r#""senderPeerId":"$","#, ""] {
        let mut stage = rxdb();
        let [ann, bob] = [(); 2].map(|()| stage.join());
        enter(&mut stage, ann, "heroes");
        enter(&mut stage, bob, "heroes");
        stage.all_heard();
        let sender = sender.replace('$', id_of(bob).as_str());
        let receiver = id_of(bob);
        stage.send(
            ann,
            &format!(
                r#"{{"type":"signal",{sender}"receiverPeerId":"{receiver}","room":"heroes"}}"#
            ),
        );
        assert_eq!(stage.heard(ann), [Heard::Closed(Close::BadId)]);
        assert_eq!(stage.heard(bob), [joined(&[bob])]);
    }
}

#[test]
fn a_full_group_is_closed_with_4003_and_more_groups_than_the_maximum_are_ignored() {
    let mut stage = rxdb();
    let members: Vec<_> = (0..LIMITS.group).map(|_| stage.join()).collect();
    for member in &members {
        enter(&mut stage, *member, "heroes");
    }
    let eve = stage.join();
    enter(&mut stage, eve, "villains");
    stage.all_heard();
    enter(&mut stage, eve, "heroes");
    assert_eq!(stage.heard(eve), [Heard::Closed(Close::RoomFull)]);
    assert_eq!(stage.all_heard().len(), 0);
    for n in 0..MAX_GROUPS {
        enter(&mut stage, members[0], &format!("group {n}"));
    }
    assert_eq!(stage.heard(members[0]).len(), MAX_GROUPS - 1);
}

#[test]
fn the_name_of_a_group_has_6_to_99_characters() {
    let mut stage = rxdb();
    let ann = stage.join();
    stage.heard(ann);
    for (name, fits) in [
        ("x".repeat(5), false),
        ("x".repeat(6), true),
        ("€".repeat(99), true),
        ("x".repeat(100), false),
        ("😀".repeat(50), false),
    ] {
        enter(&mut stage, ann, &name);
        assert_eq!(stage.heard(ann).len(), usize::from(fits), "{name}");
    }
}

#[test]
fn a_member_that_cannot_receive_leaves_all_its_groups() {
    for (error, heard) in [
        (SendError::Dead, vec![]),
        (SendError::Unread, vec![Heard::Closed(Close::Unread)]),
    ] {
        let mut stage = rxdb();
        let [ann, bob, eve] = [(); 3].map(|()| stage.join());
        for room in ["heroes", "villains"] {
            for client in [ann, bob, eve] {
                enter(&mut stage, client, room);
            }
        }
        stage.all_heard();
        stage.jam(bob, error);
        stage.end(eve);
        // Each group first loses eve, and then bob, who cannot learn of it.
        let left = [
            joined(&[ann, bob]),
            joined(&[ann, bob]),
            joined(&[ann]),
            joined(&[ann]),
        ];
        assert_eq!(stage.heard(ann), left);
        assert_eq!(stage.heard(bob), heard);
    }
}

#[test]
fn members_learn_that_a_client_is_closed() {
    let mut stage = matchbox();
    let ann = stage.join();
    stage.token_expires_at = Some(Time(1_010_000));
    let bob = stage.join();
    stage.token_expires_at = None;
    stage.all_heard();
    stage.pass(10_000);
    assert_eq!(stage.heard(bob), [Heard::Closed(Close::Expired)]);
    assert_eq!(stage.heard(ann), [event("PeerLeft", bob)]);
    let eve = stage.join();
    stage.all_heard();
    stage.send(eve, &"x".repeat(MAX_FRAME + 1));
    assert_eq!(stage.heard(eve), [Heard::Closed(Close::TooLarge)]);
    assert_eq!(stage.heard(ann), [event("PeerLeft", eve)]);
    let expired = Refusal::new(Code::Unauthorized, "the token has expired");
    let refused = stage.join_with(Some(expired));
    assert_eq!(stage.heard(refused), [Heard::Closed(Close::Unauthorized)]);
    assert_eq!(stage.all_heard().len(), 0);
}

#[test]
fn an_attachment_is_written_at_each_entry_and_when_a_group_is_closed() {
    let mut stage = matchbox();
    let joins = |stage: &mut Stage, next| {
        let before = stage.written();
        stage.join_group(next, None);
        stage.written() - before
    };
    for (next, expected) in [
        (None, 1),
        (None, 1),
        (Some(3), 1),
        (Some(3), 1),
        (Some(3), 3),
    ] {
        assert_eq!(joins(&mut stage, next), expected, "{next:?}");
    }
}
