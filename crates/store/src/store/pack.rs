//! How the JSON of a record is kept: an LZ4 block behind its length; a short one as it is, behind the
//! length 0. Packing 2 KB costs more than a third of ingesting them, and saves less than 1.

use std::borrow::Cow;

use baton_core::Record;
use lz4_flex::block::{CompressTable, compress_into_with_table, get_maximum_output_size};

use crate::StoreError;

/// Bytes of the length, little-endian.
const LENGTH: usize = size_of::<u32>();

/// What is shorter is kept as it is.
const PACKED_MIN: usize = 4096;

/// Packs many: its table and its buffer serve them all.
#[derive(Default)]
pub(crate) struct Packer {
    table: CompressTable,
    buffer: Vec<u8>,
}

impl Packer {
    pub(crate) fn pack(&mut self, json: &[u8]) -> Vec<u8> {
        if json.len() < PACKED_MIN {
            return [&[0; LENGTH], json].concat();
        }
        let room = LENGTH + get_maximum_output_size(json.len());
        if self.buffer.len() < room {
            self.buffer.resize(room, 0);
        }
        let (length, block) = self.buffer.split_at_mut(LENGTH);
        length.copy_from_slice(&u32::try_from(json.len()).unwrap_or(u32::MAX).to_le_bytes());
        match compress_into_with_table(json, block, &mut self.table) {
            Ok(packed) => self.buffer[..LENGTH + packed].to_vec(),
            // Not reached: there is room for the worst.
            Err(_) => lz4_flex::compress_prepend_size(json),
        }
    }
}

pub(crate) fn unpack(body: &[u8]) -> Result<Record, StoreError> {
    serde_json::from_slice(&json(body, "a record")?).map_err(StoreError::corrupt("a record"))
}

/// What was packed; an error says of `what`.
pub(crate) fn json<'a>(body: &'a [u8], what: &str) -> Result<Cow<'a, [u8]>, StoreError> {
    match body.strip_prefix(&[0; LENGTH]) {
        Some(json) => Ok(Cow::Borrowed(json)),
        None => lz4_flex::decompress_size_prepended(body)
            .map(Cow::Owned)
            .map_err(|error| StoreError::Corrupt { what: what.into(), reason: error.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_is_packed_as_if_it_were_the_first() {
        let long = |letter: u8| [&[letter; 100_000][..], b"end"].concat();
        let texts = [long(b'a'), b"{}".to_vec(), vec![b'x'; PACKED_MIN], long(b'a'), vec![b'y'; PACKED_MIN - 1]];
        let mut packer = Packer::default();
        for text in texts {
            let packed = packer.pack(&text);
            assert_eq!(json(&packed, "a text").unwrap(), text);
            assert!(packed.len() < PACKED_MIN + LENGTH);
        }
    }
}
