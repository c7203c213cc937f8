//! The review queue: which item is whose, and what was said. Every change of an item is one
//! transaction that reads it, asks it, and writes it back: two processes never give away one place.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use baton_core::{ExecutionId, IntentName, Record, ReviewItem, ReviewLabel, ReviewRefusal};

use super::{ErasedCounts, Store, memory};
use crate::reviews::{Change, ITEMS_MAX, act, is_next, rank};
use crate::{
    Erased, Feedback, Label, LabelQuery, ReviewAct, ReviewError, ReviewFilter, Reviewer, StoreError, feedback,
};

/// Items of a store in memory, by team and execution.
#[derive(Default)]
pub(crate) struct MemoryReviews(Mutex<BTreeMap<(String, ExecutionId), ReviewItem>>);

type Items<'a> = MutexGuard<'a, BTreeMap<(String, ExecutionId), ReviewItem>>;

fn key(item: &ReviewItem) -> (String, ExecutionId) {
    (item.team.as_str().to_owned(), item.execution)
}

impl Store {
    /// The items in memory, with those of the journal that are new.
    fn remembered(&self) -> Items<'_> {
        let mut items = self.0.reviews.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = self.0.journal.as_memory() {
            for item in memory::drawn(memory) {
                items.entry(key(&item)).or_insert(item);
            }
        }
        items
    }

    /// Takes the next item for this reviewer: the one that they have, or else the one that waits for
    /// somebody like them. `None` where nothing does.
    ///
    /// # Errors
    /// What the database says.
    pub async fn next_review(
        &self,
        reviewer: &Reviewer,
        intent: Option<&IntentName>,
        now_us: i64,
    ) -> Result<Option<ReviewItem>, ReviewError> {
        let ours = |item: &ReviewItem| is_next(item, reviewer, intent, now_us);
        let first = self.alarmed_since(&reviewer.team).await?.and_then(|at_us| u64::try_from(at_us / 1000).ok());
        let first = first.map(|at_ms| ExecutionId::new(at_ms, [0; 10]));
        let hold: &Change<'_> = &|item| act(item, &reviewer.name, &ReviewAct::Hold, now_us);
        if let Some(disk) = &self.0.disk {
            return Ok(disk.control.change_first(reviewer, &ours, hold, (now_us, first)).await?);
        }
        let mut items = self.remembered();
        let waiting = items.values_mut().filter(|item| ours(item));
        let Some(item) = waiting.min_by_key(|item| rank(item, &reviewer.name, (now_us, first))) else {
            return Ok(None);
        };
        hold(item)?;
        Ok(Some(item.clone()))
    }

    /// One item; `None` where this reviewer sees none.
    ///
    /// # Errors
    /// What the database says.
    pub async fn review(&self, reviewer: &Reviewer, id: ExecutionId) -> Result<Option<ReviewItem>, StoreError> {
        let found = match &self.0.disk {
            Some(disk) => disk.control.review(&reviewer.team, id).await?,
            None => self.remembered().get(&(reviewer.team.as_str().to_owned(), id)).cloned(),
        };
        Ok(found.filter(|item| reviewer.sees(item)))
    }

    /// Does something with an item, and gives it as it is then.
    ///
    /// # Errors
    /// [`ReviewError::Unknown`]; [`ReviewError::Refused`] says whose it is; what the database says.
    pub async fn act_on_review(
        &self,
        reviewer: &Reviewer,
        id: ExecutionId,
        doing: &ReviewAct,
        now_us: i64,
    ) -> Result<ReviewItem, ReviewError> {
        self.review(reviewer, id).await?.ok_or(ReviewError::Unknown(id))?;
        let item = self.change(reviewer, id, &|item| act(item, &reviewer.name, doing, now_us)).await?;
        if matches!(doing, ReviewAct::Label(_)) {
            self.forget_if_erased(&reviewer.team, id).await?;
        }
        Ok(item)
    }

    async fn change(
        &self,
        reviewer: &Reviewer,
        id: ExecutionId,
        change: &Change<'_>,
    ) -> Result<ReviewItem, ReviewError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.change_review(&reviewer.team, id, change).await;
        }
        let mut items = self.remembered();
        let item = items.get_mut(&(reviewer.team.as_str().to_owned(), id)).ok_or(ReviewError::Unknown(id))?;
        let mut changed = item.clone();
        change(&mut changed)?;
        *item = changed.clone();
        Ok(changed)
    }

    /// Takes back the last label or skip of this reviewer, and gives them the item.
    ///
    /// # Errors
    /// [`ReviewRefusal::NothingToUndo`], [`ReviewRefusal::TooLate`]; what the database says.
    pub async fn undo_review(&self, reviewer: &Reviewer, now_us: i64) -> Result<ReviewItem, ReviewError> {
        let last = match &self.0.disk {
            Some(disk) => disk.control.last_acted(reviewer).await?,
            None => {
                let items = self.remembered();
                let acted = items.values().filter(|item| reviewer.sees(item));
                let acted = acted.filter_map(|item| Some((item.last_act_of(&reviewer.name)?, item.execution)));
                acted.max().map(|(_, id)| id)
            }
        };
        let id = last.ok_or(ReviewRefusal::NothingToUndo)?;
        let until_us = now_us + crate::RESERVATION_US;
        self.change(reviewer, id, &|item| item.undo(&reviewer.name, now_us, until_us)).await
    }

    /// Items that this reviewer sees, the latest execution first.
    ///
    /// # Errors
    /// What the database says.
    pub async fn reviews(&self, reviewer: &Reviewer, filter: &ReviewFilter) -> Result<Vec<ReviewItem>, StoreError> {
        let limit = filter.limit.min(ITEMS_MAX);
        let takes = |item: &ReviewItem| reviewer.sees(item) && filter.takes(item);
        if let Some(disk) = &self.0.disk {
            return disk.control.reviews(&reviewer.team, filter, &takes, limit).await;
        }
        Ok(self.remembered().values().rev().filter(|item| takes(item)).take(limit).cloned().collect())
    }

    /// What people said about the answers of a lineage, one [`Label`] an execution, the latest
    /// execution first. A page: read on with `before` until one is shorter than `limit`.
    ///
    /// # Errors
    /// What the database says.
    pub async fn labels(&self, query: &LabelQuery) -> Result<Vec<Label>, StoreError> {
        if let Some(disk) = &self.0.disk {
            let items = disk.control.labelled(query).await?;
            return Ok(items.iter().filter_map(Label::of).collect());
        }
        let items = self.remembered();
        let wanted = items.values().filter(|item| {
            item.lineage == query.lineage
                && query.team.as_ref().is_none_or(|team| item.team == *team)
                && query.before.is_none_or(|before| item.execution < before)
        });
        let mut labels: Vec<Label> = wanted.filter_map(Label::of).collect();
        labels.sort_by_key(|label| std::cmp::Reverse(label.execution));
        labels.truncate(query.limit);
        Ok(labels)
    }

    /// Items that have labels, and that somebody acted on after this place, the earliest first; a page.
    pub(super) fn acted_in_memory(&self, after: (i64, ExecutionId)) -> Vec<ReviewItem> {
        let items = self.remembered();
        let place = |item: &ReviewItem| (item.last_act().unwrap_or(0), item.execution);
        let mut acted: Vec<ReviewItem> =
            items.values().filter(|item| !item.labels.is_empty() && place(item) > after).cloned().collect();
        acted.sort_by_key(place);
        acted.truncate(ITEMS_MAX);
        acted
    }

    /// Takes an erased person's words out of what was said about their executions; counts it.
    pub(super) fn forget_in_memory(&self, executions: &[ExecutionId], erased: &Erased) -> ErasedCounts {
        let mut items = self.remembered();
        let mut counts = ErasedCounts::default();
        for execution in executions {
            let key = (erased.team.as_str().to_owned(), *execution);
            match items.get_mut(&key) {
                Some(item) if item.labels.is_empty() => drop(items.remove(&key)),
                Some(item) => counts.forget(item, Some(erased)),
                None => {}
            }
        }
        counts
    }

    /// See [`Store::labels_mark`].
    pub(super) fn labels_mark_in_memory(&self) -> (i64, u64) {
        let items = self.remembered();
        let labelled = items.values().filter(|item| !item.labels.is_empty());
        let (latest, count) = labelled.fold((0, 0), |(at, n), item| (item.last_act().unwrap_or(0).max(at), n + 1));
        (latest, count)
    }

    /// Takes labels that were given elsewhere, all of them or, on an error, none. How many count: one
    /// that says what is known already, or that no place is left for, does not.
    ///
    /// # Errors
    /// What the database says.
    pub async fn import_labels(&self, labels: Vec<(Record, ReviewLabel)>) -> Result<usize, StoreError> {
        let heard: Vec<(ReviewItem, ReviewLabel)> =
            labels.iter().filter_map(|(record, label)| Some((ReviewItem::of(record)?, label.clone()))).collect();
        self.hear(&heard).await
    }

    /// Feedback as a label, where it is one.
    pub(super) async fn hear_feedback(&self, said: &Feedback, record: &Record) -> Result<(), StoreError> {
        let (Some(item), Some(label)) = (feedback::item(record), feedback::label(said, record)) else { return Ok(()) };
        self.hear(&[(item, label)]).await.map(drop)
    }

    async fn hear(&self, heard: &[(ReviewItem, ReviewLabel)]) -> Result<usize, StoreError> {
        if let Some(disk) = &self.0.disk {
            return disk.control.hear(heard).await;
        }
        let mut items = self.remembered();
        let count = |(item, label): &(ReviewItem, ReviewLabel)| {
            let kept = items.entry(key(item)).or_insert_with(|| item.clone());
            usize::from(!kept.labels.contains(label) && kept.hear(label.clone()))
        };
        Ok(heard.iter().map(count).sum())
    }
}
