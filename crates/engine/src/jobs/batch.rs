//! A job through the batch API of a provider: its items are handed in together, at the price of batches,
//! and what comes back is judged as any answer is. What does not come back is asked singly.
//!
//! Each step is written down before the next one is taken. A batch that may have been handed in is looked
//! for by the job's id, which stands on it, before it is handed in again.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::sync::Arc;
use std::time::Duration;

use baton_core::{At, Candidate, Disposition, KeyId, NanoUsd, Need, Quota, Reservation, Used};
use baton_provider::{BatchFile, Batches, Provider};
use baton_store::{BatchState, JobBatch, JobState, StoreError};
use baton_wire::WireError;
use baton_wire::openai::{Batch, BatchStatus};
use tokio::time::timeout;

use super::KeptTerms;
use super::item::{Batched, at_batch_price, call, input};
use super::work::AtWork;
use crate::call::Caller;
use crate::drive::need;
use crate::orchestrator::Orchestrator;
use crate::resolve::resolve;

/// Items of a batch at most, and bytes of its file: OpenAI takes 50,000 and 200 MB, and a file is in memory
/// while it is handed in.
const ITEMS_MAX: usize = 10_000;
const FILE_BYTES_MAX: usize = 24 << 20;
/// How soon it is looked again how far a batch is; longer each time, up to the last.
const LOOKS: Duration = Duration::from_secs(1);
const LOOKS_MAX: Duration = Duration::from_secs(60);
/// The longest that one exchange may take, and that nothing of a download may arrive.
const EXCHANGE_MAX: Duration = Duration::from_secs(120);
/// Clocks of providers differ from ours by less, in seconds.
const CLOCKS_DIFFER: i64 = 3600;
/// Answers that are written together.
const PAGE: usize = 200;

/// What is known of a job's batches besides what the store has.
#[derive(Default)]
pub(super) struct Aloft {
    /// What each holds of the budgets.
    held: BTreeMap<u32, Reservation>,
    /// Those that may have been handed in without an answer: the others are new.
    doubtful: BTreeSet<u32>,
}

/// The items of a batch, ready to be handed in.
struct Filled {
    file: BatchFile,
    /// The last item that was looked at.
    last: u32,
    candidate: Candidate,
    provider: Arc<Provider>,
    quotas: Arc<[Quota]>,
    /// The most that they cost; `None` where the price of batches is not known.
    cost: Option<NanoUsd>,
}

/// Where a step led.
enum Step {
    /// To the next.
    On,
    /// Nowhere yet, for this reason.
    Later(String),
}

/// Who asks, and on what terms.
type Asks<'a> = (Option<&'a KeyId>, &'a KeptTerms);

impl AtWork {
    /// Returns once nothing of this job is at a provider. False where it is not worked on any more.
    pub(super) async fn through_batches(&mut self, asks: Asks<'_>) -> Result<bool, StoreError> {
        let (mut aloft, mut wait) = (Aloft::default(), LOOKS);
        // What the last process left may have been handed in.
        let left = self.baton.store().batches(self.job.id).await?;
        aloft.doubtful.extend(left.iter().map(|batch| batch.number));
        let through = loop {
            let batches = self.baton.store().batches(self.job.id).await?;
            if self.is_gone().await? {
                for batch in batches.iter().filter(|batch| batch.state == BatchState::HandedIn) {
                    self.cancel(batch).await;
                }
                break false;
            }
            if self.baton.stops() {
                break false;
            }
            let mut later = None;
            let mut moved = false;
            for batch in batches.iter().filter(|batch| batch.state != BatchState::Over) {
                match self.step(batch, asks, &mut aloft).await? {
                    Step::On => moved = true,
                    Step::Later(why) => later = Some(why),
                }
            }
            let next = batches.last().map_or(0, |batch| batch.last + 1);
            if later.is_none() && next < self.job.items {
                match self.another((u32::try_from(batches.len()).unwrap_or(u32::MAX), next), asks, &mut aloft).await? {
                    Step::On => moved = true,
                    Step::Later(why) => later = Some(why),
                }
            } else if batches.iter().all(|batch| batch.state == BatchState::Over) {
                break true;
            }
            if moved {
                wait = LOOKS;
                continue;
            }
            self.says(later.as_deref()).await?;
            self.baton.pause(wait).await;
            wait = (wait * 3 / 2).min(LOOKS_MAX);
        };
        for (_, reservation) in aloft.held {
            self.baton.0.budgets.settle(reservation, Used::default());
        }
        if through {
            self.says(None).await?;
        }
        Ok(through)
    }

    async fn is_gone(&self) -> Result<bool, StoreError> {
        let job = self.baton.store().job(&self.job.team, self.job.id).await?;
        Ok(job.is_none_or(|job| job.state != JobState::Open))
    }

    /// Begins the next batch, with the items from this place on.
    async fn another(
        &mut self,
        (number, first): (u32, u32),
        asks: Asks<'_>,
        aloft: &mut Aloft,
    ) -> Result<Step, StoreError> {
        let caller = match self.caller(asks.0).await? {
            Ok(caller) => caller,
            Err(why) => return Ok(Step::Later(why)),
        };
        let begun_us = self.baton.0.clock.unix_us();
        let over = |last, model: &str, told: &str| JobBatch {
            number,
            model: model.to_owned(),
            first,
            last,
            state: BatchState::Over,
            begun_us,
            held: NanoUsd(0),
            file: None,
            batch: None,
            told: Some(told.to_owned()),
        };
        let rest = self.job.items - 1;
        let filled = match self.fill((first, rest), (asks.1, &caller), begun_us).await? {
            Ok(filled) => filled,
            Err(why) => {
                self.baton.store().keep_batch(self.job.id, &over(rest, "-", &why)).await?;
                return Ok(Step::On);
            }
        };
        let model = filled.candidate.model.as_str();
        let held = filled.cost.unwrap_or_default();
        let batch = JobBatch { state: BatchState::Begun, held, told: None, ..over(filled.last, model, "") };
        match self.baton.reserve(&filled) {
            Ok(reservation) => drop(aloft.held.insert(number, reservation)),
            Err(why) => return Ok(Step::Later(why)),
        }
        self.baton.store().keep_batch(self.job.id, &batch).await?;
        self.hand_in(&batch, &filled, aloft).await
    }

    /// The next step of a batch that is not over.
    async fn step(&mut self, batch: &JobBatch, asks: Asks<'_>, aloft: &mut Aloft) -> Result<Step, StoreError> {
        let caller = match self.caller(asks.0).await? {
            Ok(caller) => caller,
            // What was handed in is paid for, whoever may call now.
            Err(_) if batch.state == BatchState::HandedIn => Caller::of_team(&self.job.team, &self.baton.snapshot()),
            Err(why) => return Ok(Step::Later(why)),
        };
        let Some(provider) = self.baton.provider_of(&batch.model) else {
            return self.over(batch, "its model is not there any more", aloft).await;
        };
        let Some(batches) = provider.batches() else {
            return self.over(batch, "its provider takes no batches any more", aloft).await;
        };
        if let Some(id) = &batch.batch {
            return self.look(batch, (id, &batches), aloft).await;
        }
        if aloft.doubtful.contains(&batch.number) {
            let since = batch.begun_us / 1_000_000 - CLOCKS_DIFFER;
            match timed(batches.find(&self.written_on(batch), since)).await {
                Ok(Some(found)) => return self.handed_in(batch, &found).await,
                Ok(None) if batch.file.is_some() => return self.make(batch, &batches, aloft).await,
                Ok(None) => {}
                Err(error) => return self.failed(batch, &error, aloft).await,
            }
        }
        match self.fill((batch.first, batch.last), (asks.1, &caller), batch.begun_us).await? {
            Ok(filled) => {
                if let Entry::Vacant(held) = aloft.held.entry(batch.number) {
                    match self.baton.reserve(&filled) {
                        Ok(reservation) => drop(held.insert(reservation)),
                        Err(why) => return Ok(Step::Later(why)),
                    }
                }
                self.hand_in(batch, &filled, aloft).await
            }
            Err(why) => self.over(batch, &why, aloft).await,
        }
    }

    /// The requests of the items from the first to the last place, as many as fit. Why there are none.
    async fn fill(
        &self,
        (first, last): (u32, u32),
        asks: (&KeptTerms, &Caller),
        begun_us: i64,
    ) -> Result<Result<Filled, String>, StoreError> {
        let (live, mut filled, mut items) = (self.baton.0.live(), None::<Filled>, 0);
        let mut after = first.checked_sub(1);
        while let Some(item) = self.baton.store().next_items(self.job.id, after, 1).await?.pop() {
            if item.place > last || items == ITEMS_MAX {
                break;
            }
            after = Some(item.place);
            // What cannot be asked gets its error when it is asked singly.
            let Ok(asked) = input(&item) else { continue };
            let call = call(&self.job, asks, &asked);
            let Ok(request) = resolve(&self.baton.0, Arc::clone(&live), &call) else { continue };
            let Ok(mut chat) = request.chat(&call) else { continue };
            if filled.is_none() {
                let remote = request.candidates.iter().find(|candidate| candidate.model.as_str() != "local");
                let Some(candidate) = remote else { return Ok(Err("nobody but `local` is asked".to_owned())) };
                let provider = live.provider(candidate).filter(|provider| provider.batches().is_some());
                let Some(provider) = provider.map(Arc::clone) else {
                    let why = format!("{} takes no batches: its items are asked singly", candidate.model.provider());
                    return Ok(Err(why));
                };
                let price = candidate.price.as_ref().and_then(|price| at_batch_price(price, begun_us));
                let (quotas, candidate) = (Arc::clone(&request.quotas), Candidate { price, ..candidate.clone() });
                let (file, cost) = (BatchFile::default(), Some(NanoUsd(0)));
                filled = Some(Filled { file, last: item.place, candidate, provider, quotas, cost });
            }
            let Some(filled) = &mut filled else { break };
            if filled.file.bytes() >= FILE_BYTES_MAX {
                break;
            }
            filled.candidate.model.name().clone_into(&mut chat.model);
            chat.stream = false;
            if let Some(batches) = filled.provider.batches() {
                batches.add(&mut filled.file, &item.place.to_string(), &chat);
            }
            let Need { cost, .. } = need(&chat, filled.candidate.price.as_ref(), begun_us);
            filled.cost = filled.cost.zip(cost).map(|(sum, cost)| sum + cost);
            filled.last = item.place;
            items += 1;
        }
        Ok(filled.ok_or_else(|| "none of its items can be asked together".to_owned()))
    }

    async fn hand_in(&mut self, batch: &JobBatch, filled: &Filled, aloft: &mut Aloft) -> Result<Step, StoreError> {
        let Some(batches) = filled.provider.batches() else {
            return self.over(batch, "its provider takes no batches any more", aloft).await;
        };
        let file = match timed(batches.upload(&filled.file)).await {
            Ok(file) => file,
            Err(error) => return self.failed(batch, &error, aloft).await,
        };
        let uploaded = JobBatch { file: Some(file), ..batch.clone() };
        self.baton.store().keep_batch(self.job.id, &uploaded).await?;
        self.make(&uploaded, &batches, aloft).await
    }

    /// Makes a batch of its file.
    async fn make(&mut self, batch: &JobBatch, batches: &Batches<'_>, aloft: &mut Aloft) -> Result<Step, StoreError> {
        // From here on it may be there, whatever is heard of it.
        aloft.doubtful.insert(batch.number);
        let file = batch.file.as_deref().unwrap_or_default();
        match timed(batches.create(file, &self.written_on(batch))).await {
            Ok(made) => self.handed_in(batch, &made).await,
            Err(error) => self.failed(batch, &error, aloft).await,
        }
    }

    /// What stands on a batch: no other has it.
    fn written_on(&self, batch: &JobBatch) -> BTreeMap<String, String> {
        let written = [("baton_job", self.job.id.to_string()), ("baton_batch", batch.number.to_string())];
        written.map(|(name, value)| (name.to_owned(), value)).into()
    }

    async fn handed_in(&mut self, batch: &JobBatch, made: &Batch) -> Result<Step, StoreError> {
        let told = Some(told(made));
        let kept = JobBatch { state: BatchState::HandedIn, batch: Some(made.id.clone()), told, ..batch.clone() };
        self.baton.store().keep_batch(self.job.id, &kept).await?;
        Ok(Step::On)
    }

    /// Looks how far a batch is; where it is over, keeps what it answered.
    async fn look(
        &mut self,
        batch: &JobBatch,
        (id, batches): (&str, &Batches<'_>),
        aloft: &mut Aloft,
    ) -> Result<Step, StoreError> {
        if !aloft.held.contains_key(&batch.number) {
            let held = self.baton.hold(&self.job.team, batch);
            aloft.held.extend(held.map(|held| (batch.number, held)));
        }
        let made = match timed(batches.get(id)).await {
            Ok(made) => made,
            Err(error) => return self.failed(batch, &error, aloft).await,
        };
        if !made.status.is_over() {
            let told = told(&made);
            let kept = JobBatch { told: Some(told.clone()), ..batch.clone() };
            if kept != *batch {
                self.baton.store().keep_batch(self.job.id, &kept).await?;
            }
            return Ok(Step::Later(format!("batch {id} is {told}")));
        }
        let answers = match &made.output_file_id {
            None => 0,
            Some(output) => match self.collect(batch, (output, batches)).await? {
                Ok(answers) => answers,
                Err(error) => return self.failed(batch, &error, aloft).await,
            },
        };
        let why = match (&made.status, &made.errors) {
            (BatchStatus::Failed, Some(errors)) => format!(": {errors}"),
            _ => String::new(),
        };
        let step = self.over(batch, &format!("{}, {answers} answers{why}", made.status.as_str()), aloft).await?;
        // They have content, and are needed no more.
        for file in [&batch.file, &made.output_file_id, &made.error_file_id].into_iter().flatten() {
            if let Err(error) = timed(batches.delete(file)).await {
                tracing::warn!(%error, file, "a file of a batch could not be deleted at its provider");
            }
        }
        Ok(step)
    }

    /// Keeps what a batch answered with its items: how many answers there are.
    async fn collect(
        &self,
        batch: &JobBatch,
        (output, batches): (&str, &Batches<'_>),
    ) -> Result<Result<usize, WireError>, StoreError> {
        let mut lines = match timed(batches.download(output)).await {
            Ok(lines) => lines,
            Err(error) => return Ok(Err(error)),
        };
        let (mut page, mut answers) = (Vec::new(), 0);
        loop {
            let line = match timed(lines.next()).await {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) if error.disposition == Disposition::BadAnswer => {
                    tracing::warn!(%error, job = %self.job.id, "a line of a batch's output says nothing");
                    continue;
                }
                Err(error) => return Ok(Err(error)),
            };
            let place = line.custom_id.parse().ok().filter(|place| (batch.first..=batch.last).contains(place));
            let (Some(place), Ok(body)) = (place, line.response) else { continue };
            let (model, simulated, begun_us) = (batch.model.as_str().into(), lines.simulated, batch.begun_us);
            let reply = Batched { model, body, simulated, begun_us };
            page.push((place, serde_json::to_string(&reply).unwrap_or_default()));
            answers += 1;
            if page.len() == PAGE {
                self.baton.store().add_replies(self.job.id, &page).await?;
                page.clear();
            }
        }
        self.baton.store().add_replies(self.job.id, &page).await?;
        Ok(Ok(answers))
    }

    /// Something went wrong at the provider: it is tried again, or the items are asked singly.
    async fn failed(&mut self, batch: &JobBatch, error: &WireError, aloft: &mut Aloft) -> Result<Step, StoreError> {
        match error.disposition {
            Disposition::Transient | Disposition::RateLimited { .. } | Disposition::Slow => {
                Ok(Step::Later(format!("its provider: {error}")))
            }
            _ => self.over(batch, &format!("its provider refused: {error}"), aloft).await,
        }
    }

    async fn over(&mut self, batch: &JobBatch, told: &str, aloft: &mut Aloft) -> Result<Step, StoreError> {
        let kept = JobBatch { state: BatchState::Over, told: Some(told.to_owned()), ..batch.clone() };
        self.baton.store().keep_batch(self.job.id, &kept).await?;
        if let Some(reservation) = aloft.held.remove(&batch.number) {
            self.baton.0.budgets.settle(reservation, Used::default());
        }
        Ok(Step::On)
    }

    async fn cancel(&self, batch: &JobBatch) {
        let provider = self.baton.provider_of(&batch.model);
        let batches = provider.as_ref().and_then(|provider| provider.batches());
        let (Some(batches), Some(id)) = (batches, &batch.batch) else { return };
        if let Err(error) = timed(batches.cancel(id)).await {
            tracing::warn!(%error, batch = id, "a batch could not be cancelled at its provider");
        }
    }
}

impl Orchestrator {
    /// Who is asked for a model, with its provider's first key.
    fn provider_of(&self, model: &str) -> Option<Arc<Provider>> {
        let live = self.0.live();
        let spec = live.snapshot.models.iter().find(|spec| spec.id.as_str() == model)?;
        live.provider(&live.candidate(spec)).map(Arc::clone)
    }

    /// Holds what a batch may cost, where the budgets allow it. Tokens count when it is answered.
    fn reserve(&self, filled: &Filled) -> Result<Reservation, String> {
        let need = Need { tokens: 0, cost: filled.cost };
        self.0.budgets.reserve(&filled.quotas, need, self.at()).map_err(|refusal| refusal.to_string())
    }

    /// Holds what a batch that is handed in may cost.
    fn hold(&self, team: &baton_core::TeamId, batch: &JobBatch) -> Option<Reservation> {
        let quota = Quota { account: baton_core::Account::Team(team.clone()), allowance: Default::default() };
        self.0.budgets.hold(&[quota], batch.held, self.at())
    }

    fn at(&self) -> At {
        At { now: self.0.clock.now(), unix_us: self.0.clock.unix_us() }
    }
}

fn told(batch: &Batch) -> String {
    let done =
        batch.request_counts.map(|counts| format!(", {} of {} done", counts.completed + counts.failed, counts.total));
    format!("{}{}", batch.status.as_str(), done.unwrap_or_default())
}

/// An exchange that takes too long is one that broke.
async fn timed<T>(exchange: impl Future<Output = Result<T, WireError>>) -> Result<T, WireError> {
    let late = || WireError::broken(format!("no answer within {} s", EXCHANGE_MAX.as_secs()));
    timeout(EXCHANGE_MAX, exchange).await.unwrap_or_else(|_| Err(late()))
}
