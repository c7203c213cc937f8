//! What the check did with true answers and with inventions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::inventions::{Invention, Kind, name};
use super::receipts::{FIELDS, Receipt, occurs, words_occur};
use super::trial::Told;

/// The check that is measured.
const SPAN: &str = "span-in-source";

/// True answers: each receipt once.
#[derive(Default)]
pub(crate) struct Truths {
    pub(crate) answers: usize,
    pub(crate) by_span: usize,
    /// By the first field that the record's reason names.
    pub(crate) by_span_field: [usize; 4],
    pub(crate) by_regex: usize,
    /// By any check.
    pub(crate) blocked: usize,
    /// Of those, the ones where the second candidate was asked.
    pub(crate) fell_back: usize,
    /// True fields that are empty: the span check has nothing to look for.
    pub(crate) empty: [usize; 4],
    /// True fields that do not stand in the text by the oracle: misread, or printed otherwise.
    pub(crate) absent: [usize; 4],
}

impl Truths {
    pub(crate) fn of<'a>(answers: impl Iterator<Item = (&'a Receipt, &'a Told)>) -> Self {
        let mut truths = Self::default();
        for (receipt, told) in answers {
            truths.answers += 1;
            for field in 0..FIELDS.len() {
                let value = receipt.fields.get(field);
                truths.empty[field] += usize::from(value.is_empty());
                truths.absent[field] += usize::from(!value.is_empty() && !occurs(value, &receipt.text));
            }
            if let Some(failed) = told.failed(SPAN) {
                truths.by_span += 1;
                let reason = failed.reason.as_deref().unwrap_or_default();
                let first = FIELDS.iter().position(|field| reason.starts_with(&format!("/{field}:")));
                first.into_iter().for_each(|field| truths.by_span_field[field] += 1);
            }
            truths.by_regex += usize::from(told.failed("regex").is_some());
            truths.blocked += usize::from(told.blocked());
            truths.fell_back += usize::from(told.blocked() && told.fell_back());
        }
        truths
    }

    pub(crate) fn share_by_span(&self) -> f64 {
        share(self.by_span, self.answers).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        let by_field = |counts: [usize; 4]| -> Value { FIELDS.iter().zip(counts).map(|(f, n)| (*f, n)).collect() };
        json!({
            "answers": self.answers,
            "blocked_by_span": self.by_span,
            "blocked_by_span_share": self.share_by_span(),
            "blocked_by_span_first_field": by_field(self.by_span_field),
            "blocked_by_regex": self.by_regex,
            "blocked": self.blocked,
            "fell_back": self.fell_back,
            "empty": by_field(self.empty),
            "not_in_text_by_the_oracle": by_field(self.absent),
        })
    }
}

/// Answers with at least one invented value.
#[derive(Clone, Copy, Default)]
pub(crate) struct Catch {
    pub(crate) inventions: usize,
    /// An invented value does not stand in the text, and the receipt's true answer passes the check: what
    /// is caught is caught for the invention.
    pub(crate) absent: usize,
    pub(crate) caught: usize,
    /// Of those, the ones whose words all stand in the text, in another place.
    pub(crate) elsewhere: usize,
    pub(crate) elsewhere_caught: usize,
    /// As `absent`, where the check blocks the true answer too.
    pub(crate) apart: usize,
    pub(crate) apart_caught: usize,
    /// Every invented value stands somewhere in the text: not what the check is for.
    pub(crate) in_text: usize,
    pub(crate) in_text_caught: usize,
}

impl Catch {
    pub(crate) fn share(&self) -> Option<f64> {
        share(self.caught, self.absent)
    }

    fn add(&mut self, other: &Self) {
        self.inventions += other.inventions;
        self.absent += other.absent;
        self.caught += other.caught;
        self.elsewhere += other.elsewhere;
        self.elsewhere_caught += other.elsewhere_caught;
        self.apart += other.apart;
        self.apart_caught += other.apart_caught;
        self.in_text += other.in_text;
        self.in_text_caught += other.in_text_caught;
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "inventions": self.inventions,
            "not_in_text": self.absent,
            "caught": self.caught,
            "caught_share": self.share(),
            "whose_words_stand_elsewhere": self.elsewhere,
            "whose_words_stand_elsewhere_caught": self.elsewhere_caught,
            "where_the_truth_is_blocked_too": self.apart,
            "where_the_truth_is_blocked_too_caught": self.apart_caught,
            "in_text_by_accident": self.in_text,
            "in_text_blocked": self.in_text_caught,
        })
    }
}

/// Everything that the rounds with inventions showed, in one half.
#[derive(Default)]
pub(crate) struct Inventions {
    pub(crate) answers: usize,
    pub(crate) by_kind: BTreeMap<Invention, Catch>,
    pub(crate) blocked: usize,
    pub(crate) fell_back: usize,
    /// Inventions that were blocked where the true answer passes every check, and of those the ones where the
    /// caller got the truth instead.
    pub(crate) healed: usize,
    pub(crate) healable: usize,
    /// Answers given, and those of them that are not the truth.
    pub(crate) given: usize,
    pub(crate) given_wrong: usize,
    /// The inventions that were not caught, for people.
    pub(crate) missed: Vec<String>,
}

/// What is known of one receipt's answer besides the answer.
pub(crate) struct Known<'a> {
    pub(crate) receipt: &'a Receipt,
    pub(crate) told: &'a Told,
    /// What the model was told to invent; of the simulator's own only that it may.
    pub(crate) invention: Option<Invention>,
    /// What became of this receipt's true answer.
    pub(crate) truth: &'a Told,
}

impl Inventions {
    pub(crate) fn see(&mut self, known: &Known<'_>) {
        let Known { receipt, told, invention, truth } = known;
        self.answers += 1;
        self.blocked += usize::from(told.blocked());
        self.fell_back += usize::from(told.blocked() && told.fell_back());
        self.given += usize::from(told.given.is_some());
        self.given_wrong += usize::from(told.given.as_ref().is_some_and(|given| *given != receipt.fields));
        let invented: Vec<usize> =
            (0..FIELDS.len()).filter(|field| told.said.get(*field) != receipt.fields.get(*field)).collect();
        let (Some(invention), false) = (invention, invented.is_empty()) else { return };
        let caught = told.failed(SPAN).is_some();
        let absent = invented.iter().find(|field| !occurs(told.said.get(**field), &receipt.text));
        let catch = self.by_kind.entry(*invention).or_default();
        catch.inventions += 1;
        let (all, hits) = match absent {
            None => (&mut catch.in_text, &mut catch.in_text_caught),
            Some(_) if truth.failed(SPAN).is_some() => (&mut catch.apart, &mut catch.apart_caught),
            Some(_) => (&mut catch.absent, &mut catch.caught),
        };
        *all += 1;
        *hits += usize::from(caught);
        let counted = absent.filter(|_| truth.failed(SPAN).is_none());
        let new = |field: &usize| {
            !occurs(told.said.get(*field), &receipt.text) && !words_occur(told.said.get(*field), &receipt.text)
        };
        if counted.is_some() && !invented.iter().any(new) {
            catch.elsewhere += 1;
            catch.elsewhere_caught += usize::from(caught);
        }
        if let (Some(field), false) = (counted, caught) {
            let (said, truth) = (told.said.get(*field), receipt.fields.get(*field));
            self.missed.push(format!("{} {}: {said:?} for {truth:?}", receipt.id, name(*invention)));
        }
        if told.blocked() && !truth.blocked() {
            self.healable += 1;
            self.healed += usize::from(told.given.as_ref() == Some(&receipt.fields));
        }
    }

    pub(crate) fn all(&self) -> Catch {
        self.of(|_| true)
    }

    /// Without the simulator's own.
    pub(crate) fn stated(&self) -> Catch {
        self.of(|kind| kind != Kind::Simulator)
    }

    fn of(&self, wanted: impl Fn(Kind) -> bool) -> Catch {
        let mut all = Catch::default();
        self.by_kind.iter().filter(|((kind, _), _)| wanted(*kind)).for_each(|(_, catch)| all.add(catch));
        all
    }

    pub(crate) fn json(&self) -> Value {
        let by_kind: Value = self.by_kind.iter().map(|(kind, catch)| (name(*kind), catch.json())).collect();
        json!({
            "answers": self.answers,
            "all": self.all().json(),
            "stated": self.stated().json(),
            "by_kind": by_kind,
            "blocked": self.blocked,
            "fell_back": self.fell_back,
            "answered_with_the_truth_instead": [self.healed, self.healable],
            "given": self.given,
            "given_wrong": self.given_wrong,
        })
    }
}

pub(crate) fn share(part: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}
