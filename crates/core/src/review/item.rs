//! One answer on its way through the hands of its reviewers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ReviewDraw, ReviewLabel, ReviewRefusal, ReviewState, ReviewVerdict};
use crate::record::ERASED;
use crate::{ExecutionId, IntentName, LabelSource, Record, TeamId, Via};

/// One answer, who has it, and what they said. It holds no content: that stays in the record, for as
/// long as the intent keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReviewItem {
    /// The execution that gave the answer.
    pub execution: ExecutionId,
    /// Whose it is.
    pub team: TeamId,
    /// The partition of its scope.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub partition: Vec<Option<String>>,
    /// Its intent.
    pub intent: IntentName,
    /// What evidence it is part of.
    pub lineage: String,
    /// The intent's version.
    pub version: String,
    /// Where the answer came from; `None` where none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// When it was given, Unix microseconds.
    pub started_at_us: i64,
    /// How it was drawn; `None` where somebody spoke of it unasked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub draw: Option<ReviewDraw>,
    /// In the order in which they were given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<ReviewLabel>,
    /// Who has it now: reviewer, and until when in Unix microseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<(String, i64)>,
    /// Who passed it over: reviewer, and when in Unix microseconds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skips: Vec<(String, i64)>,
}

impl ReviewItem {
    /// Of a record; `None` for a raw model call, which no criteria belong to.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        Some(Self {
            execution: record.execution,
            team: record.team.clone(),
            partition: record.partition.clone(),
            intent: record.intent.clone()?,
            lineage: record.lineage.clone(),
            version: record.version.clone(),
            via: record.via,
            started_at_us: record.started_at_us,
            draw: record.review.as_ref().map(ReviewDraw::without_content),
            labels: Vec::new(),
            holds: Vec::new(),
            skips: Vec::new(),
        })
    }

    /// How many independent labels it is to have.
    fn wanted(&self) -> usize {
        self.draw.as_ref().map_or(0, |draw| 1 + usize::from(draw.double))
    }

    /// Labels of people who did not see each other's.
    pub fn independent(&self) -> impl DoubleEndedIterator<Item = &ReviewLabel> {
        self.labels.iter().filter(|label| label.source != LabelSource::Adjudication)
    }

    fn adjudication(&self) -> Option<&ReviewLabel> {
        self.labels.iter().rfind(|label| label.source == LabelSource::Adjudication)
    }

    /// What it waits for.
    #[must_use]
    pub fn state(&self) -> ReviewState {
        let given = self.independent().count();
        match self.wanted() {
            0 => ReviewState::Done,
            _ if self.adjudication().is_some() => ReviewState::Done,
            wanted if given < wanted => {
                if given == 0 {
                    ReviewState::Open
                } else {
                    ReviewState::Second
                }
            }
            1 => ReviewState::Done,
            _ if self.agreed() => ReviewState::Done,
            _ => ReviewState::Disputed,
        }
    }

    /// Whether the independent labels say the same wherever both say something.
    fn agreed(&self) -> bool {
        let mut said: BTreeMap<&str, bool> = BTreeMap::new();
        let mut pass = None;
        self.independent().all(|label| {
            let same = *pass.get_or_insert(label.pass) == label.pass;
            same && label.criteria.iter().all(|(id, verdict)| *said.entry(id).or_insert(*verdict) == *verdict)
        })
    }

    /// What its labels come to; `None` without any.
    #[must_use]
    pub fn verdict(&self) -> Option<ReviewVerdict> {
        let last = self.adjudication().or_else(|| self.independent().next_back())?;
        let of = |criteria, pass, settled| {
            Some(ReviewVerdict { pass, criteria, settled, source: last.source, at_us: last.at_us })
        };
        let state = self.state();
        if self.adjudication().is_some() || self.wanted() == 0 {
            return of(last.criteria.clone(), last.pass, true);
        }
        let mut criteria = BTreeMap::new();
        for label in self.independent() {
            criteria.extend(label.criteria.clone());
        }
        criteria.retain(|id, verdict| self.independent().all(|l| l.criteria.get(id).is_none_or(|v| v == verdict)));
        of(criteria, state != ReviewState::Disputed && last.pass, state == ReviewState::Done)
    }

    /// Who has it at this time.
    pub fn held_by(&self, now_us: i64) -> impl Iterator<Item = &str> {
        self.holds.iter().filter(move |(_, until_us)| *until_us > now_us).map(|(reviewer, _)| reviewer.as_str())
    }

    /// Whether this reviewer has it at this time.
    #[must_use]
    pub fn is_held_by(&self, reviewer: &str, now_us: i64) -> bool {
        self.held_by(now_us).any(|holder| holder == reviewer)
    }

    /// What this reviewer said of it.
    #[must_use]
    pub fn label_of(&self, reviewer: &str) -> Option<&ReviewLabel> {
        self.labels.iter().rfind(|label| label.reviewer == reviewer)
    }

    /// Whether this reviewer passed it over.
    #[must_use]
    pub fn is_skipped_by(&self, reviewer: &str) -> bool {
        self.skips.iter().any(|(skipped, _)| skipped == reviewer)
    }

    /// Whether it is this reviewer's to label.
    ///
    /// # Errors
    /// Why it is not.
    pub fn may_label(&self, reviewer: &str, now_us: i64) -> Result<(), ReviewRefusal> {
        let others = self.held_by(now_us).filter(|holder| *holder != reviewer).count();
        let free = match self.state() {
            ReviewState::Done => return Err(ReviewRefusal::Done),
            ReviewState::Disputed => match self.draw.as_ref().and_then(|draw| draw.adjudicator.as_deref()) {
                Some(name) if name != reviewer => return Err(ReviewRefusal::NotAdjudicator(name.to_owned())),
                Some(_) => 1,
                None if self.label_of(reviewer).is_some() => return Err(ReviewRefusal::Labelled),
                None => 1,
            },
            ReviewState::Open | ReviewState::Second => {
                if self.label_of(reviewer).is_some() {
                    return Err(ReviewRefusal::Labelled);
                }
                self.wanted() - self.independent().count()
            }
        };
        if others < free { Ok(()) } else { Err(ReviewRefusal::Held) }
    }

    /// Gives it to this reviewer until then. Who has it keeps it for longer.
    ///
    /// # Errors
    /// Why it is not theirs.
    pub fn hold(&mut self, reviewer: &str, now_us: i64, until_us: i64) -> Result<(), ReviewRefusal> {
        self.may_label(reviewer, now_us)?;
        self.holds.retain(|(holder, until)| holder != reviewer && *until > now_us);
        self.holds.push((reviewer.to_owned(), until_us));
        Ok(())
    }

    /// Gives it back, if they have it.
    pub fn release(&mut self, reviewer: &str) {
        self.holds.retain(|(holder, _)| holder != reviewer);
    }

    /// Passes it over for good: it is not given to this reviewer again.
    pub fn skip(&mut self, reviewer: &str, now_us: i64) {
        self.release(reviewer);
        if !self.is_skipped_by(reviewer) {
            self.skips.push((reviewer.to_owned(), now_us));
        }
    }

    /// Takes a reviewer's label. Whose time ran out may still give it while the place is free.
    ///
    /// # Errors
    /// Why it is not theirs to label.
    pub fn label(&mut self, mut label: ReviewLabel) -> Result<(), ReviewRefusal> {
        self.may_label(&label.reviewer, label.at_us)?;
        let disputed = self.state() == ReviewState::Disputed;
        label.source = if disputed { LabelSource::Adjudication } else { LabelSource::Review };
        self.release(&label.reviewer);
        self.skips.retain(|(reviewer, _)| *reviewer != label.reviewer);
        self.labels.push(label);
        Ok(())
    }

    /// Takes what somebody said elsewhere: feedback, or a file. It counts while labels are wanted, or
    /// where none ever were; the last word of one person from one place replaces their earlier ones.
    /// Whether it counts.
    pub fn hear(&mut self, label: ReviewLabel) -> bool {
        let same = |other: &ReviewLabel| other.reviewer == label.reviewer && other.source == label.source;
        if let Some(before) = self.labels.iter_mut().find(|other| same(other)) {
            if before.at_us > label.at_us {
                return false;
            }
            *before = label;
            return true;
        }
        let waits = matches!(self.state(), ReviewState::Open | ReviewState::Second);
        let counts = self.draw.is_none() || (waits && self.label_of(&label.reviewer).is_none());
        if counts {
            self.labels.push(label);
        }
        counts
    }

    /// When anybody last labelled it or passed it over.
    #[must_use]
    pub fn last_act(&self) -> Option<i64> {
        self.labels.iter().map(|label| label.at_us).chain(self.skips.iter().map(|(_, at_us)| *at_us)).max()
    }

    /// When this reviewer last labelled it or passed it over, if that can be taken back in a review.
    #[must_use]
    pub fn last_act_of(&self, reviewer: &str) -> Option<i64> {
        let labels = self.labels.iter().filter(|l| l.reviewer == reviewer && l.source.is_review()).map(|l| l.at_us);
        labels.chain(self.skips.iter().filter(|(skipped, _)| skipped == reviewer).map(|(_, at_us)| *at_us)).max()
    }

    /// Takes back what this reviewer last did to it, and gives it to them until then.
    ///
    /// # Errors
    /// [`ReviewRefusal::TooLate`], [`ReviewRefusal::NothingToUndo`].
    pub fn undo(&mut self, reviewer: &str, now_us: i64, until_us: i64) -> Result<(), ReviewRefusal> {
        let last = self.last_act_of(reviewer).ok_or(ReviewRefusal::NothingToUndo)?;
        if let Some(skip) = self.skips.iter().position(|(skipped, at_us)| skipped == reviewer && *at_us == last) {
            self.skips.remove(skip);
        } else {
            let own =
                |label: &ReviewLabel| label.reviewer == reviewer && label.at_us == last && label.source.is_review();
            let place = self.labels.iter().rposition(own).ok_or(ReviewRefusal::NothingToUndo)?;
            if place + 1 < self.labels.len() {
                return Err(ReviewRefusal::TooLate);
            }
            self.labels.remove(place);
        }
        // Its place may be another's by now: then there is nothing to give.
        let _taken = self.hold(reviewer, now_us, until_us);
        Ok(())
    }

    /// The same where whom it is about was erased: their own names for where it belongs go too, and theirs as
    /// a reviewer.
    pub fn erase(&mut self, is: impl Fn(&str) -> bool) {
        self.forget_content();
        self.partition.clear();
        for label in self.labels.iter_mut().filter(|label| is(&label.reviewer)) {
            ERASED.clone_into(&mut label.reviewer);
        }
        self.skips.retain(|(reviewer, _)| !is(reviewer));
        self.holds.retain(|(reviewer, _)| !is(reviewer));
    }

    /// Drops what people wrote, once their execution's content has gone; verdicts are evidence and
    /// stay.
    pub fn forget_content(&mut self) {
        for label in &mut self.labels {
            (label.correction, label.comment) = (None, None);
        }
    }
}
