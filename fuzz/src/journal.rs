//! The journal's files: whatever lies in them, what is good is read in order, and work goes on.

use std::path::Path;

use baton_store::{Control, ControlEvent, Entry, Journal, JournalError, JournalOptions, Recovered};

/// The version of frames as the journal writes them.
const VERSION: u8 = 1;

/// Lines that build segment files, so that checksums are right where they should be:
///
/// - `1{…}`, `2{…}`, `3{…}`, `4{…}`: an entry of this kind with this payload, in the next frame;
/// - `>N`: the sequence goes on N further; `v`: the next frame has a version of the future;
/// - `~N`: the bit N of the file is flipped; `-N`: the last N bytes are cut off;
/// - `#`: another segment, with a header; `=`: another one, without;
/// - anything else: these bytes, as they are.
///
/// # Panics
/// Where the journal does not open, loses an entry that is good, gives one twice or out of order,
/// or does not keep what is written behind it.
pub fn journal(script: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let segments = segments(script);
    for (number, segment) in segments.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{:016}.journal", number + 1)), segment).unwrap();
    }
    let (journal, recovered) = open(folder.path());
    let before = entries(&journal);
    if let Ok(before) = &before {
        assert!(before.windows(2).all(|two| two[0].0 < two[1].0), "out of order: {before:?}");
        assert!(before.len() as u64 <= recovered.entries, "{} read, {} found", before.len(), recovered.entries);
    }
    let entry = Entry::Control(Control { at_us: 1, event: ControlEvent::Stopped });
    let written = append(&journal, &entry);
    close(journal);
    let (journal, recovered) = open(folder.path());
    match (before, entries(&journal)) {
        (Ok(mut before), Ok(after)) => {
            if let Some(sequence) = written {
                before.push((sequence, entry));
            }
            assert_eq!(after, before);
        }
        (Err(before), Err(after)) => assert_eq!(before, after),
        (before, after) => panic!("{before:?} became {after:?}"),
    }
    assert!(recovered.damage.iter().all(|damage| damage.bytes > 0));
    close(journal);
}

fn open(folder: &Path) -> (Journal, Recovered) {
    Journal::open(folder, JournalOptions::default()).unwrap()
}

fn entries(journal: &Journal) -> Result<Vec<(u64, Entry)>, JournalError> {
    journal.entries(0)
}

/// Its sequence, once it is acknowledged; `None` where no sequence is left to give.
fn append(journal: &Journal, entry: &Entry) -> Option<u64> {
    let acknowledged = waiting(async { journal.append(entry).ok()?.await.ok() });
    acknowledged.map(|()| journal.state().written)
}

fn close(journal: Journal) {
    waiting(journal.close());
}

fn waiting<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What the script builds.
fn segments(script: &[u8]) -> Vec<Vec<u8>> {
    let (mut segments, mut current) = (Vec::new(), header(1));
    let (mut sequence, mut version) = (1_u64, VERSION);
    for line in script.split(|byte| *byte == b'\n').take(64) {
        let Some((first, rest)) = line.split_first() else { continue };
        let number = std::str::from_utf8(rest).ok().and_then(|text| text.trim().parse::<u64>().ok());
        match (first, number) {
            (kind @ b'1'..=b'4', _) if rest.starts_with(b"{") => {
                current.extend(frame(sequence, kind - b'0', version, rest));
                (sequence, version) = (sequence.saturating_add(1), VERSION);
            }
            (b'>', Some(further)) => sequence = sequence.saturating_add(further),
            (b'v', _) if rest.is_empty() => version = VERSION + 1,
            (b'~', Some(bit)) => {
                let at = usize::try_from(bit / 8).unwrap_or(usize::MAX);
                if let Some(byte) = current.get_mut(at) {
                    *byte ^= 1 << (bit % 8);
                }
            }
            (b'-', Some(bytes)) => {
                current.truncate(current.len().saturating_sub(usize::try_from(bytes).unwrap_or(usize::MAX)));
            }
            (b'#', _) if rest.is_empty() => segments.push(std::mem::replace(&mut current, header(sequence))),
            (b'=', _) if rest.is_empty() => segments.push(std::mem::take(&mut current)),
            _ => current.extend_from_slice(line),
        }
    }
    segments.push(current);
    segments
}

/// Magic, the sequence of the first frame, CRC-32C of both.
fn header(sequence: u64) -> Vec<u8> {
    let mut header = b"BATONJ1\n".to_vec();
    header.extend(sequence.to_le_bytes());
    let sum = crc32c::crc32c(&header);
    header.extend(sum.to_le_bytes());
    header
}

/// Length, CRC-32C, sequence, kind, version, payload; the checksum is over everything but itself.
fn frame(sequence: u64, kind: u8, version: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let mut rest = sequence.to_le_bytes().to_vec();
    rest.extend([kind, version]);
    rest.extend_from_slice(payload);
    let sum = crc32c::crc32c_append(crc32c::crc32c(&length), &rest);
    [&length[..], &sum.to_le_bytes(), &rest].concat()
}
