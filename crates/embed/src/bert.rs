//! A small BERT on the processor, forward only: the layers of Devlin et al. 2019 over `ndarray`.
//!
//! Own code: candle and what it needs are some 55 crates and minutes of building, for these
//! lines.

use ndarray::{Array1, Array2, ArrayViewMut1, Axis, Slice};

use crate::Error;
use crate::weights::Tensors;

/// Added to a variance, from the model's own configuration.
const EPSILON: f32 = 1e-12;

pub(crate) struct Bert {
    words: Array2<f32>,
    /// With the one token type that there is added.
    positions: Array2<f32>,
    norm: Norm,
    layers: Vec<Layer>,
    heads: usize,
}

struct Layer {
    query: Linear,
    key: Linear,
    value: Linear,
    attended: Linear,
    attended_norm: Norm,
    inner: Linear,
    outer: Linear,
    outer_norm: Norm,
}

/// Weights by [output, input].
struct Linear {
    weight: Array2<f32>,
    bias: Array1<f32>,
}

struct Norm {
    weight: Array1<f32>,
    bias: Array1<f32>,
}

impl Bert {
    /// Reads `layers` layers of `heads` heads, under the names that models of BERT's kind have.
    pub(crate) fn read(tensors: &Tensors<'_>, layers: usize, heads: usize) -> Result<Self, Error> {
        let words = tensors.matrix("embeddings.word_embeddings.weight")?;
        let width = words.ncols();
        let positions = tensors.matrix("embeddings.position_embeddings.weight")?;
        let shape = (positions.nrows(), width / heads * heads);
        let positions = tensors.shaped("embeddings.position_embeddings.weight", shape)?;
        let types = tensors.shaped("embeddings.token_type_embeddings.weight", (2, width))?;
        let layer = |n| Layer::read(tensors, &format!("encoder.layer.{n}"), width);
        Ok(Self {
            words,
            positions: positions + types.row(0),
            norm: Norm::read(tensors, "embeddings.LayerNorm", width)?,
            layers: (0..layers).map(layer).collect::<Result<_, _>>()?,
            heads,
        })
    }

    pub(crate) fn width(&self) -> usize {
        self.words.ncols()
    }

    /// How many tokens have a vector.
    pub(crate) fn tokens(&self) -> usize {
        self.words.nrows()
    }

    /// The most tokens of one pass.
    pub(crate) fn positions(&self) -> usize {
        self.positions.nrows()
    }

    /// A row for each token, each seen in the light of the others. At most [`Self::positions`].
    pub(crate) fn forward(&self, tokens: &[u32]) -> Array2<f32> {
        let rows: Vec<usize> = tokens.iter().map(|&token| token as usize).collect();
        let mut hidden = self.words.select(Axis(0), &rows);
        hidden += &self.positions.slice_axis(Axis(0), Slice::from(..rows.len()));
        self.norm.apply(&mut hidden);
        for layer in &self.layers {
            hidden = layer.forward(hidden, self.heads);
        }
        hidden
    }
}

impl Layer {
    fn read(tensors: &Tensors<'_>, name: &str, width: usize) -> Result<Self, Error> {
        let linear = |part: &str, outputs, inputs| Linear::read(tensors, &format!("{name}.{part}"), (outputs, inputs));
        let norm = |part: &str| Norm::read(tensors, &format!("{name}.{part}.LayerNorm"), width);
        Ok(Self {
            query: linear("attention.self.query", width, width)?,
            key: linear("attention.self.key", width, width)?,
            value: linear("attention.self.value", width, width)?,
            attended: linear("attention.output.dense", width, width)?,
            attended_norm: norm("attention.output")?,
            inner: linear("intermediate.dense", 4 * width, width)?,
            outer: linear("output.dense", width, 4 * width)?,
            outer_norm: norm("output")?,
        })
    }

    fn forward(&self, hidden: Array2<f32>, heads: usize) -> Array2<f32> {
        let mut middle = self.attended.apply(&self.attention(&hidden, heads)) + hidden;
        self.attended_norm.apply(&mut middle);
        let mut inner = self.inner.apply(&middle);
        inner.mapv_inplace(gelu);
        let mut out = self.outer.apply(&inner) + middle;
        self.outer_norm.apply(&mut out);
        out
    }

    fn attention(&self, hidden: &Array2<f32>, heads: usize) -> Array2<f32> {
        let (query, key, value) = (self.query.apply(hidden), self.key.apply(hidden), self.value.apply(hidden));
        let mut out = Array2::zeros(hidden.dim());
        let width = hidden.ncols() / heads;
        let scale = (width as f32).sqrt().recip();
        for head in 0..heads {
            let part = Slice::from(head * width..(head + 1) * width);
            let of = |all: &Array2<f32>| all.slice_axis(Axis(1), part).to_owned();
            let mut scores = of(&query).dot(&of(&key).t());
            scores *= scale;
            scores.rows_mut().into_iter().for_each(softmax);
            out.slice_axis_mut(Axis(1), part).assign(&scores.dot(&of(&value)));
        }
        out
    }
}

impl Linear {
    fn read(tensors: &Tensors<'_>, name: &str, shape: (usize, usize)) -> Result<Self, Error> {
        let weight = tensors.shaped(&format!("{name}.weight"), shape)?;
        Ok(Self { weight, bias: tensors.vector(&format!("{name}.bias"), shape.0)? })
    }

    fn apply(&self, rows: &Array2<f32>) -> Array2<f32> {
        rows.dot(&self.weight.t()) + &self.bias
    }
}

impl Norm {
    fn read(tensors: &Tensors<'_>, name: &str, width: usize) -> Result<Self, Error> {
        let weight = tensors.vector(&format!("{name}.weight"), width)?;
        Ok(Self { weight, bias: tensors.vector(&format!("{name}.bias"), width)? })
    }

    /// Each row to mean 0 and variance 1, then scaled and moved (Ba et al. 2016).
    fn apply(&self, rows: &mut Array2<f32>) {
        for mut row in rows.rows_mut() {
            let mean = row.sum() / row.len() as f32;
            row -= mean;
            let variance = row.dot(&row) / row.len() as f32;
            row *= (variance + EPSILON).sqrt().recip();
            row *= &self.weight;
            row += &self.bias;
        }
    }
}

fn softmax(mut row: ArrayViewMut1<'_, f32>) {
    let most = row.fold(f32::NEG_INFINITY, |most, &value| most.max(value));
    row.mapv_inplace(|value| (value - most).exp());
    row /= row.sum();
}

/// x·Φ(x) (Hendrycks and Gimpel 2016), with the error function of Abramowitz and Stegun 7.1.26: at
/// most 1.5e-7 off.
fn gelu(x: f32) -> f32 {
    let z = x.abs() * std::f32::consts::FRAC_1_SQRT_2;
    let t = (1.0 + 0.327_591_1 * z).recip();
    let sum = ((((1.061_405_4 * t - 1.453_152) * t + 1.421_413_7) * t - 0.284_496_74) * t + 0.254_829_6) * t;
    let tail = 0.5 * sum * (-z * z).exp();
    if x < 0.0 { x * tail } else { x - x * tail }
}
