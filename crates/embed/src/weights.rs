//! Files of weights: read whole, bounded, with errors that say which and what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use safetensors::{Dtype, SafeTensors};

use crate::Error;

/// Larger than any file of [`crate::SOURCES`].
const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// One file of an embedding's folder.
pub(crate) struct Weights {
    pub(crate) name: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

impl Weights {
    pub(crate) fn read(name: &'static str, folder: &Path, file: &str) -> Result<Self, Error> {
        let path = folder.join(file);
        let size = match std::fs::metadata(&path) {
            Ok(found) => found.len(),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::Missing { name, path }),
            Err(source) => return Err(Error::Unreadable { path, source }),
        };
        if size > FILE_BYTES_MAX {
            let what = format!("it has {size} bytes, and at most {FILE_BYTES_MAX} are read");
            return Err(Error::Broken { name, path, what });
        }
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self { name, path, bytes }),
            Err(source) => Err(Error::Unreadable { path, source }),
        }
    }

    pub(crate) fn broken(&self, what: impl std::fmt::Display) -> Error {
        Error::Broken { name: self.name, path: self.path.clone(), what: what.to_string() }
    }

    /// A matrix of f16 as f32, row by row, with its number of columns.
    pub(crate) fn matrix(&self, tensor: &str) -> Result<(Vec<f32>, usize), Error> {
        let tensors = SafeTensors::deserialize(&self.bytes).map_err(|error| self.broken(error))?;
        let found = tensors.tensor(tensor).map_err(|error| self.broken(error))?;
        let (&[rows, columns], Dtype::F16) = (found.shape(), found.dtype()) else {
            let what = format!("`{tensor}` is {:?} of {:?}, not F16 of [rows, columns]", found.dtype(), found.shape());
            return Err(self.broken(what));
        };
        if rows == 0 || columns == 0 {
            return Err(self.broken(format!("`{tensor}` is empty")));
        }
        let pairs = found.data().chunks_exact(2);
        let values: Vec<f32> = pairs.map(|pair| half::f16::from_le_bytes([pair[0], pair[1]]).to_f32()).collect();
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.broken(format!("`{tensor}` holds values that are not finite")));
        }
        Ok((values, columns))
    }
}

/// The method's name with the first digits of a hash of its files: other weights are another
/// embedding.
pub(crate) fn id(name: &str, files: &[&Weights]) -> String {
    let mut hasher = blake3::Hasher::new();
    for file in files {
        hasher.update(&(file.bytes.len() as u64).to_le_bytes());
        hasher.update(&file.bytes);
    }
    format!("{name}-{}", &hasher.finalize().to_hex()[..12])
}
