//! Swarms: topics in which each subscriber is a peer with an id, as in the trackers of WebTorrent. A peer
//! sends offers to random others, and each answer goes to the peer with a given id.
//!
//! The id of a peer is the label of its subscription. A client may be several peers of a swarm, because
//! libraries share one WebSocket between all peers of a page.
//!
//! Peers choose their ids, so several clients can have the same id. A stranger may have copied it, or a
//! client has returned before the server noticed that its old connection is lost. An answer therefore
//! goes to the client that made the offer. The makers of offers are kept in memory only. If the maker is
//! unknown, the answer goes to the clients that have had the id for the longest and the shortest time.

use std::borrow::Cow;
use std::rc::Rc;

use super::{Effect, MAX_TOPICS, Mark, Notice, Subscriber, Subscription, Topics};
use crate::core::peer::Socket;

/// The maximum number of offers in an announcement. Further offers are ignored.
pub const MAX_OFFERS: usize = 10;
/// The number of latest offers of a client whose maker is remembered.
const MAX_REMEMBERED: usize = 32;

/// The announcement of a peer in a swarm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announce<'a> {
    /// The name of the swarm.
    pub swarm: Cow<'a, str>,
    /// The name of the swarm, in the form that the dialect chooses for the reply.
    pub written_swarm: &'a str,
    /// The id of the peer.
    pub peer: Cow<'a, str>,
    /// Whether the peer has all data of the swarm. A peer that is complete remains complete.
    pub is_complete: bool,
    /// Whether the peer leaves the swarm.
    pub stops: bool,
    /// At most [`MAX_OFFERS`] offers. Each goes to another peer.
    pub offers: Vec<Offer<'a>>,
    /// The id of another peer, and the answer that goes to it. The client gets no reply then.
    pub answer: Option<(Cow<'a, str>, Offer<'a>)>,
    /// Random bits, which the shell adds if there are offers. They determine who receives the offers.
    pub random: u64,
}

/// An offer, or the answer to an offer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer<'a> {
    /// The id of the offer, which only its maker knows until it arrives.
    pub id: &'a str,
    /// The text for the receiver, in the form that the dialect chooses.
    pub body: String,
}

/// The latest offers of a client: the hash of each id, and a number that increases with each offer.
#[derive(Debug, Default)]
pub(super) struct Offered(Vec<(u64, u64)>);

impl Offered {
    /// Returns the number of the offer, if the client has made it.
    fn number(&self, hash: u64) -> Option<u64> {
        let mut offers = self.0.iter();
        offers
            .find(|(made, _)| *made == hash)
            .map(|(_, number)| *number)
    }

    fn record(&mut self, hash: u64, number: u64) {
        if self.number(hash).is_none() {
            if self.0.len() >= MAX_REMEMBERED {
                self.0.remove(0);
            }
            self.0.push((hash, number));
        }
    }
}

/// The number of peers in a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The peers that have all data.
    pub complete: usize,
    /// The other peers.
    pub incomplete: usize,
}

impl Topics {
    /// Adds a peer to a swarm or removes it, and sends its offers and its answer. Returns whether the
    /// subscriptions of the client have changed.
    pub(super) fn announce(
        &mut self,
        socket: Socket,
        announce: Announce<'_>,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let Announce {
            swarm,
            written_swarm,
            peer,
            is_complete,
            stops,
            offers,
            answer,
            random,
        } = announce;
        let change = if stops {
            let is_it = |each: &Subscription| *each.topic == *swarm && *each.label == *peer;
            Some(self.end_subscription(socket, is_it))
        } else {
            self.enter_swarm(socket, &swarm, &peer, is_complete)
        };
        let members = self.members(&swarm);
        if answer.is_none() || change.is_none() {
            let notice = Notice::Announced {
                swarm: written_swarm.to_owned(),
                counts: change.map(|_| count(members)),
            };
            effects.push(Effect::Send(vec![socket], notice));
        }
        if change.is_some() && !stops {
            let receivers = pick(members, &peer, offers.len(), random);
            if let Some((to, answer)) = answer {
                let receivers = self.receivers_of_answer(members, &to, answer.id);
                if !receivers.is_empty() {
                    effects.push(Effect::Send(receivers, post(answer)));
                }
            }
            for (receiver, offer) in receivers.into_iter().zip(offers) {
                self.remember(socket, offer.id);
                effects.push(Effect::Send(vec![receiver], post(offer)));
            }
        }
        change == Some(true)
    }

    /// Counts the peers of the first 100 swarms.
    pub(super) fn scrape(&self, swarms: Vec<Cow<'_, str>>) -> Vec<(Rc<str>, Counts)> {
        let mut scraped: Vec<(Rc<str>, Counts)> = Vec::new();
        for swarm in swarms.into_iter().take(MAX_TOPICS) {
            if !scraped.iter().any(|(earlier, _)| **earlier == *swarm) {
                scraped.push(((&*swarm).into(), count(self.members(&swarm))));
            }
        }
        scraped
    }

    /// Adds a peer to a swarm, or updates it. Returns whether the subscriptions of the client have
    /// changed, or `None` if a limit is reached.
    fn enter_swarm(
        &mut self,
        socket: Socket,
        swarm: &str,
        peer: &str,
        is_complete: bool,
    ) -> Option<bool> {
        let subscriptions = &mut self.clients.get_mut(&socket)?.listener.subscriptions;
        let own = |each: &&mut Subscription| *each.topic == *swarm && *each.label == *peer;
        let mark = if is_complete {
            Mark::Complete
        } else {
            Mark::None
        };
        if let Some(own) = subscriptions.iter_mut().find(own) {
            if !is_complete || own.mark == mark {
                return Some(false);
            }
            own.mark = mark;
            let seat = own.seat;
            let members = self.topics.get_mut(swarm).into_iter();
            let members = members.flat_map(|swarm| &mut swarm.subscribers);
            for member in members.filter(|member| member.seat == seat) {
                member.is_complete = true;
            }
            return Some(true);
        }
        self.add(socket, swarm, peer, mark).then_some(true)
    }

    /// Remembers that a client has made an offer.
    fn remember(&mut self, socket: Socket, offer: &str) {
        if let Some(client) = self.clients.get_mut(&socket) {
            self.offers = self.offers.saturating_add(1);
            client.offered.record(hash(offer), self.offers);
        }
    }

    /// Returns the client with this id that was the first to make the offer. If none has made it, returns
    /// the clients that have had the id for the longest and the shortest time.
    fn receivers_of_answer(&self, members: &[Subscriber], id: &str, offer: &str) -> Vec<Socket> {
        let offer = hash(offer);
        let made = |socket| Some((self.clients.get(&socket)?.offered.number(offer)?, socket));
        let with_id = members.iter().filter(|each| *each.label == *id);
        let mut with_id = with_id.map(|each| each.socket);
        if let Some((_, maker)) = with_id.clone().filter_map(made).min() {
            return vec![maker];
        }
        let oldest = with_id.next();
        let newest = with_id.next_back().filter(|newest| Some(*newest) != oldest);
        oldest.into_iter().chain(newest).collect()
    }

    fn members(&self, swarm: &str) -> &[Subscriber] {
        self.topics
            .get(swarm)
            .map_or(&[], |swarm| &swarm.subscribers)
    }
}

/// Returns the notice of an offer or an answer.
fn post(offer: Offer<'_>) -> Notice {
    Notice::Post {
        body: offer.body.into(),
        label: "".into(),
        subscribers: 0,
    }
}

fn count(members: &[Subscriber]) -> Counts {
    let complete = members.iter().filter(|each| each.is_complete).count();
    Counts {
        complete,
        incomplete: members.len().saturating_sub(complete),
    }
}

/// Picks up to `count` random members with another id, each at most once.
fn pick(members: &[Subscriber], id: &str, count: usize, mut random: u64) -> Vec<Socket> {
    if count == 0 {
        return Vec::new();
    }
    let others = members.iter().filter(|each| *each.label != *id);
    let mut others: Vec<Socket> = others.map(|each| each.socket).collect();
    let mut picked = Vec::new();
    while picked.len() < count
        && let Some(index) = ((random >> 32) as usize).checked_rem(others.len())
    {
        picked.push(others.swap_remove(index));
        // The generator of Knuth's MMIX, whose high bits are the best.
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
    }
    picked
}

/// Returns a hash of the id of an offer (FNV-1a). A client that knows an id can find others with the same
/// hash, but only the first client that makes the offer counts.
fn hash(id: &str) -> u64 {
    let start = 0xCBF2_9CE4_8422_2325;
    id.bytes().fold(start, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}
