//! QMSum: summaries of what was said in meetings, and errors planted into them.

use std::ops::Range;
use std::path::Path;

use anyhow::Context as _;
use baton_stats::SplitMix64;
use serde::Deserialize;

use super::words::{Word, numbers, sentences, value, words};

/// The kinds of planted errors.
pub(crate) const KINDS: [&str; 7] = [
    "number: another one",
    "number: another of the meeting",
    "date: another one",
    "name: another speaker",
    "name: of another meeting",
    "names exchanged",
    "sentence of another meeting",
];

/// Times that are swapped for others of their class.
const TIMES: [&[&str]; 3] = [
    &[
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
    ],
    &["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    &["hours", "days", "weeks", "months", "years"],
];

/// How often a random error that says what the summary says is drawn again.
const DRAWS: usize = 20;

#[derive(Deserialize)]
pub(crate) struct Meeting {
    split: String,
    pub(crate) source: String,
    pub(crate) query: String,
    pub(crate) summary: String,
    #[serde(skip)]
    pub(crate) stretch: usize,
}

/// Reads `summaries.jsonl` and numbers its stretches. The file does not say which passages are of one meeting,
/// but has meeting after meeting: where the kind of meeting changes (design teams, researchers, parliaments), or
/// its part of the corpus, another one begins. So a stretch holds some meetings, and none is in two.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Meeting>> {
    let lines = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut all: Vec<Meeting> = Vec::new();
    for (n, line) in lines.lines().enumerate() {
        let at = || format!("{} line {}", path.display(), n + 1);
        let mut meeting: Meeting = serde_json::from_str(line).with_context(at)?;
        if let Some(last) = all.last() {
            let begins = last.split != meeting.split || last.kind() != meeting.kind();
            meeting.stretch = last.stretch + usize::from(begins);
        }
        all.push(meeting);
    }
    Ok(all)
}

impl Meeting {
    /// Whose meeting it is, by what its first speaker is called: 0 a design team's (AMI), 1 researchers' (ICSI),
    /// 2 a parliament's.
    fn kind(&self) -> usize {
        let called = self.speakers().first().map_or("", |name| name.split(' ').next().unwrap_or_default());
        match called {
            "Industrial" | "Marketing" | "Project" | "User" => 0,
            "Grad" | "PhD" | "Postdoc" | "Professor" => 1,
            _ => 2,
        }
    }

    /// Who speaks: what stands before the first colon of each line.
    pub(crate) fn speakers(&self) -> Vec<&str> {
        let mut found: Vec<&str> = self.source.lines().filter_map(speaker).collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// The speaker of a line of the transcript.
pub(crate) fn speaker(line: &str) -> Option<&str> {
    let (name, _) = line.split_once(':')?;
    (name.len() <= 40 && name.starts_with(char::is_uppercase)).then(|| name.trim())
}

/// The names of a text: runs of words with a capital that begin no sentence, or that speakers are called.
pub(crate) fn names(text: &str, speakers: &[&str]) -> Vec<Range<usize>> {
    let called: Vec<String> = speakers.iter().flat_map(|name| words(name)).map(|word| word.lower).collect();
    let begins: Vec<usize> = sentences(text)
        .into_iter()
        .filter_map(|range| Some(range.start + text[range.clone()].find(char::is_alphanumeric)?))
        .collect();
    let mut found: Vec<Range<usize>> = Vec::new();
    for word in words(text) {
        let capital = text[word.at.clone()].starts_with(char::is_uppercase) && word.lower != "i";
        let name = capital && (!begins.contains(&word.at.start) || called.contains(&word.lower));
        if !name {
            continue;
        }
        match found.last_mut() {
            Some(last) if text.get(last.end..word.at.start) == Some(" ") => last.end = word.at.end,
            _ => found.push(word.at),
        }
    }
    found
}

/// A summary with one error of this kind; `None` where it has nothing to be wrong about.
pub(crate) fn plant(kind: usize, at: usize, pool: &[Meeting], random: &mut SplitMix64) -> Option<String> {
    let meeting = &pool[at];
    (0..DRAWS).find_map(|_| {
        let other = &pool[pick(pool.len(), random)?];
        let made = match kind {
            0 | 1 => number(meeting, kind == 1, random),
            2 => date(&meeting.summary, random),
            3 => name(meeting, &meeting.speakers().join("\n"), random),
            4 => {
                let speakers = other.speakers();
                let foreign = names(&other.summary, &speakers).into_iter().map(|range| &other.summary[range]);
                name(meeting, &foreign.collect::<Vec<_>>().join("\n"), random)
            }
            5 => exchanged(meeting, random),
            _ => sentence(&meeting.summary, other, random),
        };
        made.filter(|made| *made != meeting.summary && other.source != meeting.source)
    })
}

fn pick(count: usize, random: &mut SplitMix64) -> Option<usize> {
    (count > 0).then(|| random.below(count as u64) as usize)
}

fn with(text: &str, range: Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..range.start], &text[range.end..])
}

/// `one` is a pronoun more often than a number.
fn is_number(word: &Word) -> bool {
    word.lower != "one" && value(&word.lower).is_some()
}

fn number(meeting: &Meeting, of_the_meeting: bool, random: &mut SplitMix64) -> Option<String> {
    let text = &meeting.summary;
    let mut mine = words(text);
    mine.retain(is_number);
    let old = mine.get(pick(mine.len(), random)?)?;
    let new = if of_the_meeting {
        let source = words(&meeting.source);
        let there: Vec<usize> =
            numbers(&source).into_iter().map(|(at, _)| at).filter(|at| is_number(&source[*at])).collect();
        source[there[pick(there.len(), random)?]].lower.clone()
    } else if old.lower.starts_with(|c: char| c.is_ascii_digit()) {
        let digits: Vec<usize> = old.lower.match_indices(|c: char| c.is_ascii_digit()).map(|(at, _)| at).collect();
        let at = digits[pick(digits.len(), random)?];
        with(&old.lower, at..at + 1, &random.below(10).to_string())
    } else {
        const WORDS: [&str; 12] =
            ["two", "three", "four", "five", "six", "seven", "eight", "ten", "twelve", "twenty", "fifty", "hundred"];
        WORDS[pick(WORDS.len(), random)?].to_owned()
    };
    (value(&new) != value(&old.lower)).then(|| with(text, old.at.clone(), &new))
}

fn date(text: &str, random: &mut SplitMix64) -> Option<String> {
    let year = |word: &str| word.len() == 4 && value(word).is_some_and(|year| (1900.0..2100.0).contains(&year));
    let class = |word: &str| {
        TIMES.iter().find(|class| class.iter().any(|time| *time == word || time.trim_end_matches('s') == word))
    };
    let mut mine = words(text);
    mine.retain(|word| year(&word.lower) || class(&word.lower).is_some());
    let old = mine.get(pick(mine.len(), random)?)?;
    let Some(class) = class(&old.lower) else {
        let new = value(&old.lower)? as i64 + [-3, -2, -1, 1, 2, 3][pick(6, random)?];
        return Some(with(text, old.at.clone(), &new.to_string()));
    };
    let mut new = class[pick(class.len(), random)?].to_owned();
    if class[0] == "hours" && !old.lower.ends_with('s') {
        new.pop();
    }
    if text[old.at.clone()].starts_with(char::is_uppercase) {
        new[..1].make_ascii_uppercase();
    }
    (new.to_lowercase() != old.lower).then(|| with(text, old.at.clone(), &new))
}

/// One name of the summary is another one: of those given, one a line.
fn name(meeting: &Meeting, others: &str, random: &mut SplitMix64) -> Option<String> {
    let text = &meeting.summary;
    let mine = names(text, &meeting.speakers());
    let old = mine.get(pick(mine.len(), random)?)?.clone();
    let others: Vec<&str> = others.lines().collect();
    let new = others.get(pick(others.len(), random)?)?;
    apart(&text[old.clone()], new).then(|| with(text, old, new))
}

/// Two names without a word in common.
fn apart(a: &str, b: &str) -> bool {
    let b = words(b);
    words(a).iter().all(|word| b.iter().all(|other| other.lower != word.lower))
}

fn exchanged(meeting: &Meeting, random: &mut SplitMix64) -> Option<String> {
    let text = &meeting.summary;
    let mine = names(text, &meeting.speakers());
    let first = mine.get(pick(mine.len(), random)?)?.clone();
    let second = mine.get(pick(mine.len(), random)?)?.clone();
    let ordered = first.end <= second.start && apart(&text[first.clone()], &text[second.clone()]);
    ordered.then(|| with(&with(text, second.clone(), &text[first.clone()]), first.clone(), &text[second]))
}

fn sentence(text: &str, other: &Meeting, random: &mut SplitMix64) -> Option<String> {
    let donors = sentences(&other.summary);
    let new = other.summary[donors.get(pick(donors.len(), random)?)?.clone()].trim();
    let mine = sentences(text);
    if mine.len() < 2 {
        return Some(format!("{} {new}", text.trim_end()));
    }
    Some(with(text, mine.get(pick(mine.len(), random)?)?.clone(), &format!(" {new}")).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> Vec<Meeting> {
        let meeting = |source: &str, summary: &str| Meeting {
            split: "val".into(),
            source: source.into(),
            query: "What of it?".into(),
            summary: summary.into(),
            stretch: 0,
        };
        vec![
            meeting(
                "Project Manager: It costs twelve Euros in May 2018 , for 40 shops .\nMarketing: No .",
                "Project Manager said it cost 12 in 2018. Marketing disagreed with Project Manager in Oslo.",
            ),
            meeting("Kirsty Williams AM: The Bill .", "In Cardiff the Bill was read. They liked it."),
        ]
    }

    #[test]
    fn each_kind_changes_what_it_says_and_the_seed_repeats_it() {
        let pool = pool();
        for (kind, name) in KINDS.iter().enumerate() {
            let made = |seed| plant(kind, 0, &pool, &mut SplitMix64::new(seed));
            let said = made(1).unwrap_or_else(|| panic!("no {name}"));
            assert_ne!(said, pool[0].summary, "{name}");
            assert_eq!(Some(said), made(1));
        }
        assert_eq!(plant(0, 1, &pool, &mut SplitMix64::new(1)), None, "it has no number");
    }

    #[test]
    fn names_are_found_at_the_start_of_sentences_where_speakers_are_called_so() {
        let meeting = &pool()[0];
        let found: Vec<&str> =
            names(&meeting.summary, &meeting.speakers()).into_iter().map(|range| &meeting.summary[range]).collect();
        assert_eq!(found, ["Project Manager", "Marketing", "Project Manager", "Oslo"]);
    }
}
