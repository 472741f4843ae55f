//! Kendall's rank correlation.

/// Kendall's tau-b between two measures of the same items: over the pairs of `chosen` items, those in the same order
/// less those in opposite orders, over the geometric mean of the pairs that each measure orders (Kendall, "The
/// Treatment of Ties in Ranking Problems", 1945). An item may be chosen more than once, as in a bootstrap; it forms no
/// pair with itself. `None` where a measure orders no pair.
pub fn tau(a: &[f64], b: &[f64], chosen: &[usize]) -> Option<f64> {
    let (mut agreement, mut ordered_by_a, mut ordered_by_b) = (0_i64, 0_u64, 0_u64);
    for (place, &i) in chosen.iter().enumerate() {
        for &j in chosen[..place].iter().filter(|&&j| j != i) {
            let (by_a, by_b) = (order(a[i], a[j]), order(b[i], b[j]));
            agreement += by_a * by_b;
            ordered_by_a += by_a.unsigned_abs();
            ordered_by_b += by_b.unsigned_abs();
        }
    }
    let pairs = (ordered_by_a as f64 * ordered_by_b as f64).sqrt();
    (pairs > 0.0).then(|| agreement as f64 / pairs)
}

/// Absolute value that tau of two unrelated rankings of `items` exceeds in 5 of 100 cases, by the normal approximation
/// of its distribution.
pub fn detectable(items: usize) -> f64 {
    let n = items as f64;
    1.96 * (2.0 * (2.0 * n + 5.0) / (9.0 * n * (n - 1.0))).sqrt()
}

fn order(x: f64, y: f64) -> i64 {
    i64::from(x > y) - i64::from(x < y)
}

#[cfg(test)]
mod tests {
    use super::{detectable, tau};

    fn all(a: &[f64], b: &[f64]) -> Option<f64> {
        tau(a, b, &(0..a.len()).collect::<Vec<_>>())
    }

    #[test]
    fn same_and_opposite_orders() {
        let a = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(all(&a, &[10.0, 20.0, 30.0, 40.0]), Some(1.0));
        assert_eq!(all(&a, &[4.0, 3.0, 2.0, 1.0]), Some(-1.0));
        assert_eq!(all(&a, &[1.0; 4]), None);
    }

    /// scipy.stats.kendalltau of scipy 1.17 gives these.
    #[test]
    fn ties_count_as_in_tau_b() {
        let (a, b) = ([12.0, 2.0, 1.0, 12.0, 2.0], [1.0, 4.0, 7.0, 1.0, 0.0]);
        assert!((all(&a, &b).unwrap() - -0.471_404_520_791_031_7).abs() < 1e-15);
        let (a, b) = ([0.5, 0.7, 0.7, 0.9, 0.1, 0.3], [1.0, 2.0, 3.0, 3.0, 0.0, 2.0]);
        assert!((all(&a, &b).unwrap() - 0.741_249_316_661_101_2).abs() < 1e-15);
    }

    #[test]
    fn an_item_forms_no_pair_with_itself() {
        let (a, b) = ([1.0, 2.0, 3.0], [1.0, 3.0, 2.0]);
        // Pairs 0-1 and 0-2 twice each: all agree.
        assert_eq!(tau(&a, &b, &[0, 0, 1, 2]).map(|t| (t * 1e6).round()), Some(600_000.0));
        assert_eq!(tau(&a, &b, &[1, 1, 1]), None);
    }

    #[test]
    fn fewer_items_detect_less() {
        assert!((detectable(24) - 0.286).abs() < 1e-3 && detectable(12) > 0.4);
    }
}
