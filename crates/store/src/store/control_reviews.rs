//! Reviews in `control.db`.

use baton_core::{ExecutionId, ReviewItem, ReviewLabel, ReviewState, TeamId};
use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite, Transaction};

use super::control::Control;
use super::erase::ErasedCounts;
use super::prune::Old;
use crate::reviews::{Change, ITEMS_MAX, rank};
use crate::{Erased, LabelQuery, ReviewError, ReviewFilter, Reviewer, StoreError};

/// Items that are looked at together.
const PAGE: usize = 200;

/// For the column `state`.
fn number(state: ReviewState) -> i64 {
    match state {
        ReviewState::Done => 0,
        ReviewState::Open => 1,
        ReviewState::Second => 2,
        ReviewState::Disputed => 3,
    }
}

fn read(json: &str) -> Result<ReviewItem, StoreError> {
    serde_json::from_str(json).map_err(StoreError::corrupt("a review item"))
}

fn read_all(rows: &[String]) -> Result<Vec<ReviewItem>, StoreError> {
    rows.iter().map(|json| read(json)).collect()
}

async fn find(on: &mut SqliteConnection, team: &TeamId, id: ExecutionId) -> Result<Option<ReviewItem>, StoreError> {
    let json: Option<String> = sqlx::query_scalar("SELECT item FROM reviews WHERE team = ? AND execution = ?")
        .bind(team.as_str())
        .bind(id.as_bytes().as_slice())
        .fetch_optional(on)
        .await
        .map_err(StoreError::database("look up a review item"))?;
    json.map(|json| read(&json)).transpose()
}

/// Writes an item, new or changed.
async fn write(on: &mut SqliteConnection, item: &ReviewItem) -> Result<(), StoreError> {
    let json = serde_json::to_string(item).map_err(StoreError::corrupt("a review item"))?;
    let labels = i64::try_from(item.labels.len()).unwrap_or(i64::MAX);
    let held_until_us = item.holds.iter().map(|(_, until_us)| *until_us).max().unwrap_or(0);
    sqlx::query("INSERT OR REPLACE INTO reviews VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(item.execution.as_bytes().as_slice())
        .bind(item.team.as_str())
        .bind(item.intent.as_str())
        .bind(&item.lineage)
        .bind(number(item.state()))
        .bind(labels)
        .bind(held_until_us)
        .bind(item.last_act().unwrap_or(0))
        .bind(json)
        .execute(on)
        .await
        .map(drop)
        .map_err(StoreError::database("keep a review item"))
}

impl Control {
    /// Nobody else writes until it ends.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pool().begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::database("change reviews"))
    }

    /// Takes over what was drawn; what is there already stays as it is.
    pub(crate) async fn add_reviews(&self, items: &[ReviewItem]) -> Result<(), StoreError> {
        if items.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin().await?;
        for item in items {
            if find(&mut transaction, &item.team, item.execution).await?.is_none() {
                write(&mut transaction, item).await?;
            }
        }
        transaction.commit().await.map_err(StoreError::database("keep review items"))
    }

    pub(crate) async fn review(&self, team: &TeamId, id: ExecutionId) -> Result<Option<ReviewItem>, StoreError> {
        let mut on = self.pool().acquire().await.map_err(StoreError::database("look up a review item"))?;
        find(&mut on, team, id).await
    }

    /// Items that have labels, and that somebody acted on after this place, the earliest first; a page.
    pub(crate) async fn acted_after(&self, (at_us, id): (i64, ExecutionId)) -> Result<Vec<ReviewItem>, StoreError> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT item FROM reviews WHERE labels > 0 AND (acted_us, execution) > (?, ?)
             ORDER BY acted_us, execution LIMIT ?",
        )
        .bind(at_us)
        .bind(id.as_bytes().as_slice())
        .bind(i64::try_from(ITEMS_MAX).unwrap_or(i64::MAX))
        .fetch_all(self.pool())
        .await
        .map_err(StoreError::database("look for new labels"))?;
        read_all(&rows)
    }

    pub(crate) async fn change_review(
        &self,
        team: &TeamId,
        id: ExecutionId,
        change: &Change<'_>,
    ) -> Result<ReviewItem, ReviewError> {
        let mut transaction = self.begin().await?;
        let mut item = find(&mut transaction, team, id).await?.ok_or(ReviewError::Unknown(id))?;
        change(&mut item)?;
        write(&mut transaction, &item).await?;
        transaction.commit().await.map_err(StoreError::database("change a review item"))?;
        Ok(item)
    }

    /// Changes the first of the waiting items that is theirs.
    pub(crate) async fn change_first(
        &self,
        reviewer: &Reviewer,
        ours: &(dyn Fn(&ReviewItem) -> bool + Send + Sync),
        change: &Change<'_>,
        (now_us, first): (i64, Option<ExecutionId>),
    ) -> Result<Option<ReviewItem>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut item = match held(&mut transaction, reviewer, ours, now_us).await? {
            Some(item) => item,
            None => match waiting(&mut transaction, reviewer, ours, first).await? {
                Some(item) => item,
                None => return Ok(None),
            },
        };
        if change(&mut item).is_err() {
            // `ours` has asked the same: within one transaction nobody is quicker.
            return Ok(None);
        }
        write(&mut transaction, &item).await?;
        transaction.commit().await.map_err(StoreError::database("take a review item"))?;
        Ok(Some(item))
    }

    /// The item that this reviewer last did something to that can be taken back.
    pub(crate) async fn last_acted(&self, reviewer: &Reviewer) -> Result<Option<ExecutionId>, StoreError> {
        let mut best: Option<(i64, ExecutionId)> = None;
        let mut before = (i64::MAX, Vec::new());
        loop {
            let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
                "SELECT acted_us, execution, item FROM reviews WHERE team = ? AND acted_us > 0
                 AND (acted_us < ? OR (acted_us = ? AND execution > ?)) ORDER BY acted_us DESC, execution LIMIT ?",
            )
            .bind(reviewer.team.as_str())
            .bind(before.0)
            .bind(before.0)
            .bind(&before.1)
            .bind(limit(PAGE))
            .fetch_all(self.pool())
            .await
            .map_err(StoreError::database("look for the last label"))?;
            for (acted_us, _, json) in &rows {
                // What was acted on before that was acted on before that.
                if best.is_some_and(|(at_us, _)| at_us > *acted_us) {
                    return Ok(best.map(|(_, id)| id));
                }
                let item = read(json)?;
                let act = item.last_act_of(&reviewer.name).filter(|_| reviewer.sees(&item));
                best = best.max(act.map(|at_us| (at_us, item.execution)));
            }
            match rows.into_iter().last() {
                Some((acted_us, execution, _)) => before = (acted_us, execution),
                None => return Ok(best.map(|(_, id)| id)),
            }
        }
    }

    pub(crate) async fn reviews(
        &self,
        team: &TeamId,
        filter: &ReviewFilter,
        takes: &(dyn Fn(&ReviewItem) -> bool + Send + Sync),
        count: usize,
    ) -> Result<Vec<ReviewItem>, StoreError> {
        let mut found = Vec::new();
        let mut before = filter.before;
        while found.len() < count {
            let mut query = QueryBuilder::new("SELECT item FROM reviews WHERE team = ");
            query.push_bind(team.as_str());
            if let Some(intent) = &filter.intent {
                query.push(" AND intent = ").push_bind(intent.as_str());
            }
            if let Some(state) = filter.state {
                query.push(" AND state = ").push_bind(number(state));
            }
            if let Some(before) = before {
                query.push(" AND execution < ").push_bind(before.as_bytes().to_vec());
            }
            query.push(" ORDER BY execution DESC LIMIT ").push_bind(limit(PAGE.max(count.min(ITEMS_MAX))));
            let rows: Vec<String> = query
                .build_query_scalar()
                .fetch_all(self.pool())
                .await
                .map_err(StoreError::database("list reviews"))?;
            let items = read_all(&rows)?;
            let Some(last) = items.last() else { break };
            before = Some(last.execution);
            found.extend(items.into_iter().filter(|item| takes(item)));
        }
        found.truncate(count);
        Ok(found)
    }

    pub(crate) async fn labelled(&self, asked: &LabelQuery) -> Result<Vec<ReviewItem>, StoreError> {
        let mut query = QueryBuilder::new("SELECT item FROM reviews WHERE labels > 0 AND lineage = ");
        query.push_bind(&asked.lineage);
        if let Some(team) = &asked.team {
            query.push(" AND team = ").push_bind(team.as_str());
        }
        if let Some(before) = asked.before {
            query.push(" AND execution < ").push_bind(before.as_bytes().to_vec());
        }
        query.push(" ORDER BY execution DESC LIMIT ").push_bind(limit(asked.limit));
        let rows: Vec<String> =
            query.build_query_scalar().fetch_all(self.pool()).await.map_err(StoreError::database("read labels"))?;
        read_all(&rows)
    }

    /// Adds labels to their items, which are made where they are not there yet. How many count.
    pub(crate) async fn hear(&self, heard: &[(ReviewItem, ReviewLabel)]) -> Result<usize, StoreError> {
        let mut transaction = self.begin().await?;
        let mut count = 0;
        for (item, label) in heard {
            let kept = find(&mut transaction, &item.team, item.execution).await?;
            let mut kept = kept.unwrap_or_else(|| item.clone());
            if !kept.labels.contains(label) && kept.hear(label.clone()) {
                count += 1;
                write(&mut transaction, &kept).await?;
            }
        }
        transaction.commit().await.map_err(StoreError::database("keep labels"))?;
        Ok(count)
    }

    /// Lets go what people wrote about these executions, and items that nobody can label any more; counts it.
    pub(super) async fn forget_reviews(
        on: &mut SqliteConnection,
        executions: &[Old],
        (erased, counts): (Option<&Erased>, &mut ErasedCounts),
    ) -> Result<(), StoreError> {
        let failed = StoreError::database("delete what reviewers wrote");
        for (_, id) in executions {
            let rows: Vec<String> = sqlx::query_scalar("SELECT item FROM reviews WHERE execution = ?")
                .bind(id)
                .fetch_all(&mut *on)
                .await
                .map_err(&failed)?;
            for json in rows {
                let mut item = read(&json)?;
                if item.labels.is_empty() {
                    let delete = sqlx::query("DELETE FROM reviews WHERE team = ? AND execution = ?");
                    delete.bind(item.team.as_str()).bind(id).execute(&mut *on).await.map_err(&failed)?;
                } else {
                    counts.forget(&mut item, erased);
                    write(on, &item).await?;
                }
            }
        }
        Ok(())
    }
}

fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What this reviewer has already.
async fn held(
    on: &mut SqliteConnection,
    reviewer: &Reviewer,
    ours: &(dyn Fn(&ReviewItem) -> bool + Send + Sync),
    now_us: i64,
) -> Result<Option<ReviewItem>, StoreError> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT item FROM reviews WHERE team = ? AND state > 0 AND held_until_us > ?")
            .bind(reviewer.team.as_str())
            .bind(now_us)
            .fetch_all(on)
            .await
            .map_err(StoreError::database("look for held reviews"))?;
    let held = read_all(&rows)?.into_iter().filter(|item| item.is_held_by(&reviewer.name, now_us) && ours(item));
    Ok(held.min_by_key(|item| rank(item, &reviewer.name, (now_us, None))))
}

/// The first that waits for them: disputes before second labels before what came after `first` before the
/// rest, the oldest first.
async fn waiting(
    on: &mut SqliteConnection,
    reviewer: &Reviewer,
    ours: &(dyn Fn(&ReviewItem) -> bool + Send + Sync),
    first: Option<ExecutionId>,
) -> Result<Option<ReviewItem>, StoreError> {
    let recent = first.map(|first| (ReviewState::Open, first.as_bytes().to_vec()));
    let states = [ReviewState::Disputed, ReviewState::Second].map(|state| (state, Vec::new()));
    for (state, mut after) in states.into_iter().chain(recent).chain([(ReviewState::Open, Vec::new())]) {
        loop {
            let rows: Vec<String> = sqlx::query_scalar(
                "SELECT item FROM reviews WHERE team = ? AND state = ? AND state > 0 AND execution > ?
                 ORDER BY execution LIMIT ?",
            )
            .bind(reviewer.team.as_str())
            .bind(number(state))
            .bind(&after)
            .bind(limit(PAGE))
            .fetch_all(&mut *on)
            .await
            .map_err(StoreError::database("look for the next review"))?;
            let items = read_all(&rows)?;
            let Some(last) = items.last() else { break };
            after = last.execution.as_bytes().to_vec();
            if let Some(item) = items.into_iter().find(|item| ours(item)) {
                return Ok(Some(item));
            }
        }
    }
    Ok(None)
}
