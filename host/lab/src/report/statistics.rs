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

/// How often which values came, of several rows by the same classes, so that they can be compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// Lower edge of the first class.
    pub from: f64,
    /// Width of each.
    pub width: f64,
    /// A row of counts for each row of values.
    pub counts: Vec<Vec<u32>>,
    /// Upper edge of the last class and how many values lie behind it, where a few far out would leave the others
    /// no room.
    pub beyond: Option<(f64, usize)>,
}

/// Spread at which the values of the last percent are left out of the classes: they take up so many times the room of
/// all others.
const FAR: f64 = 4.0;

/// Equal classes over all rows; `None` without any value. Their number follows the square root of the longest row's
/// count, 5 to 40.
pub fn histogram(rows: &[&[f64]]) -> Option<Histogram> {
    let all = sorted(&rows.concat());
    let (min, max) = (*all.first()?, *all.last()?);
    let most = percentile(&all, 99.0);
    let is_far = most > min && max - min > FAR * (most - min);
    let to = if is_far { most } else { max };
    let longest = rows.iter().map(|row| row.len()).max()?;
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let classes = ((longest as f64).sqrt().ceil() as usize).clamp(5, 40);
    // All values alike still make one class to look at.
    #[allow(clippy::cast_precision_loss)]
    let width = if to > min { (to - min) / classes as f64 } else { (min.abs() / 100.0).max(0.001) };
    let count = |row: &&[f64]| {
        let mut counts = vec![0; classes];
        for value in row.iter().filter(|v| v.is_finite() && **v <= to) {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let index = (((value - min) / width) as usize).min(classes - 1);
            counts[index] += 1;
        }
        counts
    };
    let beyond = all.iter().filter(|value| **value > to).count();
    let counts = rows.iter().map(count).collect();
    Some(Histogram { from: min, width, counts, beyond: (beyond > 0).then_some((to, beyond)) })
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
    fn every_value_is_in_one_class_or_counted_as_far_out() {
        for values in
            [vec![1.0, 1.0, 1.0], vec![0.5, 9.0, 3.0, 3.0], vec![0.0], (0..1000).map(f64::from).collect()]
        {
            let histogram = histogram(&[&values, &[]]).unwrap();
            assert_eq!(histogram.counts[0].iter().sum::<u32>() as usize, values.len());
            assert_eq!(histogram.counts[1].iter().sum::<u32>(), 0);
            assert_eq!(histogram.beyond, None);
        }
        assert_eq!(histogram(&[]), None);
        assert_eq!(histogram(&[&[f64::NAN]]), None);
    }

    #[test]
    fn a_few_values_far_out_do_not_flatten_the_rest() {
        let mut values: Vec<f64> = (0..200).map(|n| 1.0 + f64::from(n % 10) / 10.0).collect();
        values.push(500.0);
        let histogram = histogram(&[&values, &[1.5]]).unwrap();
        assert_eq!(histogram.beyond, Some((1.9, 1)));
        assert_eq!(histogram.counts[0].iter().sum::<u32>(), 200);
        assert!(histogram.counts[0].iter().filter(|count| **count > 0).count() >= 9, "{histogram:?}");
        // Of both rows by the same classes.
        assert_eq!(histogram.counts[0].len(), histogram.counts[1].len());
    }
}
