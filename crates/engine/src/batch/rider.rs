//! One attempt that may share its call: alone, with others, or alone after all.

use std::sync::Arc;

use baton_core::{Usage, Verdict, verdict};
use baton_eval::Finish;
use baton_provider::{Besides, Provider, Reply};
use baton_wire::{ChatRequest, Completion, WireError};
use serde_json::Value;
use tokio::time::Instant;

use super::gathering::{BYTES_MAX, Fate, Finding, Gathering, Place};
use super::seat::Seat;
use super::suspect::suspect;
use super::{Air, Batches, Form, Key, LOTS_MAX};
use crate::drive::estimated;
use crate::intent::Intent;

/// Of all inputs of a call, one may be so much.
const ITEM_BYTES_MAX: usize = BYTES_MAX / 4;

/// See the module.
pub(super) struct Rider {
    pub(super) batches: Arc<Batches>,
    pub(super) key: Key,
    pub(super) form: Arc<Form>,
    pub(super) intent: Arc<Intent>,
    pub(super) input: Value,
    /// The last turn.
    pub(super) text: String,
    pub(super) provider: Arc<Provider>,
    pub(super) chat: Arc<ChatRequest>,
    pub(super) besides: Besides,
    pub(super) seat: Arc<Seat>,
    /// When its execution stops waiting for it.
    pub(super) until: Instant,
}

enum Boarded {
    Alone(Option<Air>, Option<&'static str>),
    Shared(Place),
}

impl Rider {
    pub(super) async fn ride(self) -> Result<Reply, WireError> {
        let fate = match self.board() {
            Boarded::Alone(air, why) => {
                if let Some(why) = why {
                    self.seat.goes_alone(why);
                }
                return self.alone(air).await;
            }
            Boarded::Shared(place) => place.landed().await,
        };
        match fate {
            Fate::Single => self.alone(self.batches.air(&self.key)).await,
            Fate::Failed(error) => Err(error),
            Fate::Part { reply, .. } if !self.accepts(&reply) => {
                self.again("its part of the shared answer failed its checks").await
            }
            Fate::Part { reply, audit: true } if self.has_room() => self.audited(*reply).await,
            Fate::Part { reply, .. } => Ok(self.billed(*reply)),
            Fate::Again { why, part, trial } => {
                let reply = self.again(why).await?;
                if let (Some(part), Some(trial)) = (part, trial) {
                    match trial.compared(self.says(&part) == self.says(&reply)) {
                        Finding::Nothing => {}
                        Finding::Batch => self.batches.went_wrong(&self.key, &self.intent.plan.name),
                        Finding::Controls(blamed) => {
                            self.batches
                                .change(&self.key, |lot| blamed.iter().for_each(|control| lot.retire(*control)));
                        }
                    }
                }
                Ok(reply)
            }
        }
    }

    /// Alone, where there is nobody to wait for, no time to wait, or a reason to be apart.
    fn board(&self) -> Boarded {
        let (now, most) = (Instant::now(), self.form.spec.max_items);
        let suspicious = suspect(&self.text).then_some("it may carry instructions to the model");
        let mut lots = self.batches.lots();
        if lots.len() >= LOTS_MAX && !lots.contains_key(&self.key) {
            lots.retain(|_, (lot, open)| lot.in_air > 0 || open.as_ref().is_some_and(|open| open.upgrade().is_some()));
            if lots.len() >= LOTS_MAX {
                return Boarded::Alone(None, None);
            }
        }
        let (lot, open) = lots.entry(self.key.clone()).or_default();
        let gathering = open.as_ref().and_then(super::gathering::Open::upgrade);
        let idle = lot.in_air == 0 && gathering.is_none();
        let room = lot.fits(self.form.spec.max_wait, self.until - now) && self.text.len() <= ITEM_BYTES_MAX;
        let apart = lot.closed(now).or(suspicious);
        if apart.is_some() || idle || !room {
            return Boarded::Alone(Some(self.batches.take_off(&self.key, lot)), apart);
        }
        let most = lot.largest(most);
        let joined = gathering.and_then(|(landing, gathering)| gathering.take_in(self, landing, most));
        Boarded::Shared(joined.unwrap_or_else(|| {
            let (opened, place) = Gathering::open(self);
            *open = opened;
            place
        }))
    }

    /// An ordinary call.
    async fn alone(&self, air: Option<Air>) -> Result<Reply, WireError> {
        let mut sent = Sent { seat: &self.seat, usage: Some(estimated(&self.chat, 0)) };
        let result = self.provider.complete_with(&self.chat, self.besides.clone()).await;
        match &result {
            Ok(reply) => {
                let Completion { usage, content, .. } = &reply.completion;
                let written = crate::assemble::chars_of(content);
                sent.usage = Some(usage.unwrap_or_else(|| estimated(&self.chat, written)));
            }
            // An answer came that is none: it may well be billed.
            Err(error) if error.disposition == baton_core::Disposition::BadAnswer => {}
            Err(_) => sent.usage = None,
        }
        drop(sent);
        if result.is_err() {
            air.into_iter().for_each(Air::failed);
        }
        result.map(|reply| self.billed(reply))
    }

    /// Alone after all, once; where there is no time for that, its attempt has failed.
    async fn again(&self, why: &str) -> Result<Reply, WireError> {
        self.seat.goes_alone(why);
        if !self.has_room() {
            return Err(WireError::bad_answer(format!("{why}, and there was no time to ask alone")));
        }
        self.alone(self.batches.air(&self.key)).await
    }

    /// Asks alone, too. What was answered so is given; a failure of that is no failure.
    async fn audited(&self, part: Reply) -> Result<Reply, WireError> {
        let Ok(single) = self.again("an audit of its batch").await else { return Ok(self.billed(part)) };
        let same = self.says(&part) == self.says(&single);
        if self.batches.change(&self.key, |lot| lot.audited(same, Instant::now())) {
            tracing::warn!(
                intent = %self.intent.plan.name,
                "too many batched answers differed from those asked for alone: it batches no more here"
            );
        }
        Ok(single)
    }

    fn has_room(&self) -> bool {
        let left = self.until - Instant::now();
        self.batches.lots().get(&self.key).is_none_or(|(lot, _)| lot.may_ask(left))
    }

    fn accepts(&self, reply: &Reply) -> bool {
        let judged = self.intent.judge(&reply.completion, &self.input, Finish::Complete);
        verdict(&judged.checks) != Verdict::Fail
    }

    fn says(&self, reply: &Reply) -> Option<Value> {
        self.intent.judge(&reply.completion, &self.input, Finish::Complete).output
    }

    /// With all that its attempt used.
    fn billed(&self, mut reply: Reply) -> Reply {
        reply.completion.usage = Some(self.seat.bill().usage);
        reply
    }
}

/// A call that was sent: what it used is charged, however it ends.
struct Sent<'a> {
    seat: &'a Seat,
    usage: Option<Usage>,
}

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(usage) = self.usage {
            self.seat.used(usage);
        }
    }
}
