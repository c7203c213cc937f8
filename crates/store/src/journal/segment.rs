//! Segment files: created at each start and when one is full, scanned at recovery.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{JournalError, frame};

/// The first bytes of a segment: what it is, and in which layout.
const MAGIC: &[u8; 8] = b"BATONJ1\n";

/// Bytes before the first frame: magic, the sequence of the first frame, CRC-32C of both.
pub(crate) const HEADER: u64 = 8 + 8 + 4;

/// What a segment is written to. A trait, so that tests can fill the disk.
pub(crate) trait Medium: Send + Sync {
    fn append(&self, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
}

impl Medium for File {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self;
        file.write_all(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

/// Makes the file of a new segment.
pub(crate) type Create = Arc<dyn Fn(&Path) -> io::Result<Arc<dyn Medium>> + Send + Sync>;

/// A file in append mode: after a truncation, writing goes on at the new end.
pub(crate) fn create_file(path: &Path) -> io::Result<Arc<dyn Medium>> {
    Ok(Arc::new(OpenOptions::new().append(true).create_new(true).open(path)?))
}

/// What is known of a segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    /// Where its last good frame ends: readers stop here.
    pub(crate) length: u64,
    /// Bytes of the file, a torn tail included.
    pub(crate) size: u64,
    /// The sequence of its last good frame; 0 if it has none.
    pub(crate) last: u64,
    /// Whether there is damage before its last good frame.
    pub(crate) damaged: bool,
}

/// Bytes of a segment that should be frames and are not, with good frames behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub segment: PathBuf,
    /// Where the damage starts.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// The most entries that can have been lost, by their sequences.
    pub entries_max: u64,
}

/// The file of the segment with this number.
pub(crate) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:016}.journal"))
}

/// The numbers of the segments in a folder, ascending.
pub(crate) fn list(dir: &Path) -> Result<Vec<u64>, JournalError> {
    let failed = |error| JournalError::io("read the folder", dir, &error);
    let mut numbers = Vec::new();
    for item in std::fs::read_dir(dir).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".journal")).map(str::parse::<u64>);
        numbers.extend(number.and_then(Result::ok));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Creates segment `number`, whose first frame will have sequence `first`. It is on disk, with its
/// folder's entry, before anything older can be released: the sequence never starts over.
pub(crate) fn create(dir: &Path, number: u64, first: u64, create: &Create) -> Result<Arc<dyn Medium>, JournalError> {
    let path = path(dir, number);
    let made = create(&path).and_then(|medium| {
        medium.append(&header(first))?;
        medium.sync()?;
        File::open(dir)?.sync_all()?;
        Ok(medium)
    });
    made.map_err(|error| {
        // Best effort: an empty segment that stays behind is harmless.
        let _ = std::fs::remove_file(&path);
        JournalError::io("create", &path, &error)
    })
}

pub(crate) fn header(first: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.extend_from_slice(&first.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// The sequence that a segment's header promises for its first frame.
fn promised(bytes: &[u8]) -> Option<u64> {
    let first = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    (bytes.starts_with(&header(first)) && first < frame::SEQUENCE_MAX).then_some(first)
}

/// What a scan of one segment found.
pub(crate) struct Scan {
    pub(crate) segment: Segment,
    pub(crate) damage: Vec<Damage>,
    /// Good frames with a sequence over the one asked for.
    pub(crate) entries: u64,
    /// The sequence before its first frame, as its header promises.
    pub(crate) before: u64,
}

/// Reads a whole segment and checks every frame.
pub(crate) fn scan(path: &Path, after: u64) -> Result<Scan, JournalError> {
    let bytes = std::fs::read(path).map_err(|error| JournalError::io("read", path, &error))?;
    let first = promised(&bytes);
    let mut found = Scan {
        segment: Segment { length: HEADER, size: bytes.len() as u64, last: 0, damaged: false },
        damage: Vec::new(),
        entries: 0,
        before: first.map_or(0, |first| first.saturating_sub(1)),
    };
    let mut at = if first.is_some() { HEADER as usize } else { 0 };
    let mut last = found.before;
    loop {
        if let Some(frame) = frame::read(&bytes[at..]) {
            at += frame.size();
            last = frame.sequence;
            found.entries += u64::from(last > after);
            (found.segment.last, found.segment.length) = (last, at as u64);
            continue;
        }
        // A bad frame: the torn tail, unless good frames follow.
        let Some(skipped) = frame::find(&bytes[at..], last) else { return Ok(found) };
        let next = frame::read(&bytes[at + skipped..]).map_or(last, |frame| frame.sequence);
        found.segment.damaged = true;
        found.damage.push(Damage {
            segment: path.to_owned(),
            offset: at as u64,
            bytes: skipped as u64,
            entries_max: next.saturating_sub(last).saturating_sub(1),
        });
        at += skipped;
    }
}
