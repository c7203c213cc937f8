//! Reads entries back, in order, while the writer goes on: for ingestion, and for a record that is
//! not ingested yet.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;

use super::{JournalError, frame, segment, shared::Shared};
use crate::Entry;
use crate::digest::Digest;

/// A frame that outlives the buffer it was read into.
#[derive(Clone, Debug)]
pub(crate) struct Raw {
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) payload: Bytes,
}

impl Raw {
    pub(crate) fn entry(&self) -> Result<Entry, JournalError> {
        Entry::decode(self.kind, self.version, &self.payload)
            .map_err(|reason| JournalError::Unreadable { sequence: self.sequence, reason })
    }
}

/// A cursor on the acknowledged entries.
#[derive(Clone)]
pub(crate) struct Reader {
    shared: Arc<Shared>,
    number: u64,
    offset: u64,
    after: u64,
}

impl Reader {
    /// Starts at the first entry with a sequence over `after`.
    pub(crate) fn new(shared: Arc<Shared>, after: u64) -> Self {
        Self { shared, number: 0, offset: segment::HEADER, after }
    }

    /// The number of the segment that is read next; every older one has been read to its end.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The sequence of the last entry that was read.
    pub(crate) fn after(&self) -> u64 {
        self.after
    }

    /// The sequence of the last acknowledged entry, and its changes.
    pub(crate) fn written(&self) -> watch::Receiver<u64> {
        self.shared.written.subscribe()
    }

    /// The digests of entries written since the last time, in order; not of all.
    pub(crate) fn take_digests(&self) -> VecDeque<(u64, Box<Digest>)> {
        self.shared.take_digests()
    }

    /// Everything up to `sequence` is durable elsewhere; segments that hold nothing else go.
    pub(crate) fn release(&self, sequence: u64) -> Result<(), JournalError> {
        self.shared.release(sequence)
    }

    /// The next entries: about `bytes` of them, all from one segment; none where the reader has
    /// caught up with the writer.
    pub(crate) fn next(&mut self, bytes: usize) -> Result<Vec<Raw>, JournalError> {
        while let Some((number, length, current)) = self.shared.segment_from(self.number) {
            if number != self.number {
                (self.number, self.offset) = (number, segment::HEADER);
            }
            if self.offset < length {
                let frames = self.read(length, bytes)?;
                if !frames.is_empty() {
                    return Ok(frames);
                }
            } else if current {
                break;
            } else {
                (self.number, self.offset) = (number + 1, segment::HEADER);
            }
        }
        Ok(Vec::new())
    }

    /// Frames of this segment; advances even where all of them are known already.
    fn read(&mut self, length: u64, bytes: usize) -> Result<Vec<Raw>, JournalError> {
        let rest = usize::try_from(length - self.offset).unwrap_or(usize::MAX);
        let mut chunk = self.chunk(rest.min(bytes))?;
        if frame::read(&chunk).is_none() && chunk.len() < rest {
            chunk = self.chunk(rest)?;
        }
        let mut frames = Vec::new();
        let mut at = 0;
        while let Some(frame) = frame::read(&chunk[at..]) {
            if frame.sequence > self.after {
                let payload = chunk.slice(at + frame::HEADER..at + frame.size());
                frames.push(Raw { sequence: frame.sequence, kind: frame.kind, version: frame.version, payload });
                self.after = frame.sequence;
            }
            at += frame.size();
        }
        if at == 0 {
            at = self.skip_damage(&chunk);
        }
        self.offset += at as u64;
        Ok(frames)
    }

    /// The bytes up to the next good frame: `chunk` is the rest of the segment, and starts badly.
    fn skip_damage(&self, chunk: &[u8]) -> usize {
        let skipped = frame::find(chunk, self.after).unwrap_or(chunk.len());
        let path = segment::path(&self.shared.dir, self.number);
        tracing::error!(segment = %path.display(), offset = self.offset, bytes = skipped, "the journal is damaged");
        self.shared.mark_damaged(self.number);
        skipped
    }

    fn chunk(&self, length: usize) -> Result<Bytes, JournalError> {
        let path = segment::path(&self.shared.dir, self.number);
        let read = || {
            let mut file = File::open(&path)?;
            file.seek(SeekFrom::Start(self.offset))?;
            // Not zeroed first: for megabytes that is as much work as reading them.
            let mut chunk = Vec::with_capacity(length);
            file.take(length as u64).read_to_end(&mut chunk)?;
            if chunk.len() < length {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            Ok(Bytes::from(chunk))
        };
        read().map_err(|error| JournalError::io("read", &path, &error))
    }
}
