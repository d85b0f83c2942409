//! The scoring rules of the Numenta Anomaly Benchmark, version 1.1, with alarms at one fixed threshold.
//! Source: A. Lavin, S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", ICMLA 2015, and `nab/sweeper.py`.

use super::series::Labelled;

/// What a hit, a false alarm and a miss count, in each profile.
struct Profile {
    hit: f64,
    false_alarm: f64,
    miss: f64,
}

const PROFILES: [Profile; 3] = [
    Profile { hit: 1.0, false_alarm: 0.11, miss: 1.0 },
    Profile { hit: 1.0, false_alarm: 0.22, miss: 1.0 },
    Profile { hit: 1.0, false_alarm: 0.11, miss: 2.0 },
];

/// Standard, few false positives, few false negatives: 0 for a detector that never speaks, 100 for a perfect one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) profiles: [f64; 3],
    pub(crate) hits: usize,
    pub(crate) windows: usize,
    pub(crate) false_alarms: usize,
}

/// The first 15 % of a series, and of 5,000 values at the most, are not scored.
pub(crate) fn probation(values: usize) -> usize {
    (values * 15 / 100).min(750)
}

/// Scores alarms, one list for each series.
pub(crate) fn score<'a>(scored: impl Iterator<Item = (&'a Labelled, &'a [bool])>) -> Score {
    let (mut sums, mut score) = ([0.0; 3], Score::default());
    for (labelled, alarms) in scored {
        let (hits, false_alarms) = one(labelled, alarms);
        score.hits += hits.len();
        score.windows += labelled.anomalies.len();
        score.false_alarms += false_alarms.len();
        for (sum, profile) in sums.iter_mut().zip(&PROFILES) {
            *sum += profile.hit * hits.iter().sum::<f64>() + profile.false_alarm * false_alarms.iter().sum::<f64>();
            *sum -= profile.miss * (labelled.anomalies.len() - hits.len()) as f64;
        }
    }
    for ((scaled, sum), profile) in score.profiles.iter_mut().zip(sums).zip(&PROFILES) {
        let (silent, perfect) = (-profile.miss * score.windows as f64, profile.hit * score.windows as f64);
        *scaled = 100.0 * (sum - silent) / (perfect - silent);
    }
    score
}

/// The worth of each window that was hit, by its first alarm, and of each alarm outside.
fn one(labelled: &Labelled, alarms: &[bool]) -> (Vec<f64>, Vec<f64>) {
    let probation = probation(alarms.len());
    let hits = labelled.anomalies.iter().filter_map(|(first, last)| {
        let hit = (probation.max(*first)..=*last).find(|place| alarms[*place])?;
        Some(sigmoid(-((last - hit + 1) as f64) / (last - first + 1) as f64) / sigmoid(-1.0))
    });
    let outside = (probation..alarms.len()).filter(|place| alarms[*place] && !labelled.is_anomaly(*place));
    let false_alarms = outside.map(|place| {
        let before = labelled.anomalies.iter().rev().find(|(_, last)| *last < place);
        before.map_or(-1.0, |(first, last)| sigmoid((place - last) as f64 / (last - first) as f64))
    });
    (hits.collect(), false_alarms.collect())
}

/// 1 at the left of a window, 0 at its right end, -1 far behind it.
fn sigmoid(position: f64) -> f64 {
    if position > 3.0 { -1.0 } else { 2.0 / (1.0 + (5.0 * position).exp()) - 1.0 }
}
