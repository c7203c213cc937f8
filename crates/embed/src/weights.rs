//! Files of weights: read whole, bounded, with errors that say which and what to do.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use half::f16;
use ndarray::{Array1, Array2};
use safetensors::tensor::TensorView;
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

    pub(crate) fn tensors(&self) -> Result<Tensors<'_>, Error> {
        let found = SafeTensors::deserialize(&self.bytes).map_err(|error| self.broken(error))?;
        Ok(Tensors { file: self, found })
    }
}

/// The tensors of one file.
pub(crate) struct Tensors<'a> {
    file: &'a Weights,
    found: SafeTensors<'a>,
}

impl Tensors<'_> {
    /// A vector of this length.
    pub(crate) fn vector(&self, name: &str, length: usize) -> Result<Array1<f32>, Error> {
        let values = self.read(name)?;
        if values.len() != length {
            return Err(self.file.broken(format!("`{name}` has {} values, not {length}", values.len())));
        }
        Ok(Array1::from(values))
    }

    /// A matrix of this shape.
    pub(crate) fn shaped(&self, name: &str, shape: (usize, usize)) -> Result<Array2<f32>, Error> {
        let matrix = self.matrix(name)?;
        if matrix.dim() != shape {
            return Err(self.file.broken(format!("`{name}` is of {:?}, not of {shape:?}", matrix.dim())));
        }
        Ok(matrix)
    }

    /// A matrix, row by row; never an empty one.
    pub(crate) fn matrix(&self, name: &str) -> Result<Array2<f32>, Error> {
        let values = self.read(name)?;
        let shape = self.view(name)?.shape().to_vec();
        let wrong = || self.file.broken(format!("`{name}` is of {shape:?}, not of [rows, columns]"));
        let &[rows, columns] = shape.as_slice() else { return Err(wrong()) };
        if values.is_empty() {
            return Err(wrong());
        }
        Array2::from_shape_vec((rows, columns), values).map_err(|_| wrong())
    }

    fn view(&self, name: &str) -> Result<TensorView<'_>, Error> {
        self.found.tensor(name).map_err(|error| self.file.broken(error))
    }

    fn read(&self, name: &str) -> Result<Vec<f32>, Error> {
        let view = self.view(name)?;
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F16 => data.as_chunks().0.iter().map(|&bytes| f16::from_le_bytes(bytes).to_f32()).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect(),
            other => return Err(self.file.broken(format!("`{name}` holds {other:?}, not F16 or F32"))),
        };
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.file.broken(format!("`{name}` holds values that are not finite")));
        }
        Ok(values)
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
