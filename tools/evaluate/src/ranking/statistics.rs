//! What rankings have in common, and how sure that is.

use cream_data::keyed::{Key, Purpose, below};

use super::kendall::tau;
use super::scores::{Ranking, Scores, Search};

/// By what networks are ranked.
#[derive(Clone, Copy)]
pub enum Measure {
    /// Share of images that are right.
    Top1,
    /// Loss, the lower the better.
    Loss,
}

impl Measure {
    fn of(self, ranking: &Ranking) -> &[f64] {
        match self {
            Self::Top1 => &ranking.top1,
            Self::Loss => &ranking.likelihood,
        }
    }
}

/// A statistic with its 95 % interval over resampled paths; `None` where nothing is ordered.
#[derive(Clone, Debug, Default)]
pub struct Estimate {
    /// Over the paths as they are.
    pub value: Option<f64>,
    /// 2.5th and 97.5th percentile over the resamples.
    pub interval: Option<(f64, f64)>,
    /// Share of the resamples in which it is above 0.
    pub above_zero: Option<f64>,
}

/// Kendall's tau by one measure.
pub struct Correlations {
    /// Between disjoint halves of the seeds of networks alone: what a perfect ranking could expect; with one seed none.
    pub ceiling: Option<Estimate>,
    /// Between FLOPs and networks alone.
    pub flops: Estimate,
    /// Between a search's ranking and networks alone, the mean over its runs.
    pub searches: Vec<Estimate>,
    /// The first search's less each other's, run by run.
    pub differences: Vec<Estimate>,
}

/// Sets of paths drawn with replacement.
pub struct Resamples(Vec<Vec<usize>>);

impl Resamples {
    /// So many sets of as many paths; a set is a function of the seed and its number.
    pub fn new(paths: usize, count: usize, seed: u64) -> Self {
        let key = Key::new(seed, Purpose::Bootstrap);
        let draw = |index: usize| {
            let mut rng = key.rng(&[index as u64, 0]);
            (0..paths).map(|_| below(&mut rng, paths as u64) as usize).collect()
        };
        Self((0..count).map(draw).collect())
    }

    fn estimate(&self, paths: usize, statistic: impl Fn(&[usize]) -> Option<f64>) -> Estimate {
        let value = statistic(&(0..paths).collect::<Vec<_>>());
        let mut drawn: Vec<f64> = self.0.iter().filter_map(|chosen| statistic(chosen)).collect();
        if drawn.is_empty() {
            return Estimate { value, ..Estimate::default() };
        }
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
        let above = drawn.iter().filter(|&&value| value > 0.0).count();
        let above_zero = Some(above as f64 / drawn.len() as f64);
        Estimate { value, interval: Some((at(0.025), at(0.975))), above_zero }
    }
}

/// The correlations by one measure.
pub fn correlations(scores: &Scores, measure: Measure, resamples: &Resamples) -> Correlations {
    let paths = scores.flops.len();
    let seeds: Vec<&[f64]> = scores.alone.iter().map(|ranking| measure.of(ranking)).collect();
    let alone = mean_of(&seeds);
    let of_search = |search: &Search, chosen: &[usize]| {
        mean(search.runs.iter().map(|run| tau(measure.of(run), &alone, chosen)))
    };
    let searches = &scores.searches;
    let difference = |other: &Search, chosen: &[usize]| {
        let runs = searches[0].runs.iter().zip(&other.runs);
        mean(runs.map(|(a, b)| {
            Some(tau(measure.of(a), &alone, chosen)? - tau(measure.of(b), &alone, chosen)?)
        }))
    };
    let halves = halves(&seeds);
    Correlations {
        ceiling: (!halves.is_empty()).then(|| {
            resamples.estimate(paths, |chosen| mean(halves.iter().map(|(a, b)| tau(a, b, chosen))))
        }),
        flops: resamples.estimate(paths, |chosen| tau(&scores.flops, &alone, chosen)),
        searches: searches
            .iter()
            .map(|search| resamples.estimate(paths, |chosen| of_search(search, chosen)))
            .collect(),
        differences: searches
            .iter()
            .skip(1)
            .map(|other| resamples.estimate(paths, |chosen| difference(other, chosen)))
            .collect(),
    }
}

/// The means of every split of the seeds into halves, or nearly so.
fn halves(seeds: &[&[f64]]) -> Vec<(Vec<f64>, Vec<f64>)> {
    // Past 16 seeds there are too many splits to take all.
    let count = seeds.len().min(16);
    let half = |split: &u32| {
        let inside = split.count_ones() as usize;
        count > 1 && (inside == count / 2 || count - inside == count / 2)
    };
    // The last seed is always outside, so that of a split and its mirror image one is taken.
    (1_u32..1 << count.saturating_sub(1))
        .filter(half)
        .map(|split| {
            let pick = |inside: bool| -> Vec<&[f64]> {
                let seeds = seeds[..count].iter().enumerate();
                seeds.filter(|(i, _)| (split >> i & 1 == 1) == inside).map(|(_, s)| *s).collect()
            };
            (mean_of(&pick(true)), mean_of(&pick(false)))
        })
        .collect()
}

/// The mean ranking of several, path by path.
pub fn mean_of(rankings: &[&[f64]]) -> Vec<f64> {
    let paths = rankings.first().map_or(0, |ranking| ranking.len());
    let at = |path: usize| rankings.iter().map(|ranking| ranking[path]).sum::<f64>();
    (0..paths).map(|path| at(path) / rankings.len() as f64).collect()
}

/// The mean of those there are.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let values: Vec<f64> = values.flatten().collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// How top-1 alone varies, as standard deviations of shares.
pub struct Spread {
    /// Of the worst and of the best path, the mean over seeds.
    pub range: (f64, f64),
    /// Between the paths' means over seeds.
    pub between_paths: f64,
    /// Between the seeds of a path, pooled; with one seed none.
    pub between_seeds: Option<f64>,
    /// Of one network's score by the sample of images.
    pub sampling: f64,
}

/// How the networks alone vary.
pub fn spread(scores: &Scores) -> Spread {
    let seeds: Vec<&[f64]> = scores.alone.iter().map(|ranking| ranking.top1.as_slice()).collect();
    let means = mean_of(&seeds);
    let (paths, centre) = (means.len() as f64, means.iter().sum::<f64>() / means.len() as f64);
    let squares = |values: &mut dyn Iterator<Item = f64>, centre: f64| -> f64 {
        values.map(|value| (value - centre).powi(2)).sum()
    };
    let within: f64 = means
        .iter()
        .enumerate()
        .map(|(path, &mean)| squares(&mut seeds.iter().map(|seed| seed[path]), mean))
        .sum();
    let freedom = paths * (seeds.len() as f64 - 1.0);
    Spread {
        range: (
            means.iter().copied().fold(f64::INFINITY, f64::min),
            means.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ),
        between_paths: (squares(&mut means.iter().copied(), centre) / (paths - 1.0)).sqrt(),
        between_seeds: (freedom > 0.0).then(|| (within / freedom).sqrt()),
        sampling: (centre * (1.0 - centre) / scores.images.max(1) as f64).sqrt(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Measure, Ranking, Resamples, Scores, Search, correlations, halves, spread};

    fn ranking(top1: &[f64]) -> Ranking {
        Ranking { top1: top1.to_vec(), likelihood: top1.iter().map(|v| v - 2.0).collect() }
    }

    #[test]
    fn seeds_split_into_every_pair_of_halves_once() {
        let seeds: Vec<Vec<f64>> = (0..4).map(|seed| vec![f64::from(1 << seed)]).collect();
        let count = |n: usize| {
            let some: Vec<&[f64]> = seeds[..n].iter().map(Vec::as_slice).collect();
            let halves = halves(&some);
            for (a, b) in &halves {
                // 1, 2, 4, 8 each on one side only.
                let (x, y) = (n / 2, n - n / 2);
                let sums = [a[0] * x as f64 + b[0] * y as f64, a[0] * y as f64 + b[0] * x as f64];
                assert!(sums.contains(&f64::from((1 << n) - 1)), "{a:?} {b:?}");
            }
            halves.len()
        };
        assert_eq!([count(1), count(2), count(3), count(4)], [0, 1, 3, 3]);
    }

    #[test]
    fn a_search_that_ranks_as_networks_alone_do_beats_one_that_does_not() {
        let order: Vec<f64> = (0..12).map(|path| f64::from(path) / 100.0).collect();
        let reverse: Vec<f64> = order.iter().map(|v| 1.0 - v).collect();
        let scores = Scores {
            flops: reverse.clone(),
            images: 100,
            alone: vec![ranking(&order), ranking(&order)],
            searches: vec![
                Search { name: "good".to_owned(), runs: vec![ranking(&order)] },
                Search { name: "bad".to_owned(), runs: vec![ranking(&reverse)] },
            ],
        };
        for measure in [Measure::Top1, Measure::Loss] {
            let found = correlations(&scores, measure, &Resamples::new(12, 200, 0));
            assert_eq!(found.searches[0].value, Some(1.0));
            assert_eq!(found.searches[1].interval, Some((-1.0, -1.0)));
            assert_eq!(found.differences[0].value, Some(2.0));
            assert_eq!(found.differences[0].above_zero, Some(1.0));
            assert_eq!(found.ceiling.unwrap().value, Some(1.0));
            assert_eq!(found.flops.value, Some(-1.0));
        }
        let spread = spread(&scores);
        assert!((spread.between_paths - 0.036_055_512_754_639_89).abs() < 1e-12);
        assert_eq!(spread.between_seeds, Some(0.0));
    }
}
