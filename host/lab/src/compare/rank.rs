//! Whether two rows of measurements differ by more than chance: the rank test of Mann, Whitney and Wilcoxon, which asks
//! nothing of the shape of their distributions (times have long tails), and Holm's correction for many tests at once.

/// What the rank test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankTest {
    /// Share of the pairs (one of each row) in which the second is the larger; ties count half.
    pub second_larger: f64,
    /// How often chance alone gives ranks at least as far apart, both ways.
    pub p: f64,
    /// The smallest `p` that rows of these lengths can give at all.
    pub smallest_p: f64,
}

/// Rows up to this length together are judged by counting every way to divide them, longer ones by the normal
/// approximation.
const EXACT_UP_TO: usize = 40;

/// The normal approximation is good from this length of the shorter row on (Mann and Whitney 1947, section 4).
const NORMAL_FROM: usize = 8;

/// Tests two rows of finite numbers; `None` when one is empty.
pub fn rank_test(first: &[f64], second: &[f64]) -> Option<RankTest> {
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let ranks = doubled_ranks(first, second);
    let sum: u64 = ranks[..first.len()].iter().sum();
    let (n, m) = (float(first.len()), float(second.len()));
    // U of the first row: pairs in which the first is the larger (Mann and Whitney 1947).
    let u = float64(sum) / 2.0 - n * (n + 1.0) / 2.0;
    let is_exact = first.len() + second.len() <= EXACT_UP_TO;
    let p = if is_exact { exact(&ranks, first.len(), sum) } else { approximate(&ranks, n, m, u) };
    // A few values beside many are too few for the approximation: such a row says nothing.
    let smallest_p = if is_exact || first.len().min(second.len()) >= NORMAL_FROM {
        (2.0 / ways(first.len(), second.len())).min(1.0)
    } else {
        1.0
    };
    Some(RankTest { second_larger: 1.0 - u / (n * m), p, smallest_p })
}

/// Twice the rank of each value among all, first row first; equal values share the mean of their ranks, which doubled is
/// a whole number.
fn doubled_ranks(first: &[f64], second: &[f64]) -> Vec<u64> {
    let all: Vec<f64> = first.iter().chain(second).copied().collect();
    let mut order: Vec<usize> = (0..all.len()).collect();
    order.sort_by(|a, b| all[*a].total_cmp(&all[*b]));
    let mut ranks = vec![0; all.len()];
    for alike in order.chunk_by(|a, b| all[*a].total_cmp(&all[*b]).is_eq()) {
        let before = order.partition_point(|i| all[*i].total_cmp(&all[alike[0]]).is_lt());
        for index in alike {
            ranks[*index] = (2 * before + alike.len() + 1) as u64;
        }
    }
    ranks
}

/// Every way to choose as many of the ranks as the first row has, counted by their sum.
fn exact(ranks: &[u64], chosen: usize, sum: u64) -> f64 {
    let most: u64 = ranks.iter().sum();
    let width = usize::try_from(most).unwrap_or(0) + 1;
    // ways[k][s]: how many choices of k ranks have the sum s.
    let mut ways = vec![vec![0.0f64; width]; chosen + 1];
    ways[0][0] = 1.0;
    for rank in ranks {
        let rank = usize::try_from(*rank).unwrap_or(0);
        for k in (1..=chosen).rev() {
            let (fewer, these) = ways.split_at_mut(k);
            for s in rank..width {
                these[0][s] += fewer[k - 1][s - rank];
            }
        }
    }
    let total: f64 = ways[chosen].iter().sum();
    let at = usize::try_from(sum).unwrap_or(0);
    let below: f64 = ways[chosen][..=at].iter().sum();
    let above: f64 = ways[chosen][at..].iter().sum();
    (2.0 * below.min(above) / total).min(1.0)
}

/// The normal approximation with corrections for ties and continuity (Lehmann, Nonparametrics, 1.4).
fn approximate(ranks: &[u64], n: f64, m: f64, u: f64) -> f64 {
    let all = n + m;
    let mut sorted = ranks.to_vec();
    sorted.sort_unstable();
    let ties: f64 = sorted
        .chunk_by(|a, b| a == b)
        .map(|alike| {
            let t = float(alike.len());
            t * t * t - t
        })
        .sum();
    let variance = n * m / 12.0 * ((all + 1.0) - ties / (all * (all - 1.0)));
    if variance <= 0.0 {
        // All values alike.
        return 1.0;
    }
    let distance = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    libm::erfc(distance / variance.sqrt() / std::f64::consts::SQRT_2)
}

/// In how many ways rows of these lengths can be mixed.
fn ways(n: usize, m: usize) -> f64 {
    (1..=n).fold(1.0, |ways, k| ways * float(m + k) / float(k))
}

/// Holm's correction: what each `p` comes to when all of them are judged together, in their order.
pub fn together(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut adjusted = vec![0.0; ps.len()];
    let mut least = 0.0f64;
    for (position, index) in order.iter().enumerate() {
        least = least.max((ps[*index] * float(ps.len() - position)).min(1.0));
        adjusted[*index] = least;
    }
    adjusted
}

#[allow(clippy::cast_precision_loss)]
fn float(count: usize) -> f64 {
    count as f64
}

#[allow(clippy::cast_precision_loss)]
fn float64(sum: u64) -> f64 {
    sum as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by SciPy 1.10.1: `scipy.stats.mannwhitneyu(…, alternative="two-sided")`, exact without ties, and for the
    /// third row the count of all 462 divisions.
    #[test]
    fn small_rows_are_judged_exactly() {
        let permeability = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        for (source, first, second, p) in [
            (
                "SciPy's own example",
                &[19.0, 22.0, 16.0, 29.0, 24.0][..],
                &[20.0, 11.0, 17.0, 12.0][..],
                0.111_111_111_1,
            ),
            // R's wilcox.test shows 0.1272 one-sided.
            (
                "Hollander and Wolfe 1973, 69f",
                &permeability[..],
                &[1.15, 0.88, 0.90, 0.74, 1.21][..],
                0.254_412_254_4,
            ),
            (
                "with ties",
                &[1.0, 2.0, 2.0, 3.0, 3.0, 3.0][..],
                &[2.0, 3.0, 4.0, 4.0, 5.0][..],
                0.112_554_112_6,
            ),
            ("all alike", &[1.0, 1.0][..], &[1.0, 1.0][..], 1.0),
        ] {
            let test = rank_test(first, second).unwrap();
            assert!((test.p - p).abs() < 1e-9, "{source}: {}", test.p);
        }
        let tortoise = rank_test(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0]).unwrap();
        assert!((tortoise.second_larger - (1.0 - 17.0 / 20.0)).abs() < 1e-12);
    }

    /// Values by SciPy 1.10.1, `method="asymptotic"`.
    #[test]
    fn long_rows_are_judged_by_the_normal_approximation() {
        let ties: (Vec<f64>, Vec<f64>) = (
            (0..60).map(|i| f64::from(i * 7 % 13)).collect(),
            (0..45).map(|i| f64::from(i * 5 % 11 + 1)).collect(),
        );
        let apart: (Vec<f64>, Vec<f64>) = (
            (0..100).map(|i| 10.0 + f64::from(i * 37 % 101) / 50.0).collect(),
            (0..80).map(|i| 10.5 + f64::from(i * 53 % 97) / 50.0).collect(),
        );
        for ((first, second), u, p) in
            [(ties, 1342.5, 0.963_729_216_441_341_3), (apart, 2433.0, 6.491_002_114_269_847e-6)]
        {
            let test = rank_test(&first, &second).unwrap();
            assert!((test.p / p - 1.0).abs() < 1e-9, "{}", test.p);
            let share = 1.0 - u / (float(first.len()) * float(second.len()));
            assert!((test.second_larger - share).abs() < 1e-12);
        }
    }

    #[test]
    fn rows_too_short_to_tell_say_so() {
        let test = rank_test(&[1.0, 2.0, 3.0], &[10.0, 11.0, 12.0]).unwrap();
        assert!((test.p - 0.1).abs() < 1e-12 && (test.smallest_p - 0.1).abs() < 1e-12);
        assert_eq!(rank_test(&[], &[1.0]), None);
        let many: Vec<f64> = (0..100).map(f64::from).collect();
        assert!(rank_test(&[500.0, 501.0], &many).unwrap().smallest_p > 0.99);
    }

    /// Holm 1979; the row is that of R's `p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")`.
    #[test]
    fn many_tests_are_judged_together() {
        let adjusted = together(&[0.01, 0.04, 0.03, 0.005]);
        for (found, due) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            assert!((found - due).abs() < 1e-12, "{adjusted:?}");
        }
        assert!(together(&[]).is_empty());
    }
}
