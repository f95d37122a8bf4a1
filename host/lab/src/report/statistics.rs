//! What a row of measurements says.

use serde::Serialize;

/// A row of measurements in a few numbers, in their unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// Smallest.
    pub min: f64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub median: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Largest.
    pub max: f64,
}

impl Summary {
    /// Of these values; `None` without any. What is no number does not count.
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = sorted(values);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        #[allow(clippy::cast_precision_loss)]
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        Some(Self {
            count: sorted.len(),
            min,
            mean,
            median: percentile(&sorted, 50.0),
            p90: percentile(&sorted, 90.0),
            p99: percentile(&sorted, 99.0),
            max,
        })
    }
}

/// Finite values in ascending order.
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The value below which `percent` of them lie, by the nearest rank; `sorted` is not empty.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    let index = rank.clamp(1, sorted.len().max(1)) - 1;
    sorted.get(index).copied().unwrap_or_default()
}

/// Equal classes from the smallest to the largest value: lower edge and count. Their number follows the square root of
/// the count, 5 to 40.
pub fn histogram(values: &[f64]) -> Vec<(f64, f64, u32)> {
    let sorted = sorted(values);
    let (Some(min), Some(max)) = (sorted.first().copied(), sorted.last().copied()) else {
        return Vec::new();
    };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let classes = ((sorted.len() as f64).sqrt().ceil() as usize).clamp(5, 40);
    // All values alike still make one class to look at.
    #[allow(clippy::cast_precision_loss)]
    let width = if max > min { (max - min) / classes as f64 } else { (min.abs() / 100.0).max(0.001) };
    let mut out: Vec<(f64, f64, u32)> = (0..classes)
        .map(|i| {
            #[allow(clippy::cast_precision_loss)]
            let from = min + width * i as f64;
            (from, from + width, 0)
        })
        .collect();
    for value in sorted {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let index = (((value - min) / width) as usize).min(classes - 1);
        out[index].2 += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        let summary = Summary::of(&values).unwrap();
        assert_eq!((summary.median, summary.p90, summary.p99), (50.0, 90.0, 99.0));
        assert_eq!((summary.count, summary.min, summary.max, summary.mean), (100, 1.0, 100.0, 50.5));
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[f64::NAN]), None);
        let one = Summary::of(&[7.0]).unwrap();
        assert_eq!((one.median, one.p99), (7.0, 7.0));
    }

    #[test]
    fn every_value_is_in_one_class() {
        for values in
            [vec![1.0, 1.0, 1.0], vec![0.5, 9.0, 3.0, 3.0], vec![0.0], (0..1000).map(f64::from).collect()]
        {
            let classes = histogram(&values);
            let total: u32 = classes.iter().map(|c| c.2).sum();
            assert_eq!(total as usize, values.len());
        }
        assert!(histogram(&[]).is_empty());
    }
}
