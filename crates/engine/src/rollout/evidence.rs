//! What a rollout knows: outcomes of the calls that were drawn for it, read from the store as they come.

use std::collections::{HashMap, HashSet};

use baton_config::Plan;
use baton_core::{AttemptOutcome, ExecutionId, Record, RolloutDraw, RolloutKnown, RolloutState, Status, TeamId, Via};
use baton_stats::{Rollout, RolloutOutcome};
use baton_store::{Store, StoreError};

use crate::learn::by_team;

/// Answers that are remembered as drawn at most: labels and judgements of others are not counted.
const ANSWERS_MAX: usize = 100_000;

/// Judgements are written at most so much later than they say.
const SCORES_LATE_US: i64 = 60 * 1_000_000;

/// See the module.
pub(super) struct Evidence {
    began_us: i64,
    known: RolloutKnown,
    /// The place of the last record that was read.
    place: u64,
    /// Answers of the model that was drawn: for whom, with which probability, and their session's hash.
    answers: HashMap<ExecutionId, Drawn>,
    /// As the labels were when they were last read.
    mark: Option<(i64, u64)>,
    served: Counted,
    labelled: Counted,
    judged: Counted,
    scores_us: i64,
}

#[derive(Clone)]
struct Drawn {
    candidate: bool,
    share: f64,
    /// Where sessions stay with a model: their calls are drawn together, and count once together.
    session: Option<String>,
}

/// What was counted: each answer once, and of each session one.
#[derive(Default)]
struct Counted {
    answers: HashSet<ExecutionId>,
    sessions: HashSet<String>,
}

impl Counted {
    fn add(&mut self, execution: ExecutionId, drawn: &Drawn) -> bool {
        self.answers.insert(execution) && drawn.session.as_ref().is_none_or(|of| self.sessions.insert(of.clone()))
    }
}

impl Evidence {
    pub(super) fn of(state: &RolloutState) -> Self {
        let (known, answers, mark) = Default::default();
        let (served, labelled, judged) = Default::default();
        let (began_us, place) = (state.began_us, 0);
        Self { began_us, known, place, answers, mark, served, labelled, judged, scores_us: began_us }
    }

    pub(super) fn is_of(&self, state: &RolloutState) -> bool {
        self.began_us == state.began_us
    }

    pub(super) fn known(&self) -> &RolloutKnown {
        &self.known
    }

    /// Reads what is new; false where nothing is.
    pub(super) async fn read(
        &mut self,
        store: &Store,
        (team, plan): (&TeamId, &Plan),
        now_us: i64,
    ) -> Result<bool, StoreError> {
        // What is said of an answer comes after its record: it is read before, so that the record is there.
        let mark = store.labels_mark().await?;
        let mut labels = Vec::new();
        if self.mark != Some(mark) {
            labels = by_team(store, plan, now_us).await?.remove(team).unwrap_or_default();
        }
        let scores = store.evidence(team, &plan.hashes.lineage, self.scores_us - SCORES_LATE_US).await?;
        let mut news = false;
        loop {
            let page = store.records_after((team, &plan.name), self.began_us, self.place).await?;
            let Some((place, _)) = page.last() else { break };
            self.place = *place;
            for (_, record) in &page {
                news |= self.record(record, plan.route.sticky);
            }
        }
        for label in labels {
            let Some(drawn) = label.probability else { continue };
            let counted = (&mut self.labelled, &mut self.known.labels);
            news |= word(&self.answers, counted, label.execution, (f64::from(label.pass), drawn));
        }
        for score in scores {
            self.scores_us = self.scores_us.max(score.at_us);
            let Some(good) = score.result.value().filter(|_| score.drawn) else { continue };
            let counted = (&mut self.judged, &mut self.known.judge);
            news |= word(&self.answers, counted, score.execution, (good, score.probability));
        }
        self.mark = Some(mark);
        Ok(news)
    }

    fn record(&mut self, record: &Record, sticky: bool) -> bool {
        let Some(draw) = record.route.as_ref().and_then(|route| route.rollout.as_ref()) else { return false };
        let Some(served) = served(record, draw).filter(|_| draw.began_us == self.began_us) else { return false };
        let session = record.session.clone().filter(|_| sticky);
        let drawn = Drawn { candidate: draw.candidate, share: draw.share, session };
        let counted = (&mut self.served, &mut self.known.served);
        let news = push(counted, record.execution, &drawn, (f64::from(served), 1.0));
        // Labels are of the answer that was given, which may be another's.
        if served && record.model.as_ref() == Some(draw.drawn()) && self.answers.len() < ANSWERS_MAX {
            self.answers.insert(record.execution, drawn);
        }
        news
    }
}

/// Whether the model that was drawn gave an answer, be it one that was held against others; `None` where that says
/// nothing of it: it was not asked, or the caller or a limit of ours was what stood in the way.
fn served(record: &Record, draw: &RolloutDraw) -> Option<bool> {
    if draw.share <= 0.0 || draw.share >= 1.0 || record.status == Status::Cancelled {
        return None;
    }
    let drawn = draw.drawn();
    if record.via == Some(Via::Model) && record.model.as_ref() == Some(drawn) {
        return Some(true);
    }
    let ends = record.attempts.iter().filter(|attempt| attempt.model == *drawn).map(|attempt| attempt.outcome);
    let mut failed = None;
    for end in ends {
        match end {
            AttemptOutcome::Transient
            | AttemptOutcome::RateLimited
            | AttemptOutcome::HardDown
            | AttemptOutcome::Slow
            | AttemptOutcome::BadAnswer
            | AttemptOutcome::NoTime
            | AttemptOutcome::BreakerOpen => failed = Some(false),
            AttemptOutcome::Held => return Some(true),
            AttemptOutcome::CallersFault => return None,
            _ => {}
        }
    }
    failed
}

/// Counts a word on an answer of the model that was drawn.
fn word(
    answers: &HashMap<ExecutionId, Drawn>,
    counted: (&mut Counted, &mut Rollout),
    execution: ExecutionId,
    said: (f64, f64),
) -> bool {
    answers.get(&execution).is_some_and(|drawn| push(counted, execution, drawn, said))
}

fn push(
    (counted, known): (&mut Counted, &mut Rollout),
    execution: ExecutionId,
    drawn: &Drawn,
    (good, probability): (f64, f64),
) -> bool {
    let (candidate, share) = (drawn.candidate, drawn.share);
    counted.add(execution, drawn) && known.push(RolloutOutcome { candidate, good, share, drawn: probability })
}
