//! One shared call: who takes part, what is sent, and what comes back for each.
//!
//! Its future is shared by its members' attempts and driven by whichever of them is polled; when the last one
//! leaves, it is dropped, and the call of the model with it. There is no task of its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use baton_core::{BatchShare, Disposition, NanoUsd, Usage};
use baton_eval::Finish;
use baton_provider::{Besides, Provider, Reply};
use baton_stats::SplitMix64;
use baton_wire::{Block, ChatRequest, Completion, FinishReason, WireError};
use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};
use serde_json::Map;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::prompt::{Composed, compose, split};
use super::rider::Rider;
use super::seat::Seat;
use super::{Batches, Form, Key, share};
use crate::intent::Intent;

/// Bytes of all inputs of a call: some 16,000 tokens, which every model of today reads.
pub(super) const BYTES_MAX: usize = 64 << 10;
/// Control items of a call: two of different answers, so that no single answer for all is right for both.
const CONTROLS: usize = 2;
/// Of a token, as where a provider reports nothing.
const TOKEN_BYTES: usize = 4;

/// What becomes of a member.
#[derive(Clone)]
pub(super) enum Fate {
    /// Nobody else came.
    Single,
    /// The call failed as one of its own would have.
    Failed(WireError),
    /// Its answer, and whether it is to be asked for alone, too.
    Part { reply: Box<Reply>, audit: bool },
    /// It is to be asked for alone; with what it would have been answered, and with what hangs on that.
    Again { why: &'static str, part: Option<Box<Reply>>, trial: Option<Arc<Trial>> },
}

/// A control item was answered wrong: were the others, too?
pub(super) struct Trial {
    controls: Vec<usize>,
    open: AtomicUsize,
    differed: AtomicBool,
}

impl Trial {
    /// One of the others is known: was it the same alone? The first that was not shows that the batch went wrong.
    /// Where all were, the control items are to blame, which the model answers wrong by itself.
    pub(super) fn compared(&self, same: bool) -> Finding<'_> {
        let before = self.differed.fetch_or(!same, Ordering::AcqRel);
        let last = self.open.fetch_sub(1, Ordering::AcqRel) == 1;
        match (before, same) {
            (false, false) => Finding::Batch,
            (false, true) if last => Finding::Controls(&self.controls),
            _ => Finding::Nothing,
        }
    }
}

/// What a trial comes to.
pub(super) enum Finding<'a> {
    Nothing,
    Batch,
    Controls(&'a [usize]),
}

/// What becomes of all, by number.
pub(super) struct Landed(pub(super) BTreeMap<usize, Fate>);

type Flight = Pin<Box<dyn Future<Output = Arc<Landed>> + Send>>;

/// A gathering that may still be open; nobody is kept waiting by it.
pub(super) struct Open {
    landing: WeakShared<Flight>,
    gathering: Weak<Gathering>,
}

impl Open {
    /// Where it still takes members.
    pub(super) fn upgrade(&self) -> Option<(Shared<Flight>, Arc<Gathering>)> {
        let gathering = self.gathering.upgrade()?;
        // A flight that is in the air is not held here: it might be dropped here.
        let sent = gathering.state().sent;
        if sent { None } else { Some((self.landing.upgrade()?, gathering)) }
    }
}

struct Member {
    text: String,
    seat: Arc<Seat>,
    gone: bool,
    /// What it paid for its part when it left.
    paid: Option<(Usage, Option<NanoUsd>)>,
}

#[derive(Default)]
struct State {
    members: Vec<Member>,
    bytes: usize,
    sent: bool,
    /// What each member reads of the call, in bytes, while it is in the air.
    reads: BTreeMap<usize, u64>,
}

/// See the module.
pub(super) struct Gathering {
    batches: Arc<Batches>,
    key: Key,
    form: Arc<Form>,
    intent: Arc<Intent>,
    provider: Arc<Provider>,
    /// Of the first member.
    chat: Arc<ChatRequest>,
    besides: Besides,
    closes: Instant,
    full: Notify,
    state: Mutex<State>,
}

/// A member's place in a shared call; dropping it leaves.
pub(super) struct Place {
    gathering: Arc<Gathering>,
    number: usize,
    landing: Option<Shared<Flight>>,
}

impl Place {
    pub(super) async fn landed(mut self) -> Fate {
        let Some(landing) = self.landing.as_mut() else { return Fate::Single };
        let landed = landing.await;
        self.landing = None;
        landed.0.get(&self.number).cloned().unwrap_or(Fate::Single)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.landing.is_some() {
            self.gathering.leave(self.number);
        }
    }
}

/// An input of the call that is made: a member's, or a control item.
#[derive(Clone, Copy)]
enum Slot {
    Member(usize),
    Control(usize),
}

/// A call that is made.
struct Sending {
    slots: Vec<Slot>,
    composed: Composed,
    /// Bytes of the whole prompt.
    bytes: usize,
    /// Of the members that take part, by number: bytes of a call of its own.
    alone: BTreeMap<usize, usize>,
}

impl Gathering {
    /// With its first member.
    pub(super) fn open(rider: &Rider) -> (Option<Open>, Place) {
        let gathering = Arc::new(Self {
            batches: Arc::clone(&rider.batches),
            key: rider.key.clone(),
            form: Arc::clone(&rider.form),
            intent: Arc::clone(&rider.intent),
            provider: Arc::clone(&rider.provider),
            chat: Arc::clone(&rider.chat),
            besides: rider.besides.clone(),
            closes: Instant::now() + rider.form.spec.max_wait,
            full: Notify::new(),
            state: Mutex::default(),
        });
        gathering.state().add(rider);
        let flight: Flight = Box::pin(Arc::clone(&gathering).fly());
        let landing = flight.shared();
        let open = landing.downgrade().map(|landing| Open { landing, gathering: Arc::downgrade(&gathering) });
        (open, Place { gathering, number: 0, landing: Some(landing) })
    }

    /// One more, of at most so many; `None` where there is no room, or where its prompt begins otherwise.
    pub(super) fn take_in(self: &Arc<Self>, rider: &Rider, landing: Shared<Flight>, most: usize) -> Option<Place> {
        let mut state = self.state();
        let room = !state.sent && state.here() < most && state.bytes + rider.text.len() <= BYTES_MAX;
        if !room || !alike(&self.chat, &rider.chat) {
            return None;
        }
        let number = state.add(rider);
        if state.here() == most {
            self.full.notify_one();
        }
        Some(Place { gathering: Arc::clone(self), number, landing: Some(landing) })
    }

    fn leave(&self, number: usize) {
        let mut state = self.state();
        let read = state.reads.get(&number).copied();
        let member = &mut state.members[number];
        member.gone = true;
        if let Some(read) = read {
            let usage = estimate(read);
            let cost = member.seat.cost(&usage);
            member.seat.paid(usage, cost);
            member.paid = Some((usage, cost));
        }
    }

    async fn fly(self: Arc<Self>) -> Arc<Landed> {
        tokio::select! {
            biased;
            () = self.full.notified() => {}
            () = sleep_until(self.closes) => {}
        }
        let Some(sending) = self.take_off() else { return Arc::new(Landed(BTreeMap::new())) };
        let air = self.batches.air(&self.key);
        let result = self.provider.complete_with(&sending.composed.chat, self.besides.clone()).await;
        match (&result, air) {
            (Err(_), Some(air)) => air.failed(),
            (_, air) => drop(air),
        }
        Arc::new(Landed(self.land(&sending, result)))
    }

    /// Takes the members that are here. `None` where that is no more than one.
    fn take_off(&self) -> Option<Sending> {
        // Lots are never looked at while a state is held: `board` does it the other way round.
        let retired = self.batches.change(&self.key, |lot| lot.retired().to_vec());
        let mut state = self.state();
        state.sent = true;
        let here: Vec<usize> = (0..state.members.len()).filter(|n| !state.members[*n].gone).collect();
        if here.len() < 2 {
            return None;
        }
        let mut rng = SplitMix64::new(self.batches.draw());
        let slots = self.slots(&here, &retired, &mut rng);
        let text = |slot: &Slot| match slot {
            Slot::Member(n) => state.members[*n].text.as_str(),
            Slot::Control(n) => self.form.controls[*n].text.as_str(),
        };
        let texts: Vec<&str> = slots.iter().map(text).collect();
        // The left half of a number that nobody saw.
        let composed = compose(&self.chat, &self.form.answer, &texts, (self.batches.draw() >> 32) as u32)?;
        let call = self.batches.another();
        here.iter().for_each(|n| state.members[*n].seat.joins(call));
        let bytes = size(&composed.chat);
        let length = |n: &usize| state.members[*n].text.len();
        let shared = bytes.saturating_sub(here.iter().map(length).sum());
        let prefix = size(&self.chat).saturating_sub(length(&0));
        let alone = here.iter().map(|n| (*n, prefix + length(n))).collect();
        state.reads = here.iter().map(|n| (*n, (shared / here.len() + length(n)) as u64)).collect();
        Some(Sending { slots, composed, bytes, alone })
    }

    /// Members in their order, control items among them.
    fn slots(&self, here: &[usize], retired: &[usize], rng: &mut SplitMix64) -> Vec<Slot> {
        let mut able: Vec<usize> = (0..self.form.controls.len()).filter(|n| !retired.contains(n)).collect();
        let mut slots: Vec<Slot> = here.iter().map(|n| Slot::Member(*n)).collect();
        for _ in 0..CONTROLS {
            if able.is_empty() {
                break;
            }
            let chosen = able[rng.below(able.len() as u64) as usize];
            slots.insert(rng.below(slots.len() as u64 + 1) as usize, Slot::Control(chosen));
            let expected = &self.form.controls[chosen].expected;
            able.retain(|n| self.form.controls[*n].expected != *expected);
        }
        slots
    }

    fn land(&self, sending: &Sending, result: Result<Reply, WireError>) -> BTreeMap<usize, Fate> {
        let reads = std::mem::take(&mut self.state().reads);
        let all = |fate: Fate| sending.alone.keys().map(|n| (*n, fate.clone())).collect();
        let again = |why| Fate::Again { why, part: None, trial: None };
        let reply = match result {
            Ok(reply) => reply,
            Err(error) => {
                // What is wrong with one input, or with the form of batches, is nobody else's fault.
                let ours = matches!(
                    error.disposition,
                    Disposition::CallersFault | Disposition::TooLong | Disposition::BadAnswer
                );
                if !ours {
                    return all(Fate::Failed(error));
                }
                self.went(false, &reads);
                return all(again("the shared call was refused"));
            }
        };
        let text = reply.completion.text();
        let parts = usable(&reply.completion).and_then(|()| split(&text, &sending.composed.ids));
        self.bill((sending, &reads), (&reply.completion, parts.as_deref().unwrap_or_default()));
        let parts = match parts {
            Ok(parts) => parts,
            Err(why) => {
                self.went(false, &reads);
                return all(again(why));
            }
        };
        let wrong = self.wrong_controls(sending, &parts, &reply);
        // Whose fault it is, is seen when the others were asked alone.
        if wrong.is_empty() {
            self.went(true, &reads);
        }
        let trial = (!wrong.is_empty()).then(|| {
            let open = AtomicUsize::new(sending.alone.len());
            Arc::new(Trial { controls: wrong, open, differed: AtomicBool::new(false) })
        });
        let fate = |(slot, part): (&Slot, Option<String>)| {
            let Slot::Member(n) = slot else { return None };
            let part = part.map(|text| Box::new(said(&reply, text)));
            let fate = match (part, &trial) {
                (part, Some(_)) => {
                    Fate::Again { why: "a control item of its batch was answered wrong", part, trial: trial.clone() }
                }
                (None, None) => again("its part of the shared answer was missing, or there twice"),
                (Some(reply), None) => {
                    let audit = SplitMix64::new(self.batches.draw()).next_f64() < self.form.spec.audit;
                    Fate::Part { reply, audit }
                }
            };
            Some((*n, fate))
        };
        sending.slots.iter().zip(parts).filter_map(fate).collect()
    }

    fn went(&self, well: bool, reads: &BTreeMap<usize, u64>) {
        if well {
            return self.batches.change(&self.key, |lot| lot.went_well(reads.len()));
        }
        self.batches.went_wrong(&self.key, &self.intent.plan.name);
    }

    /// Those that were not answered as their case says.
    fn wrong_controls(&self, sending: &Sending, parts: &[Option<String>], reply: &Reply) -> Vec<usize> {
        let wrong = |(slot, part): (&Slot, &Option<String>)| {
            let Slot::Control(n) = slot else { return None };
            let Some(text) = part else { return Some(*n) };
            let control = &self.form.controls[*n];
            let judged = self.intent.judge(&said(reply, text.clone()).completion, &control.input, Finish::Complete);
            (judged.output.as_ref() != Some(&control.expected)).then_some(*n)
        };
        sending.slots.iter().zip(parts).filter_map(wrong).collect()
    }

    /// Gives each member that is here its part of what was used; those who left have paid theirs.
    fn bill(
        &self,
        (sending, reads): (&Sending, &BTreeMap<usize, u64>),
        (completion, parts): (&Completion, &[Option<String>]),
    ) {
        let written = completion.text().len();
        let usage = completion.usage.unwrap_or_else(|| Usage {
            output_tokens: written.div_ceil(TOKEN_BYTES) as u64,
            ..estimate(sending.bytes as u64)
        });
        let state = self.state();
        let here: Vec<usize> = sending.alone.keys().copied().filter(|n| !state.members[*n].gone).collect();
        let Some(cost) = here.first().map(|n| state.members[*n].seat.cost(&usage)) else { return };
        let left = state.members.iter().filter_map(|member| member.paid);
        let (mut paid, mut spent) = (Usage::default(), NanoUsd(0));
        left.for_each(|(usage, cost)| {
            paid += usage;
            spent += cost.unwrap_or_default();
        });
        let rest = share::without(&usage, &paid);
        let read: Vec<u64> = here.iter().map(|n| reads[n]).collect();
        let length = |n: &usize| {
            let slot = sending.slots.iter().position(|slot| matches!(slot, Slot::Member(m) if m == n));
            slot.and_then(|slot| parts.get(slot)?.as_ref()).map_or(0, String::len)
        };
        let said: Vec<u64> = here.iter().map(|n| 1 + length(n) as u64).collect();
        let usages = share::usages(&rest, &read, &said);
        let weights: Vec<u64> = here.iter().zip(&usages).map(|(n, usage)| weight(&state, *n, usage)).collect();
        let costs = cost.map(|cost| share::costs(NanoUsd((cost - spent).0.max(0)), &weights));
        let items = u32::try_from(sending.alone.len()).unwrap_or(u32::MAX);
        let id = sending.composed.ids.first().and_then(|id| id.split_once('-')).map_or("", |(mark, _)| mark);
        let first = here[0];
        for (place, n) in here.into_iter().enumerate() {
            let seat = &state.members[n].seat;
            let own = share::scaled(&usage, (sending.alone[&n], sending.bytes), (length(&n), written));
            let cost = costs.as_ref().map(|costs| costs[place]);
            let saved = seat.cost(&own).zip(cost).map(|(own, cost)| own - cost);
            let total = |usage: &Usage| i64::try_from(usage.input_tokens + usage.output_tokens).unwrap_or(i64::MAX);
            let tokens_saved = total(&own) - total(&usages[place]);
            seat.paid(usages[place], cost);
            seat.shares(BatchShare { id: id.to_owned(), items, first: n == first, alone: None, tokens_saved, saved });
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn here(&self) -> usize {
        self.members.iter().filter(|member| !member.gone).count()
    }

    /// The number of the new member.
    fn add(&mut self, rider: &Rider) -> usize {
        self.bytes += rider.text.len();
        self.members.push(Member { text: rider.text.clone(), seat: Arc::clone(&rider.seat), gone: false, paid: None });
        self.members.len() - 1
    }
}

/// What a part would cost by itself.
fn weight(state: &State, n: usize, usage: &Usage) -> u64 {
    let cost = state.members[n].seat.cost(usage).unwrap_or_default();
    u64::try_from(cost.0).unwrap_or_default()
}

/// Whether two requests differ in nothing but their last turn.
fn alike(one: &ChatRequest, other: &ChatRequest) -> bool {
    let before = |chat: &ChatRequest| chat.messages.len().saturating_sub(1);
    one.messages[..before(one)] == other.messages[..before(other)]
        && (&one.model, &one.params, &one.response_format, &one.extra)
            == (&other.model, &other.params, &other.response_format, &other.extra)
}

/// Bytes that a model reads, about.
fn size(chat: &ChatRequest) -> usize {
    let blocks = chat.messages.iter().flat_map(|message| &message.content);
    blocks.map(|block| if let Block::Text(text) = block { text.len() } else { 0 }).sum()
}

fn estimate(bytes: u64) -> Usage {
    Usage { input_tokens: bytes.div_ceil(TOKEN_BYTES as u64), estimated: true, ..Usage::default() }
}

/// Whether a shared answer is whole, and is one.
fn usable(completion: &Completion) -> Result<(), &'static str> {
    let refused = completion.content.iter().any(|block| matches!(block, Block::Refusal(_)));
    match completion.finish {
        _ if refused => Err("the model declined to answer the shared call"),
        FinishReason::Length => Err("the shared answer was cut off"),
        FinishReason::ContentFilter => Err("the shared answer was withheld"),
        FinishReason::Stop | FinishReason::ToolUse | FinishReason::Other(_) => Ok(()),
    }
}

/// One part as a reply of its own. Its tokens are those of the seat.
fn said(reply: &Reply, text: String) -> Reply {
    let Completion { id, model, .. } = &reply.completion;
    let completion = Completion {
        id: id.clone(),
        model: model.clone(),
        content: vec![Block::Text(text)],
        finish: FinishReason::Stop,
        usage: None,
        extra: Map::new(),
    };
    Reply { completion, simulated: reply.simulated }
}
