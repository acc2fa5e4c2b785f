//! Connections: ordered streams that break and begin again, and questions with at most one answer.
//!
//! As in `node::network`, a stream's receiver says hello first; the sender then starts where that
//! says. What is lost on a stream breaks its connection in the end; until then nothing that was
//! sent after it gets through either.

use super::{Happening, Message, Node, World};
use kerbholz_node::fetch::FetchRequest;
use std::collections::BTreeMap;

/// Number of a connection between two; another one after each break.
pub type Session = u64;

/// How long a question waits for its answer, as in `node::network::config`.
const PATIENCE_MS: u64 = 5_000;
/// Of so many of a thousand blocks that are known already looking at them takes the time of a check:
/// only their headers are read and hashed.
const CHECKED_AGAIN_PERMILLE: u64 = 125;

#[derive(Clone, Copy, Debug, Default)]
struct Pair {
    session: Session,
    stands: bool,
    trying: bool,
}

/// One direction.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// The sender has heard the receiver's hello, and may send blocks.
    open: bool,
    /// Something was lost: nothing gets through until the connection breaks.
    stuck: bool,
    /// When the last message on its way arrives.
    free_ms: u64,
    /// What is sent before this is lost.
    cut_until_ms: u64,
}

/// A question that has no answer yet.
#[derive(Clone, Copy, Debug)]
struct Open {
    from: usize,
    to: usize,
    life: u64,
}

/// All connections.
pub struct Network {
    size: usize,
    pairs: Vec<Pair>,
    lanes: Vec<Lane>,
    asked: BTreeMap<u64, Open>,
    numbers: u64,
}

impl Network {
    /// Nobody is connected.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            pairs: vec![Pair::default(); size * size],
            lanes: vec![Lane::default(); size * size],
            asked: BTreeMap::new(),
            numbers: 0,
        }
    }

    fn pair(&mut self, one: usize, other: usize) -> &mut Pair {
        &mut self.pairs[one.min(other) * self.size + one.max(other)]
    }

    fn lane(&mut self, from: usize, to: usize) -> &mut Lane {
        &mut self.lanes[from * self.size + to]
    }

    /// The number of the connection between two, standing or the last.
    pub fn session(&mut self, one: usize, other: usize) -> Session {
        self.pair(one, other).session
    }

    /// Cuts one direction, or heals it.
    pub fn cut(&mut self, from: usize, to: usize, until_ms: u64) {
        self.lane(from, to).cut_until_ms = until_ms;
    }
}

impl World {
    /// Two try to connect; if they cannot, they try again.
    pub(super) fn connect(&mut self, one: usize, other: usize) {
        let now_ms = self.now_ms;
        self.network.pair(one, other).trying = false;
        if self.network.pair(one, other).stands {
            return;
        }
        let is_cut = self.network.lane(one, other).cut_until_ms > now_ms
            || self.network.lane(other, one).cut_until_ms > now_ms;
        if is_cut || !self.is_up(one) || !self.is_up(other) {
            return self.try_later(one, other);
        }
        let pair = self.network.pair(one, other);
        pair.stands = true;
        pair.session += 1;
        let session = pair.session;
        for (from, to) in [(one, other), (other, one)] {
            let cut_until_ms = self.network.lane(from, to).cut_until_ms;
            *self.network.lane(from, to) = Lane { cut_until_ms, ..Lane::default() };
            let delay_ms = self.draw_delay();
            self.after(delay_ms, Happening::Greet { from, to, session });
        }
    }

    fn try_later(&mut self, one: usize, other: usize) {
        if !std::mem::replace(&mut self.network.pair(one, other).trying, true) {
            let most = if self.plan.is_stable(self.now_ms) { 50 } else { 1_000 };
            let delay_ms = self.random.between(10, most);
            self.after(delay_ms, Happening::Connect { one, other });
        }
    }

    /// `from` has opened its stream to `to`, which says hello.
    pub(super) fn greet(&mut self, from: usize, to: usize, session: Session) {
        if !self.is_up(to) || self.network.session(from, to) != session {
            return;
        }
        let key = self.keys[from];
        let hello = match &self.nodes[to] {
            Node::Honest(authority) => authority.hello(&key),
            Node::Liar(liar) => liar.hello(from),
        };
        if let Some(hello) = hello {
            self.send(to, from, hello);
        }
    }

    /// A connection breaks: what is on its way is lost, and questions have no answer.
    pub(super) fn disconnect(&mut self, one: usize, other: usize) {
        let pair = self.network.pair(one, other);
        if !std::mem::replace(&mut pair.stands, false) {
            return;
        }
        pair.session += 1;
        self.tally.disconnections += 1;
        self.trace.quiet(self.now_ms, one, "loses its connection to", &[other as u64], &[]);
        let ends = |asked: &Open| {
            (asked.from == one && asked.to == other) || (asked.from == other && asked.to == one)
        };
        let asked = self.network.asked.iter().filter(|(_, asked)| ends(asked));
        let unanswered: Vec<u64> = asked.map(|(number, _)| *number).collect();
        for number in unanswered {
            self.give_up(number);
        }
        for (from, to) in [(one, other), (other, one)] {
            if std::mem::take(&mut self.network.lane(from, to).open) {
                self.peer_down(from, to);
            }
        }
        self.try_later(one, other);
    }

    /// Drops every connection of a node that went down.
    pub(super) fn disconnect_all(&mut self, node: usize) {
        for other in (0..self.nodes.len()).filter(|other| *other != node) {
            self.disconnect(node, other);
        }
    }

    pub(super) fn draw_delay(&mut self) -> u64 {
        let conditions = *self.plan.conditions(self.now_ms);
        let (least, most) = conditions.delay_ms;
        let (late_permille, late_ms) = conditions.late;
        let late = late_permille > 0 && self.random.permille(late_permille);
        self.random.between(least, if late { late_ms } else { most })
    }

    /// A block goes to a peer's stream; it is dropped when there is none.
    pub(super) fn stream(&mut self, from: usize, to: usize, message: Message) {
        if self.network.lane(from, to).open {
            self.send(from, to, message);
        }
    }

    /// A liar's message, which may wait before it is sent.
    pub(super) fn send_later(&mut self, from: usize, to: usize, ms: u64, message: Message) {
        let session = self.network.session(from, to);
        if ms == 0 {
            return self.send(from, to, message);
        }
        let delay_ms = ms + self.draw_delay();
        self.after(delay_ms, Happening::Arrive { from, to, session, message });
    }

    /// Puts a message on its way over the connection that stands.
    pub(super) fn send(&mut self, from: usize, to: usize, message: Message) {
        let now_ms = self.now_ms;
        let pair = *self.network.pair(from, to);
        if !pair.stands {
            return;
        }
        let conditions = *self.plan.conditions(now_ms);
        let is_cut = self.network.lane(from, to).cut_until_ms > now_ms;
        let lost = is_cut
            || conditions.lost_permille > 0 && self.random.permille(conditions.lost_permille);
        if lost {
            self.tally.lost += 1;
            if !std::mem::replace(&mut self.network.lane(from, to).stuck, true) {
                let delay_ms = self.random.between(50, 3_000);
                let (one, other, session) = (from, to, pair.session);
                self.after(delay_ms, Happening::Disconnect { one, other, session });
            }
            return;
        }
        if self.network.lane(from, to).stuck {
            return;
        }
        let mut at_ms = now_ms + self.draw_delay();
        let in_stream = matches!(message, Message::Block(_) | Message::Frame(_));
        let disordered = conditions.disordered_permille > 0
            && self.random.permille(conditions.disordered_permille);
        if in_stream && !disordered {
            let lane = self.network.lane(from, to);
            at_ms = at_ms.max(lane.free_ms);
            lane.free_ms = at_ms;
        }
        let session = pair.session;
        if conditions.doubled_permille > 0 && self.random.permille(conditions.doubled_permille) {
            let again_ms = at_ms + self.draw_delay();
            let message = message.clone();
            self.at(again_ms, Happening::Arrive { from, to, session, message });
        }
        self.at(at_ms, Happening::Arrive { from, to, session, message });
    }

    /// A message arrives; an honest node checks it first, one after the other.
    pub(super) fn arrive(&mut self, from: usize, to: usize, session: Session, message: Message) {
        if self.network.session(from, to) != session || !self.network.pair(from, to).stands {
            return;
        }
        let checking_ms = self.plan.conditions(self.now_ms).checking_ms;
        let mut checking_ms = self.random.between(0, checking_ms);
        if self.is_checked_already(to, &message) && !self.random.permille(CHECKED_AGAIN_PERMILLE) {
            checking_ms = 0;
        }
        let now_ms = self.now_ms;
        match &mut self.nodes[to] {
            Node::Liar(liar) => {
                let says = liar.hear(now_ms, from, message);
                self.say(to, says);
            }
            Node::Honest(authority) => {
                let ready_ms = authority.take_time(now_ms, checking_ms);
                let life = authority.life;
                if ready_ms > now_ms {
                    authority.queue(&message);
                    return self.at(ready_ms, Happening::Process { from, to, life, message });
                }
                self.process(from, to, life, message);
            }
        }
    }

    /// Whether a message is a block that an honest authority has, or will have checked by then.
    fn is_checked_already(&self, node: usize, message: &Message) -> bool {
        let Message::Block(block) = message else { return false };
        self.authority(node).is_some_and(|authority| authority.has_checked(&block.reference()))
    }

    /// An honest authority takes a message in.
    pub(super) fn process(&mut self, from: usize, to: usize, life: u64, message: Message) {
        let Some(authority) = self.authority_mut(to) else { return };
        if authority.life != life || authority.running.is_none() {
            return;
        }
        authority.unqueue(&message);
        match message {
            Message::Hello(hello) => {
                if !std::mem::replace(&mut self.network.lane(to, from).open, true) {
                    self.peer_up(to, from, hello);
                }
            }
            Message::Block(block) => self.receive(to, from, block),
            Message::Frame(bytes) => self.receive_bytes(to, from, &bytes),
            Message::Ask(number, question) => {
                if let Some(answer) = self.answer(to, from, &question) {
                    self.send(to, from, Message::Answer(number, answer));
                }
            }
            Message::Answer(number, answer) => {
                if self.network.asked.get(&number).is_some_and(|asked| asked.from == to) {
                    self.network.asked.remove(&number);
                    self.answered(to, number, Some(&answer));
                }
            }
        }
    }

    /// Asks a question; exactly one answer follows, or none in time.
    pub(super) fn ask(&mut self, from: usize, to: usize, life: u64, question: FetchRequest) -> u64 {
        self.network.numbers += 1;
        let number = self.network.numbers;
        self.network.asked.insert(number, Open { from, to, life });
        let patience_ms = if self.network.pair(from, to).stands { PATIENCE_MS } else { 1 };
        self.after(patience_ms, Happening::GiveUp { number });
        self.send(from, to, Message::Ask(number, question));
        number
    }

    /// A question without an answer.
    pub(super) fn give_up(&mut self, number: u64) {
        let Some(asked) = self.network.asked.remove(&number) else { return };
        let is_same = self.authority(asked.from).is_some_and(|asker| asker.life == asked.life);
        if is_same {
            self.answered(asked.from, number, None);
        }
    }

    /// Forgets the questions of a node that went down.
    pub(super) fn forget_questions(&mut self, node: usize) {
        self.network.asked.retain(|_, asked| asked.from != node);
    }
}
