//! Answers of earlier runs: a rerun asks only for what changed, and the rest costs nothing.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::Given;

/// The longest file that is read; a longer one is begun anew.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Two runs, or two machines, that mean the same by a key.
const FORMAT: &str = "baton-lab-1";

/// Answers by what they depend on, appended to one file.
pub struct AnswerCache {
    known: HashMap<String, Stored>,
    file: Option<Mutex<File>>,
    now_s: u64,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    key: String,
    at_s: u64,
    /// The checks that it passed or failed.
    checks: String,
    given: Given,
}

/// What an answer depends on.
pub(crate) struct Dependencies<'a> {
    /// The intent's answer hash: prompt, schemas, examples, parameters.
    pub(crate) answer_hash: &'a str,
    /// Who answers.
    pub(crate) models: &'a str,
    /// The input, canonical.
    pub(crate) input: &'a str,
    /// Which of the repetitions.
    pub(crate) repetition: u32,
}

impl Dependencies<'_> {
    pub(crate) fn key(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for part in [FORMAT, self.answer_hash, self.models, self.input, &self.repetition.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

impl AnswerCache {
    /// One that keeps nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { known: HashMap::new(), file: None, now_s: 0 }
    }

    /// The cache in this file, made where it is not there. Answers older than `keep_s` seconds are
    /// forgotten, in the file too.
    ///
    /// # Errors
    /// What the disk says.
    pub fn open(path: &Path, keep_s: u64, now_s: u64) -> io::Result<Self> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let mut known = HashMap::new();
        let mut stale = false;
        match File::open(path) {
            Ok(file) if file.metadata()?.len() > FILE_BYTES_MAX => stale = true,
            Ok(file) => {
                for line in BufReader::new(file).split(b'\n') {
                    let line = line?;
                    // A line that was cut off, or of another version, is no answer.
                    let stored = serde_json::from_slice::<Stored>(&line).ok();
                    match stored.filter(|stored| now_s.saturating_sub(stored.at_s) < keep_s) {
                        Some(stored) => stale |= known.insert(stored.key.clone(), stored).is_some(),
                        None => stale = true,
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        if stale {
            rewrite(path, known.values())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self { known, file: Some(Mutex::new(file)), now_s })
    }

    /// What is known, where it still says what the candidate would: an answer can be checked again,
    /// but that there was none is true only under the same checks.
    pub(crate) fn get(&self, key: &str, checks: &str) -> Option<Given> {
        let stored = self.known.get(key)?;
        (stored.given.output.is_some() || stored.checks == checks).then(|| stored.given.clone())
    }

    /// Keeps what a candidate gave; what failed for other reasons is asked again.
    pub(crate) fn put(&self, key: String, checks: &str, given: &Given) {
        let Some(file) = self.file.as_ref().filter(|_| !given.transient()) else { return };
        let stored = Stored { key, at_s: self.now_s, checks: checks.to_owned(), given: given.clone() };
        let Ok(mut line) = serde_json::to_vec(&stored) else { return };
        line.push(b'\n');
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk costs the next run its saving, and this one nothing.
        let _unsaved = file.write_all(&line);
    }
}

fn rewrite<'a>(path: &Path, kept: impl Iterator<Item = &'a Stored>) -> io::Result<()> {
    let new = PathBuf::from(format!("{}.new", path.display()));
    let mut out = io::BufWriter::new(File::create(&new)?);
    for stored in kept {
        serde_json::to_writer(&mut out, stored)?;
        out.write_all(b"\n")?;
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Refusal;

    fn given(label: Option<&str>, quality: bool) -> Given {
        let refusal = Refusal { code: "x".into(), message: "y".into(), quality };
        Given {
            output: label.map(|label| json!({ "label": label })),
            refusal: label.is_none().then_some(refusal),
            model: None,
            via: None,
            cost: None,
            usage: None,
            ms: 1.0,
            simulated: true,
        }
    }

    #[test]
    fn what_was_given_is_found_again_until_it_is_old() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("lab/a.jsonl");
        let cache = AnswerCache::open(&path, 100, 1000).unwrap();
        cache.put("a".into(), "checks", &given(Some("bug"), false));
        cache.put("none".into(), "checks", &given(None, true));
        cache.put("outage".into(), "checks", &given(None, false));
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"key\":\"cut o").unwrap();

        let cache = AnswerCache::open(&path, 100, 1050).unwrap();
        assert_eq!(cache.get("a", "other checks"), Some(given(Some("bug"), false)));
        assert_eq!(cache.get("none", "checks"), Some(given(None, true)));
        assert_eq!(cache.get("none", "other checks"), None, "other checks may let it pass");
        assert_eq!(cache.get("outage", "checks"), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 2, "the torn line is gone");

        assert_eq!(AnswerCache::open(&path, 100, 1100).unwrap().get("a", "checks"), None);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_key_depends_on_every_part() {
        let base = || Dependencies { answer_hash: "a", models: "m", input: "1", repetition: 0 };
        let keys = [
            base().key(),
            Dependencies { answer_hash: "b", ..base() }.key(),
            Dependencies { models: "m1", input: "", ..base() }.key(),
            Dependencies { input: "2", ..base() }.key(),
            Dependencies { repetition: 1, ..base() }.key(),
        ];
        assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>().len(), keys.len());
    }
}
