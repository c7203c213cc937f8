//! What the journal held at each kill: the store would hide a second record of an execution, since
//! it takes the first.

use std::collections::HashMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

/// How every entry about an execution begins.
const BEGINNING: &[u8] = b"{\"execution\":\"";

/// Segments, kept by a second link to each, whatever the server does with its own.
pub(super) struct Journals {
    journal: PathBuf,
    kept: PathBuf,
}

impl Journals {
    pub(super) fn new(house: &Path, folder: &Path) -> Result<Self> {
        let kept = folder.join("segments");
        fs::create_dir(&kept)?;
        Ok(Self { journal: house.join(".baton/journal"), kept })
    }

    /// Keeps what is there now.
    pub(super) fn keep(&self) -> Result<()> {
        for file in fs::read_dir(&self.journal).context("there is no journal")? {
            let file = file?;
            match fs::hard_link(file.path(), self.kept.join(file.file_name())) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Executions with more than one final record; `None` where there is none at all.
    pub(super) fn written_twice(&self) -> Result<Option<usize>> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for file in fs::read_dir(&self.kept)? {
            count(&fs::read(file?.path())?, &mut counts);
        }
        Ok((!counts.is_empty()).then(|| counts.values().filter(|count| **count > 1).count()))
    }
}

/// Counts the final records in a segment: they have a status. A torn one at its end is none.
fn count(segment: &[u8], counts: &mut HashMap<String, usize>) {
    let mut rest = segment;
    while let Some(at) = rest.windows(BEGINNING.len()).position(|window| window == BEGINNING) {
        rest = &rest[at..];
        let mut entries = serde_json::Deserializer::from_slice(rest).into_iter::<Value>();
        let entry = entries.next();
        let read = entries.byte_offset().max(1);
        if let Some(Ok(entry)) = entry
            && entry.get("status").is_some()
            && let Some(id) = entry["execution"].as_str()
        {
            *counts.entry(id.to_owned()).or_default() += 1;
        }
        rest = &rest[read..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_records_are_counted_and_torn_ones_are_not() {
        let entries = [
            "head\0{\"execution\":\"a\",\"team\":\"t\"}",
            "\x01\0{\"execution\":\"a\",\"status\":\"interrupted\"}",
            "\x02\0{\"execution\":\"b\",\"status\":\"failed\",\"input\":\"{\\\"execution\\\":\\\"\"}",
            "\x03\0{\"execution\":\"a\",\"status\":\"succeeded\"}",
            "\x04\0{\"execution\":\"b\",\"status\":\"succ",
        ];
        let mut counts = HashMap::new();
        count(entries.concat().as_bytes(), &mut counts);
        assert_eq!(counts, HashMap::from([("a".into(), 2), ("b".into(), 1)]));
    }
}
