//! Static token embeddings: each token has a vector, a text has their mean. No network runs; a short
//! text takes some ten microseconds.
//!
//! The weights are those of WordLlama (token embeddings of large models, trained and cut to 256
//! dimensions).

use std::path::Path;

use ndarray::Array2;

use crate::bpe::Bpe;
use crate::weights::{Weights, id};
use crate::{Embedder, Error, TEXT_BYTES_MAX, normalise};

const NAME: &str = "wordllama";

/// A vector for each token, and how texts become tokens.
pub struct StaticTokens {
    id: String,
    bpe: Bpe,
    /// A row a token.
    vectors: Array2<f32>,
}

impl StaticTokens {
    /// Reads `model.safetensors` (`embedding.weight`) and `tokenizer.json` of a folder.
    ///
    /// # Errors
    /// Which file is missing or is not what it should be.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let model = Weights::read(NAME, folder, "model.safetensors")?;
        let tokenizer = Weights::read(NAME, folder, "tokenizer.json")?;
        let vectors = model.tensors()?.matrix("embedding.weight")?;
        let bpe = Bpe::new(&tokenizer, vectors.nrows())?;
        Ok(Self { id: id(NAME, &[&model, &tokenizer]), bpe, vectors })
    }
}

impl Embedder for StaticTokens {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.vectors.ncols()
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let mut sum = vec![0.0; self.vectors.ncols()];
        if text.len() > TEXT_BYTES_MAX {
            return sum;
        }
        for token in self.bpe.encode(text) {
            // As a slice, which the compiler adds some at a time.
            let row = self.vectors.row(token as usize);
            sum.iter_mut().zip(row.as_slice().unwrap_or_default()).for_each(|(sum, value)| *sum += value);
        }
        // The mean has the direction of the sum.
        normalise(sum)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;

    /// A folder in which token `n` has the vector (n, 1).
    fn folder(dtype: Dtype) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let tokenizer = crate::bpe::tests::tokenizer().to_string();
        std::fs::write(folder.path().join("tokenizer.json"), tokenizer).unwrap();
        let data: Vec<u8> =
            (0..267).flat_map(|n| [n as f32, 1.0]).flat_map(|v| half::f16::from_f32(v).to_le_bytes()).collect();
        let view = TensorView::new(dtype, vec![267, 2], &data).unwrap();
        let tensors = BTreeMap::from([("embedding.weight", view)]);
        let bytes = safetensors::serialize(tensors, None).unwrap();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        folder
    }

    #[test]
    fn a_text_has_the_mean_of_its_tokens() {
        let folder = folder(Dtype::F16);
        let embedder = StaticTokens::open(folder.path()).unwrap();
        assert_eq!(embedder.dimensions(), 2);
        // ▁log is token 265, `in` is 264.
        let (x, y) = (265.0 + 264.0, 2.0_f64);
        let length = f64::hypot(x, y);
        assert_eq!(embedder.embed("login"), [(x / length) as f32, (y / length) as f32]);
        assert_eq!(embedder.embed(""), [0.0, 0.0]);
        assert_eq!(embedder.embed(&"a".repeat(TEXT_BYTES_MAX + 1)), [0.0, 0.0], "not the beginning for the whole");
    }

    #[test]
    fn other_weights_are_another_embedding() {
        let folder = folder(Dtype::F16);
        let before = StaticTokens::open(folder.path()).unwrap();
        let path = folder.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_ne!(StaticTokens::open(folder.path()).unwrap().id(), before.id());
        assert!(before.id().starts_with("wordllama-"));
    }

    #[test]
    fn broken_weights_are_told() {
        let check = |folder: tempfile::TempDir, expected: &str| {
            let told = StaticTokens::open(folder.path()).err().unwrap().to_string();
            assert!(told.contains("model.safetensors") && told.contains(expected), "{told}");
        };
        check(folder(Dtype::BF16), "not F16 or F32");
        let cut = folder(Dtype::F16);
        let path = cut.path().join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() - 2]).unwrap();
        check(cut, "pull wordllama");
        let infinite = folder(Dtype::F16);
        let path = infinite.path().join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - 2..].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        check(infinite, "not finite");
    }

    /// Needs the weights: `baton embeddings pull wordllama --at target/embeddings`, then
    /// `BATON_EMBEDDINGS=$PWD/target/embeddings cargo nextest run -p baton-embed --run-ignored only`.
    /// The figures are those of the Python package 0.4.0.post1, `embed(text, norm=True)`.
    #[test]
    #[ignore = "needs weights in BATON_EMBEDDINGS"]
    fn agrees_with_the_python_package() {
        let root = std::env::var("BATON_EMBEDDINGS").expect("BATON_EMBEDDINGS names the folder that holds wordllama/");
        let embedder = StaticTokens::open(&Path::new(&root).join("wordllama")).unwrap();
        let check = |text: &str, tokens: usize, expected: [f32; 5]| {
            assert_eq!(embedder.bpe.encode(text).len(), tokens, "{text:?}");
            let vector = embedder.embed(text);
            for (place, expected) in [0, 1, 2, 3, 255].into_iter().zip(expected) {
                assert!((vector[place] - expected).abs() < 1e-6, "{text:?} at {place}: {}", vector[place]);
            }
        };
        check("I am still waiting on my card?", 8, [0.03912527, 0.06446999, -0.06456488, -0.02415788, -0.0083013475]);
        check("What are the exchange rates?", 6, [0.08738714, -0.06757077, -0.06500209, 0.05119218, -0.017615676]);
        check(
            "Überweisung für 25,50 € fehlt – warum?",
            18,
            [-0.02241744, -0.03124158, 0.03628936, -0.03210687, -0.030167405],
        );
        check("日本語のテキスト 🙂", 14, [-0.13062538, 0.11419259, 0.00738129, -0.06146805, -0.09243026]);
        check("a  b\n\tc", 6, [-0.10880487, -0.14516272, -0.09824911, 0.05028062, 0.063732356]);
    }
}
