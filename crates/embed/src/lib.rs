//! Text to a vector: what the semantic cache, the built-in classifier and the router compare texts
//! by.
//!
//! An embedding is work for the processor, from microseconds (hashed, static tokens) to many
//! milliseconds (MiniLM): it belongs on the compute pool, never on a thread that serves requests.
//! Nothing here fetches anything. Weights are read from a folder that `baton embeddings pull` fills.

mod bert;
mod bpe;
mod error;
mod hashed;
mod minilm;
mod source;
mod static_tokens;
mod weights;
mod wordpiece;

use std::path::Path;
use std::sync::Arc;

pub use error::Error;
pub use hashed::Hashed;
pub use minilm::MiniLm;
pub use source::{FOLDER, File, Pin, SOURCES, Source};
pub use static_tokens::StaticTokens;

/// The longest text that is embedded, bytes. A part of a text would pass for the whole: two
/// contracts that begin alike would be one. So a longer text has no vector rather than one of its
/// beginning.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What turns a text into a vector. Equal texts have equal vectors, on every call.
pub trait Embedder: Send + Sync {
    /// Names the method, its version and its weights. Vectors of different ids mean nothing to each
    /// other.
    fn id(&self) -> &str;

    /// Length of every vector.
    fn dimensions(&self) -> usize;

    /// A vector of unit length, so that a dot product is the cosine. All zeros, and so near to
    /// nothing, where there is nothing to embed: a text without words, or of more than
    /// [`TEXT_BYTES_MAX`].
    fn embed(&self, text: &str) -> Vec<f32>;
}

/// The names that [`open`] knows.
pub const NAMES: &[&str] = &["hashed", "wordllama", "minilm"];

/// The embedder of a name. `folder` holds a folder for each of [`SOURCES`], as `baton embeddings
/// pull` fills them; `hashed` reads nothing.
///
/// Reading weights takes some tenths of a second and blocks.
///
/// # Errors
/// An unknown name; weights that are not there, with the command that fetches them, or that are not
/// what they should be.
pub fn open(name: &str, folder: &Path) -> Result<Arc<dyn Embedder>, Error> {
    match name {
        "hashed" => Ok(Arc::new(Hashed::new())),
        "wordllama" => Ok(Arc::new(StaticTokens::open(&folder.join(name))?)),
        "minilm" => Ok(Arc::new(MiniLm::open(&folder.join(name))?)),
        _ => Err(Error::Unknown { name: name.to_owned() }),
    }
}

/// Scales to unit length; leaves zeros alone. The sum runs in order and in double precision, so that
/// machines agree.
fn normalise(mut vector: Vec<f32>) -> Vec<f32> {
    let squares: f64 = vector.iter().map(|&value| f64::from(value) * f64::from(value)).sum();
    if squares > 0.0 {
        let scale = 1.0 / squares.sqrt();
        vector.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_what_there_is() {
        let told = open("word2vec", Path::new("nowhere")).err().unwrap().to_string();
        assert!(told.contains("`word2vec`") && told.contains("hashed, wordllama, minilm"), "{told}");
    }

    #[test]
    fn missing_weights_name_the_file_and_the_command() {
        let empty = tempfile::tempdir().unwrap();
        let told = open("wordllama", empty.path()).err().unwrap().to_string();
        let file = empty.path().join("wordllama").join("model.safetensors");
        assert!(told.contains(&file.display().to_string()), "{told}");
        assert!(told.contains("`baton embeddings pull wordllama`"), "{told}");
    }

    #[test]
    fn zeros_stay_zeros() {
        assert_eq!(normalise(vec![0.0, 0.0]), [0.0, 0.0]);
        assert_eq!(normalise(vec![3.0, 4.0]), [0.6, 0.8]);
    }
}
