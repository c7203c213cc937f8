//! Few rows times many weights, which is what a short text asks of a model: each weight is read once,
//! and none is copied first, as general products of matrices do.
//!
//! Plain code that `pulp` calls with the widest instructions that the processor has. The order of
//! sums is the same with all of them, and so are the results.

use pulp::NullaryFnOnce;

/// Sums are kept by place modulo this.
const LANES: usize = 16;

/// Adds to `out`, by [row, output], the products of rows with weights by [output, input].
pub(crate) struct Product<'a> {
    pub(crate) rows: &'a [f32],
    pub(crate) weight: &'a [f32],
    pub(crate) inputs: usize,
    pub(crate) out: &'a mut [f32],
}

impl NullaryFnOnce for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { rows, weight, inputs, out } = self;
        let outputs = weight.len() / inputs;
        for (output, weight) in weight.chunks_exact(inputs).enumerate() {
            let mut row = 0;
            let mut left = rows;
            while !left.is_empty() {
                // So many sums at once keep the processor's adders busy.
                let count = match left.len() / inputs {
                    8.. => add::<8>(left, weight, &mut out[row * outputs + output..], outputs),
                    4.. => add::<4>(left, weight, &mut out[row * outputs + output..], outputs),
                    _ => add::<1>(left, weight, &mut out[row * outputs + output..], outputs),
                };
                row += count;
                left = &left[count * inputs..];
            }
        }
    }
}

/// The first `ROWS` rows with one output's weights.
#[inline(always)]
fn add<const ROWS: usize>(rows: &[f32], weight: &[f32], out: &mut [f32], outputs: usize) -> usize {
    let inputs = weight.len();
    let mut sums = [[0.0_f32; LANES]; ROWS];
    let (weights, weights_left) = weight.as_chunks::<LANES>();
    let values: [&[[f32; LANES]]; ROWS] = std::array::from_fn(|row| rows[row * inputs..][..inputs].as_chunks().0);
    for (place, weights) in weights.iter().enumerate() {
        for (sums, values) in sums.iter_mut().zip(values) {
            for ((sum, value), weight) in sums.iter_mut().zip(&values[place]).zip(weights) {
                *sum += value * weight;
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let values = &rows[(row + 1) * inputs - weights_left.len()..(row + 1) * inputs];
        let left: f32 = values.iter().zip(weights_left).map(|(value, weight)| value * weight).sum();
        out[row * outputs] += sums.iter().sum::<f32>() + left;
    }
    ROWS
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        /// Small whole numbers: sums are exact in any order.
        #[test]
        fn as_a_sum_by_hand(rows in 0_usize..20, inputs in 1_usize..40, outputs in 0_usize..5, seed in 0_u64..1000) {
            let value = |n: usize| ((n as u64 * 31 + seed) % 13) as f32 - 6.0;
            let left: Vec<f32> = (0..rows * inputs).map(value).collect();
            let weight: Vec<f32> = (0..outputs * inputs).map(|n| value(n * n + 7)).collect();
            let mut out = vec![2.0; rows * outputs];
            pulp::Arch::new().dispatch(Product { rows: &left, weight: &weight, inputs, out: &mut out });
            for (place, found) in out.iter().enumerate() {
                let (row, output) = (place / outputs, place % outputs);
                let sum: f32 = (0..inputs).map(|n| left[row * inputs + n] * weight[output * inputs + n]).sum();
                proptest::prop_assert_eq!(*found, sum + 2.0);
            }
        }
    }
}
