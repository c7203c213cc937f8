//! How entries lie in a segment: length, CRC-32C, sequence, kind, version, payload.
//!
//! All numbers are little-endian. A payload is JSON, which never holds a zero byte, while every
//! header does (in its sequence): content can therefore never be mistaken for a frame, and the
//! first good frame after damage can be found by looking for it.

/// Bytes before the payload.
pub(crate) const HEADER: usize = 4 + 4 + 8 + 1 + 1;

/// The last sequence: what a database's integer holds. One over it was never written.
pub(crate) const SEQUENCE_MAX: u64 = i64::MAX as u64;

/// A frame as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) sequence: u64,
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) payload: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        HEADER + self.payload.len()
    }
}

/// What a record takes as a rule.
const ROOM: usize = 3 << 10;

/// A frame without its payload, which the caller appends, and without its sequence.
pub(crate) fn start(kind: u8, version: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(ROOM);
    frame.resize(HEADER, 0);
    frame[16] = kind;
    frame[17] = version;
    frame
}

/// Gives a started frame its length, sequence and checksum.
pub(crate) fn seal(frame: &mut [u8], sequence: u64) {
    let length = u32::try_from(frame.len() - HEADER).unwrap_or(u32::MAX);
    frame[0..4].copy_from_slice(&length.to_le_bytes());
    frame[8..16].copy_from_slice(&sequence.to_le_bytes());
    let crc = checksum(frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
}

/// Over everything but itself.
fn checksum(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[0..4]), &frame[8..])
}

/// The frame that starts at the first byte, if there is a whole and good one.
pub(crate) fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let frame = bytes.get(..HEADER + usize::try_from(payload_length(bytes)?).ok()?)?;
    let crc = u32::from_le_bytes(frame.get(4..8)?.try_into().ok()?);
    let sequence = u64::from_le_bytes(frame.get(8..16)?.try_into().ok()?);
    (crc == checksum(frame) && sequence < SEQUENCE_MAX).then(|| Frame {
        sequence,
        kind: frame[16],
        version: frame[17],
        payload: &frame[HEADER..],
    })
}

/// What the header at the first byte says; it may be damaged.
pub(crate) fn payload_length(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(..4)?.try_into().ok()?))
}

/// Where the next good frame with a later sequence than `after` starts, looking at every byte.
pub(crate) fn find(bytes: &[u8], after: u64) -> Option<usize> {
    (0..bytes.len().saturating_sub(HEADER)).find(|&at| read(&bytes[at..]).is_some_and(|frame| frame.sequence > after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(sequence: u64, payload: &str) -> Vec<u8> {
        let mut frame = start(2, 1);
        frame.extend_from_slice(payload.as_bytes());
        seal(&mut frame, sequence);
        frame
    }

    #[test]
    fn a_frame_is_read_back_as_written() {
        let frame = Frame { sequence: 7, kind: 2, version: 1, payload: b"{\"a\":1}" };
        assert_eq!(read(&sealed(7, "{\"a\":1}")), Some(frame));
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_noticed() {
        let good = sealed(7, "{\"a\":1}");
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bad), None, "bit {bit}");
        }
        for length in 0..good.len() {
            assert_eq!(read(&good[..length]), None, "cut to {length}");
        }
    }

    #[test]
    fn the_next_good_frame_is_found_behind_damage() {
        let mut bytes = b"garbage".to_vec();
        bytes.extend(sealed(3, "{}"));
        bytes.extend(sealed(9, "{}"));
        assert_eq!(find(&bytes, 2), Some(7));
        assert_eq!(find(&bytes, 3), Some(7 + HEADER + 2));
        assert_eq!(find(&bytes, 9), None);
    }
}
