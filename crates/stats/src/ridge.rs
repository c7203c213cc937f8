//! Ridge regression of several outcomes on the same features, in its dual form: from hundreds of
//! examples with as many features or more, with what each fold would have been told had it been left
//! out, from one factorisation.

/// A penalty of 1 on the squared weights of the features as they are given: scale them to penalise
/// them otherwise. Nothing is subtracted; a feature of a large constant is an intercept that is hardly
/// penalised.
///
/// Saunders, Gammerman and Vovk, "Ridge Regression Learning Algorithm in Dual Variables", ICML 1998.
#[derive(Clone, Debug)]
pub struct Ridge {
    /// (X Xᵀ + 1)⁻¹, row by row.
    inverse: Vec<f64>,
    /// The inverse times the targets: a row an example.
    dual: Vec<Vec<f64>>,
    /// A row a feature.
    weights: Vec<Vec<f64>>,
}

/// So many examples at the most: the work is their number to the third power.
const EXAMPLES_MAX: usize = 4096;

impl Ridge {
    /// Fits `targets`, a row an example, to `rows` of features. `None` without examples, with more than
    /// 4,096, with rows of unlike lengths, or with numbers that are not finite.
    #[must_use]
    pub fn fit(rows: &[Vec<f64>], targets: &[Vec<f64>]) -> Option<Self> {
        let (features, outcomes) = (rows.first()?.len(), targets.first()?.len());
        let finite = |row: &Vec<f64>, len: usize| row.len() == len && row.iter().all(|value| value.is_finite());
        let sound = rows.iter().all(|row| finite(row, features)) && targets.iter().all(|row| finite(row, outcomes));
        if !sound || rows.len() != targets.len() || rows.len() > EXAMPLES_MAX {
            return None;
        }
        let count = rows.len();
        let mut gram = vec![0.0; count * count];
        for (i, row) in rows.iter().enumerate() {
            for (j, other) in rows[..=i].iter().enumerate() {
                gram[i * count + j] = dot(row, other) + f64::from(i == j);
            }
        }
        let inverse = inverse(gram, count)?;
        let dual = product(&inverse, targets, count, outcomes);
        let mut weights = vec![vec![0.0; outcomes]; features];
        for (row, dual) in rows.iter().zip(&dual) {
            for (value, weights) in row.iter().zip(&mut weights) {
                weights.iter_mut().zip(dual).for_each(|(weight, dual)| *weight += value * dual);
            }
        }
        Some(Self { inverse, dual, weights })
    }

    /// What is expected of an example with these features.
    #[must_use]
    pub fn predict(&self, row: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; self.weights.first().map_or(0, Vec::len)];
        for (value, weights) in row.iter().zip(&self.weights).filter(|(value, _)| **value != 0.0) {
            sum.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
        }
        sum
    }

    /// What the examples of a fold, by their places, would be expected to be had they been left out of
    /// the fit: target − (inverse of the fold)⁻¹ × dual. `None` where a place is not of an example.
    #[must_use]
    pub fn left_out(&self, fold: &[usize], targets: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
        let (count, size) = (self.dual.len(), fold.len());
        if fold.iter().any(|place| *place >= count) || targets.len() != count {
            return None;
        }
        let mut block = vec![0.0; size * size];
        for (i, row) in fold.iter().enumerate() {
            for (j, column) in fold.iter().enumerate() {
                block[i * size + j] = self.inverse[row * count + column];
            }
        }
        let dual: Vec<Vec<f64>> = fold.iter().map(|place| self.dual[*place].clone()).collect();
        let outcomes = dual.first()?.len();
        let error = product(&inverse(block, size)?, &dual, size, outcomes);
        let left = |(place, error): (&usize, Vec<f64>)| targets[*place].iter().zip(error).map(|(y, e)| y - e).collect();
        Some(fold.iter().zip(error).map(left).collect())
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A square matrix times a column for each outcome.
fn product(matrix: &[f64], columns: &[Vec<f64>], size: usize, outcomes: usize) -> Vec<Vec<f64>> {
    let row = |i: usize| {
        let mut sum = vec![0.0; outcomes];
        for (factor, column) in matrix[i * size..][..size].iter().zip(columns) {
            sum.iter_mut().zip(column).for_each(|(sum, value)| *sum += factor * value);
        }
        sum
    };
    (0..size).map(row).collect()
}

/// The inverse of a symmetric positive matrix, of which the lower half is read: L⁻ᵀ L⁻¹ of its
/// Cholesky factor.
fn inverse(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    for i in 0..size {
        for j in 0..=i {
            let (above, row) = matrix.split_at(i * size);
            let other = if j == i { &row[..j] } else { &above[j * size..][..j] };
            let rest = row[j] - dot(&row[..j], other);
            if i == j && rest <= 0.0 {
                return None;
            }
            matrix[i * size + j] = if i == j { rest.sqrt() } else { rest / matrix[j * size + j] };
        }
    }
    // Row i holds row i of the inverse of the factor, transposed, so that all inner loops run along rows.
    let mut factor = vec![0.0; size * size];
    for column in 0..size {
        factor[column * size + column] = 1.0 / matrix[column * size + column];
        for i in column + 1..size {
            let known = &factor[column * size + column..][..i - column];
            let sum = dot(&matrix[i * size + column..][..i - column], known);
            factor[column * size + i] = -sum / matrix[i * size + i];
        }
    }
    let mut inverse = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            let value = dot(&factor[i * size + i..][..size - i], &factor[j * size + i..][..size - i]);
            (inverse[i * size + j], inverse[j * size + i]) = (value, value);
        }
    }
    Some(inverse)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_feature_by_hand() {
        // w = Σxy / (Σx² + 1) = 28 / 15 and 14 / 15.
        let rows = vec![vec![1.0], vec![2.0], vec![3.0]];
        let targets = vec![vec![2.0, 1.0], vec![4.0, 2.0], vec![6.0, 3.0]];
        let fit = Ridge::fit(&rows, &targets).unwrap();
        let said = fit.predict(&[1.5]);
        assert!((said[0] - 2.8).abs() < 1e-12 && (said[1] - 1.4).abs() < 1e-12, "{said:?}");
    }

    #[test]
    fn what_cannot_be_fitted() {
        let row = || vec![1.0];
        assert!(Ridge::fit(&[], &[]).is_none());
        assert!(Ridge::fit(&[row(), vec![1.0, 2.0]], &[row(), row()]).is_none());
        assert!(Ridge::fit(&[vec![f64::NAN]], &[row()]).is_none());
        assert!(Ridge::fit(&[row()], &[row(), row()]).is_none());
        assert!(Ridge::fit(&[row()], &[row()]).unwrap().left_out(&[1], &[row()]).is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 40,
            rng_seed: proptest::test_runner::RngSeed::Fixed(5),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Leaving a fold out by the formula is fitting without it.
        #[test]
        fn left_out_is_fitted_without(
            values in proptest::collection::vec((-2.0..2.0_f64, -2.0..2.0_f64, -1.0..1.0_f64), 4..20), at in 1..3_usize,
        ) {
            let rows: Vec<Vec<f64>> = values.iter().map(|(a, b, _)| vec![*a, *b, 3.0]).collect();
            let targets: Vec<Vec<f64>> = values.iter().map(|(_, _, y)| vec![*y, 1.0 - y]).collect();
            let fold: Vec<usize> = (0..rows.len()).filter(|place| place % (at + 1) == 0).collect();
            let kept = |all: &[Vec<f64>]| -> Vec<Vec<f64>> {
                all.iter().enumerate().filter(|(place, _)| !fold.contains(place)).map(|(_, row)| row.clone()).collect()
            };
            let without = Ridge::fit(&kept(&rows), &kept(&targets)).unwrap();
            let left_out = Ridge::fit(&rows, &targets).unwrap().left_out(&fold, &targets).unwrap();
            for (place, said) in fold.iter().zip(left_out) {
                for (a, b) in without.predict(&rows[*place]).iter().zip(said) {
                    prop_assert!((a - b).abs() < 1e-8, "{a} {b}");
                }
            }
        }
    }
}
