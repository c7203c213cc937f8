//! What is known of a summary without a model: baton-eval's checks, and features of the measure's own.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use baton_eval::Checks;
use serde_json::json;

use super::meetings::{Meeting, names, speaker};
use super::scores;
use super::words::{Word, numbers, sentences, stem, words};

/// The checks of the intent, in order.
pub(crate) const CHECKS: [&str; 3] =
    [r#"type = "numbers-in-source""#, r#"type = "names-in-source""#, r#"type = "repetition", max = 0.3"#];

/// The signals, the checks first.
pub(crate) const SIGNALS: [&str; 16] = [
    "numbers-in-source",
    "names-in-source",
    "repetition",
    "length ratio",
    "numbers in source, in words too",
    "number: place in the source",
    "times in source",
    "names in source, all words",
    "name: place in the source",
    "name: place, mean",
    "names of the query in the answer",
    "first name is one of the query",
    "words in source",
    "words in source, worst sentence",
    "pairs of words in source",
    "worst sentence near in the source",
];

/// A claim's surroundings in the source: so many words before and behind.
const NEAR: usize = 30;

/// How rare stems are in the sources of the other folds.
pub(crate) struct Rarity {
    sources: f64,
    seen_in: HashMap<String, f64>,
}

impl Rarity {
    pub(crate) fn of<'a>(meetings: impl Iterator<Item = &'a Meeting>) -> Self {
        let (mut sources, mut seen_in) = (0.0, HashMap::new());
        for meeting in meetings {
            sources += 1.0;
            let words = words(&meeting.source);
            let stems: HashSet<&str> = words.iter().map(|word| stem(&word.lower)).collect();
            stems.into_iter().for_each(|stem| *seen_in.entry(stem.to_owned()).or_insert(0.0) += 1.0);
        }
        Self { sources, seen_in }
    }

    /// Inverse document frequency (Spärck Jones 1972), smoothed.
    fn weight(&self, stem: &str) -> f64 {
        ((self.sources + 1.0) / (self.seen_in.get(stem).copied().unwrap_or(0.0) + 1.0)).ln()
    }
}

/// The source of a summary, read once.
pub(crate) struct Source<'a> {
    meeting: &'a Meeting,
    rarity: &'a Rarity,
    words: Vec<Word>,
    /// The places of each word, and of each stem.
    places: HashMap<String, Vec<usize>>,
    stems: HashSet<String>,
    pairs: HashSet<(String, String)>,
    numbers: Vec<(usize, f64)>,
    query: Vec<Word>,
    /// What the query names.
    asked: Vec<String>,
    speakers: Vec<&'a str>,
}

impl<'a> Source<'a> {
    pub(crate) fn of(meeting: &'a Meeting, rarity: &'a Rarity) -> Self {
        let words = words(&meeting.source);
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        // A speaker's name stands at each word of what they say.
        let mut lines = meeting.source.lines().scan(0, |from, line| {
            let start = *from;
            *from += line.len() + 1;
            Some((start, line))
        });
        let mut turn: Vec<String> = Vec::new();
        let mut next = lines.next();
        for (at, word) in words.iter().enumerate() {
            while let Some((start, line)) = next
                && word.at.start >= start
            {
                if let Some(name) = speaker(line) {
                    turn = self::words(name).into_iter().map(|word| word.lower).collect();
                }
                next = lines.next();
            }
            places.entry(word.lower.clone()).or_default().push(at);
            turn.iter().for_each(|name| places.entry(name.clone()).or_default().push(at));
        }
        for (at, name) in spelled(&words) {
            places.entry(name).or_default().push(at);
        }
        let query = self::words(&meeting.query);
        let speakers = meeting.speakers();
        let asked = names(&meeting.query, &speakers).into_iter().flat_map(|name| self::words(&meeting.query[name]));
        let asked = asked.map(|word| word.lower).collect();
        let stems = words.iter().chain(&query).map(|word| stem(&word.lower).to_owned()).collect();
        let of = |pair: &[Word]| (stem(&pair[0].lower).to_owned(), stem(&pair[1].lower).to_owned());
        let pairs = words.windows(2).chain(query.windows(2)).map(of).collect();
        let numbers = numbers(&words);
        Self { meeting, rarity, places, stems, pairs, numbers, query, asked, speakers, words }
    }

    /// Each signal of one summary.
    pub(crate) fn signals(&self, checks: &Checks, summary: &str) -> Vec<f64> {
        let input = json!({ "text": self.meeting.source, "query": self.meeting.query });
        let mut signals = scores(checks, &json!({ "text": summary }), &input, CHECKS.len());
        let words = words(summary);
        signals.push((words.len() as f64 / self.words.len() as f64).ln());
        let sentences: Vec<Sentence<'_>> =
            sentences(summary).into_iter().map(|range| Sentence::of(range, &words)).collect();
        signals.extend(self.of_numbers(&words, &sentences));
        signals.push(self.of_times(&words));
        signals.extend(self.of_names(summary, &words, &sentences));
        signals.extend(self.of_words(&words, &sentences));
        signals.push(sentences.iter().map(|one| self.nearest(one)).fold(1.0, f64::min));
        signals
    }

    /// The share of its numbers that the source has, and how well the worst stands among the same words.
    fn of_numbers(&self, words: &[Word], sentences: &[Sentence<'_>]) -> [f64; 2] {
        let claims: Vec<(usize, f64)> =
            numbers(words).into_iter().filter(|(at, _)| words[*at].lower != "one").collect();
        let places = |value: f64| -> Vec<usize> {
            self.numbers.iter().filter(|(_, there)| (there - value).abs() < 1e-9).map(|(at, _)| *at).collect()
        };
        let asked = numbers(&self.query);
        let said =
            |value: f64| !places(value).is_empty() || asked.iter().any(|(_, there)| (there - value).abs() < 1e-9);
        let there = claims.iter().filter(|(_, value)| said(*value)).count();
        let placed = claims.iter().map(|(at, value)| self.placed(*at, &places(*value), words, sentences));
        [share(there, claims.len()), placed.fold(1.0, f64::min)]
    }

    fn of_times(&self, words: &[Word]) -> f64 {
        const TIMES: [&str; 16] = [
            "january",
            "february",
            "march",
            "april",
            "june",
            "july",
            "august",
            "september",
            "october",
            "november",
            "december",
            "hour",
            "day",
            "week",
            "month",
            "year",
        ];
        let time = |word: &&Word| {
            let lower = word.lower.trim_end_matches('s');
            TIMES.contains(&lower) || (lower.len() > 5 && lower.ends_with("day"))
        };
        let claims: Vec<&Word> = words.iter().filter(time).collect();
        let there = claims.iter().filter(|word| self.stems.contains(stem(word.lower.trim_end_matches('s')))).count();
        share(there, claims.len())
    }

    /// The share of its names' words that the source has; how well the worst of them stands among the same
    /// words, and their mean.
    fn of_names(&self, summary: &str, words: &[Word], sentences: &[Sentence<'_>]) -> [f64; 5] {
        let names = names(summary, &self.speakers);
        let claims: Vec<usize> = (0..words.len())
            .filter(|at| names.iter().any(|name| name.start <= words[*at].at.start && words[*at].at.end <= name.end))
            .filter(|at| words[*at].lower != "s")
            .collect();
        let none = Vec::new();
        let places = |at: &usize| self.places.get(&words[*at].lower).unwrap_or(&none);
        let asks = |at: &usize| self.asked.contains(&words[*at].lower);
        let there = claims.iter().filter(|at| !places(at).is_empty() || asks(at)).count();
        let answered = |name: &&String| words.iter().any(|word| word.lower == **name);
        let answered = share(self.asked.iter().filter(answered).count(), self.asked.len());
        let first = if self.asked.is_empty() { 1.0 } else { claims.first().map_or(f64::NAN, |at| f64::from(asks(at))) };
        let placed: Vec<f64> = claims.iter().map(|at| self.placed(*at, places(at), words, sentences)).collect();
        let mean = if placed.is_empty() { 1.0 } else { placed.iter().sum::<f64>() / placed.len() as f64 };
        [share(there, claims.len()), placed.into_iter().fold(1.0, f64::min), mean, answered, first]
    }

    /// How much of a claim's sentence stands near the claim in the source, as a share of how much stands near
    /// anything there.
    fn placed(&self, at: usize, places: &[usize], words: &[Word], sentences: &[Sentence<'_>]) -> f64 {
        let Some(sentence) = sentences.iter().find(|one| one.range.contains(&words[at].at.start)) else { return 1.0 };
        let mine = stem(&words[at].lower);
        let around = self.around(sentence.stems.iter().copied().filter(|stem| *stem != mine));
        let best = around.iter().copied().fold(0.0, f64::max);
        let here = places.iter().map(|place| around[*place]).fold(0.0, f64::max);
        if places.is_empty() {
            0.0
        } else if best > 0.0 {
            here / best
        } else {
            1.0
        }
    }

    /// For each word of the source, how much the stems that stand near it weigh together.
    fn around<'s>(&self, stems: impl Iterator<Item = &'s str>) -> Vec<f64> {
        let mut change = vec![0.0; self.words.len() + 1];
        let stems: HashMap<&str, f64> = stems.map(|stem| (stem, self.rarity.weight(stem))).collect();
        let mut free: HashMap<&str, usize> = HashMap::new();
        for (at, word) in self.words.iter().enumerate() {
            let stem = stem(&word.lower);
            let Some(weight) = stems.get(stem) else { continue };
            // A stem near by twice counts once.
            let free = free.entry(stem).or_insert(0);
            let from = at.saturating_sub(NEAR).max(*free);
            let upto = (at + NEAR + 1).min(self.words.len());
            change[from] += weight;
            change[upto] -= weight;
            *free = upto;
        }
        let mut sum = 0.0;
        change.pop();
        change.iter_mut().for_each(|cell| {
            sum += *cell;
            *cell = sum;
        });
        change
    }

    /// The weight of words that the source has, of all and in the worst sentence, and of pairs of words.
    fn of_words(&self, words: &[Word], sentences: &[Sentence<'_>]) -> [f64; 3] {
        let all = |stems: &[&str]| {
            let weight = |of: &dyn Fn(&&&str) -> bool| -> f64 {
                stems.iter().filter(of).map(|stem| self.rarity.weight(stem)).sum()
            };
            let whole = weight(&|_| true);
            if whole > 0.0 { weight(&|stem| self.stems.contains(**stem)) / whole } else { 1.0 }
        };
        let stems: Vec<&str> = words.iter().map(|word| stem(&word.lower)).collect();
        let has = |pair: &&[&str]| self.pairs.contains(&(pair[0].to_owned(), pair[1].to_owned()));
        let pairs = share(stems.windows(2).filter(has).count(), stems.len().saturating_sub(1));
        [all(&stems), sentences.iter().map(|one| all(&one.stems)).fold(1.0, f64::min), pairs]
    }

    /// How much of a sentence stands near one place of the source.
    fn nearest(&self, sentence: &Sentence<'_>) -> f64 {
        let stems: HashSet<&str> = sentence.stems.iter().copied().collect();
        let whole: f64 = stems.iter().map(|stem| self.rarity.weight(stem)).sum();
        let best = self.around(stems.iter().copied()).into_iter().fold(0.0, f64::max);
        if whole > 0.0 { best / whole } else { 1.0 }
    }
}

/// One sentence of a summary.
struct Sentence<'a> {
    range: Range<usize>,
    stems: Vec<&'a str>,
}

impl<'a> Sentence<'a> {
    fn of(range: Range<usize>, words: &'a [Word]) -> Self {
        let mine = words.iter().filter(|word| range.contains(&word.at.start));
        let stems = mine.map(|word| stem(&word.lower)).collect();
        Self { range, stems }
    }
}

/// Names that are spelled, `L_C_D_`, with the word where each begins.
fn spelled(words: &[Word]) -> Vec<(usize, String)> {
    let mut found: Vec<(usize, String)> = Vec::new();
    let mut last = None;
    for (at, word) in words.iter().enumerate().filter(|(_, word)| word.lower.len() == 1) {
        match found.last_mut() {
            Some((_, name)) if last == Some(at.wrapping_sub(1)) => name.push_str(&word.lower),
            _ => found.push((at, word.lower.clone())),
        }
        last = Some(at);
    }
    found.retain(|(_, name)| name.len() > 1);
    found
}

/// A share, 1 where there is nothing to be a share of.
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}
