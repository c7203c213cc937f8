//! MiniLM-L6 (Wang et al. 2020; the sentence model all-MiniLM-L6-v2): knows that texts mean the same
//! which share no word, for some milliseconds a text.

use std::path::Path;

use ndarray::{Array1, Axis};

use crate::bert::Bert;
use crate::weights::{Weights, id};
use crate::wordpiece::WordPiece;
use crate::{Embedder, Error, TEXT_BYTES_MAX, normalise};

const NAME: &str = "minilm";
const LAYERS: usize = 6;
const HEADS: usize = 12;
/// The most tokens of one pass, start and end included: the model was trained on no longer texts.
/// A longer text is read in windows, and has their mean.
const WINDOW_TOKENS: usize = 256;
/// About 8,000 characters of prose, and a third of a second: a longer text has no vector.
const TOKENS_MAX: usize = 2_048;

/// A sentence embedding by a small transformer.
pub struct MiniLm {
    id: String,
    pieces: WordPiece,
    bert: Bert,
}

impl MiniLm {
    /// Reads `model.safetensors` and `tokenizer.json` of a folder.
    ///
    /// # Errors
    /// Which file is missing or is not what it should be.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let model = Weights::read(NAME, folder, "model.safetensors")?;
        let tokenizer = Weights::read(NAME, folder, "tokenizer.json")?;
        let bert = Bert::read(&model.tensors()?, LAYERS, HEADS)?;
        if bert.positions() < WINDOW_TOKENS {
            return Err(model.broken(format!("it has {} positions, not {WINDOW_TOKENS}", bert.positions())));
        }
        let pieces = WordPiece::new(&tokenizer, bert.tokens())?;
        Ok(Self { id: id(NAME, &[&model, &tokenizer]), pieces, bert })
    }
}

impl Embedder for MiniLm {
    fn id(&self) -> &str {
        &self.id
    }

    fn dimensions(&self) -> usize {
        self.bert.width()
    }

    fn embed(&self, text: &str) -> Vec<f32> {
        let mut sum = Array1::zeros(self.bert.width());
        let tokens = if text.len() > TEXT_BYTES_MAX { Vec::new() } else { self.pieces.encode(text) };
        if tokens.len() <= TOKENS_MAX {
            for window in tokens.chunks(WINDOW_TOKENS - 2) {
                let window = [&[self.pieces.start], window, &[self.pieces.end]].concat();
                sum += &self.bert.forward(&window).sum_axis(Axis(0));
            }
        }
        // The mean over all tokens has the direction of their sum.
        normalise(sum.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs the weights: `baton embeddings pull minilm --at target/embeddings`, then
    /// `BATON_EMBEDDINGS=$PWD/target/embeddings cargo nextest run -p baton-embed --run-ignored only`.
    /// The figures are those of the layers in double precision with numpy, and of the Python package
    /// `tokenizers`.
    #[test]
    #[ignore = "needs weights in BATON_EMBEDDINGS"]
    fn agrees_with_double_precision() {
        let root = std::env::var("BATON_EMBEDDINGS").expect("BATON_EMBEDDINGS names the folder that holds minilm/");
        let embedder = MiniLm::open(&Path::new(&root).join("minilm")).unwrap();
        let check = |text: &str, tokens: usize, expected: [f32; 5]| {
            assert_eq!(embedder.pieces.encode(text).len(), tokens, "{text:?}");
            let vector = embedder.embed(text);
            for (place, expected) in [0, 1, 2, 3, 383].into_iter().zip(expected) {
                assert!((vector[place] - expected).abs() < 2e-6, "{text:?} at {place}: {}", vector[place]);
            }
        };
        check("I am still waiting on my card?", 8, [-0.03535233, -0.04213671, -0.00275706, 0.03193691, 0.00281759]);
        check("What are the exchange rates?", 6, [0.06389838, -0.014388, -0.04943046, 0.08124202, -0.01930421]);
        check(
            "Überweisung für 25,50 € fehlt – warum?",
            16,
            [0.02494826, 0.12558857, -0.0302222, 0.05284833, 0.01686887],
        );
        check("日本語のテキスト 🙂", 9, [0.00455801, 0.14712189, 0.08628298, -0.01901734, -0.01044895]);
        check("a  b\n\tc", 3, [-0.00429616, 0.04248835, -0.06149744, 0.05417146, 0.04198494]);
        // Two equal windows have the mean of one; what is longer than all windows has nothing.
        let (one, two) = (embedder.embed(&"card ".repeat(254)), embedder.embed(&"card ".repeat(508)));
        assert!(one.iter().zip(&two).all(|(one, two)| (one - two).abs() < 1e-6), "{one:?} {two:?}");
        assert_eq!(embedder.embed(&"a ".repeat(TOKENS_MAX + 1)), vec![0.0; 384]);
    }
}
