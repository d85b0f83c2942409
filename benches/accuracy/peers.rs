//! Small reference implementations to stand beside: a score for each value, by what came before it.

use super::series::Labelled;

/// A detector that scores values one by one.
pub(crate) type Peer = fn(&Labelled) -> Vec<f64>;

pub(crate) const PEERS: [(&str, Peer); 6] = [
    ("EWMA z-score", ewma),
    ("Holt-Winters, daily", holt_winters),
    ("rolling median and MAD", median),
    ("DSPOT", dspot),
    ("windowed Gaussian", gaussian),
    ("random", random),
];

fn values(labelled: &Labelled) -> impl Iterator<Item = f64> + '_ {
    labelled.series.points.iter().map(|(_, value)| *value)
}

/// Distance from an exponential average, in exponential standard deviations; half-lives of about 35 values.
fn ewma(labelled: &Labelled) -> Vec<f64> {
    const GAIN: f64 = 0.02;
    let (mut mean, mut variance, mut first) = (0.0, 0.0, true);
    let score = |value: f64| {
        if std::mem::take(&mut first) {
            mean = value;
            return 0.0;
        }
        let off = value - mean;
        let score = off.abs() / f64::sqrt(variance).max(1e-9);
        mean += GAIN * off;
        variance = (1.0 - GAIN) * (variance + GAIN * off * off);
        if variance > 0.0 { score } else { 0.0 }
    };
    values(labelled).map(score).collect()
}

/// Additive Holt-Winters without a trend, α = 0.1, γ = 0.1; the residual in mean absolute residuals.
fn holt_winters(labelled: &Labelled) -> Vec<f64> {
    let period = ((86_400.0 / labelled.every().as_secs_f64()) as usize).max(1);
    let (mut level, mut season, mut scale) = (f64::NAN, vec![0.0; period], 0.0);
    let mut scores = Vec::with_capacity(labelled.len());
    for (place, value) in values(labelled).enumerate() {
        let bucket = place % period;
        if level.is_nan() {
            level = value;
        }
        let off = value - level - season[bucket];
        scores.push(if place > period && scale > 0.0 { off.abs() / scale } else { 0.0 });
        let before = level;
        level += 0.1 * (value - season[bucket] - level);
        season[bucket] += if place < period { value - before - season[bucket] } else { 0.1 * (value - level - season[bucket]) };
        scale += if place > period { 0.001 } else { 1.0 / (place + 1) as f64 } * (off.abs() - scale);
    }
    scores
}

/// Distance from the median of the last 100 values, in median absolute deviations.
fn median(labelled: &Labelled) -> Vec<f64> {
    const WINDOW: usize = 100;
    let all: Vec<f64> = values(labelled).collect();
    let mut sorted: Vec<f64> = vec![];
    let mut scores = Vec::with_capacity(all.len());
    for (place, value) in all.iter().enumerate() {
        scores.push(if sorted.len() < WINDOW { 0.0 } else { (value - sorted[WINDOW / 2]).abs() / deviation(&sorted).max(1e-9) });
        if sorted.len() == WINDOW {
            let old = all[place - WINDOW];
            sorted.remove(sorted.partition_point(|other| *other < old));
        }
        sorted.insert(sorted.partition_point(|other| other < value), *value);
    }
    scores
}

/// The median distance from the median of what is sorted: the two halves are merged up to their middle.
fn deviation(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    let (mut low, mut high, mut last) = (middle, middle, 0.0);
    for _ in 0..middle {
        let down = low.checked_sub(1).map_or(f64::INFINITY, |place| sorted[middle] - sorted[place]);
        let up = sorted.get(high + 1).map_or(f64::INFINITY, |value| value - sorted[middle]);
        last = down.min(up);
        if down <= up { low -= 1 } else { high += 1 }
    }
    last
}

/// Drift SPOT (Siffer et al., KDD 2017) on both sides, depth 50, calibrated on 1,000 values, the tail fitted by its moments;
/// the score is -log10 of the probability of the excess.
fn dspot(labelled: &Labelled) -> Vec<f64> {
    const DEPTH: usize = 50;
    const CALIBRATION: usize = 1000;
    const LEVEL: f64 = 0.98;
    let all: Vec<f64> = values(labelled).collect();
    let mut scores = vec![0.0; all.len().min(DEPTH)];
    let (mut sum, mut offs): (f64, Vec<f64>) = (all.iter().take(DEPTH).sum(), vec![]);
    let (mut threshold, mut excesses, mut seen) = (0.0, (0.0, 0.0, 0.0), 0.0);
    for place in DEPTH..all.len() {
        let off = (all[place] - sum / DEPTH as f64).abs();
        if offs.len() < CALIBRATION {
            offs.push(off);
            if offs.len() == CALIBRATION {
                offs.sort_by(f64::total_cmp);
                threshold = offs[(LEVEL * CALIBRATION as f64) as usize];
                seen = CALIBRATION as f64;
                offs.iter().filter(|off| **off > threshold).for_each(|off| add(&mut excesses, off - threshold));
            }
            scores.push(0.0);
        } else {
            seen += 1.0;
            let (count, mean, square) = excesses;
            let shape = (0.5 * (1.0 - mean * mean / (square - mean * mean).max(1e-300))).clamp(-0.5, 0.45);
            let scale = (mean * (1.0 - shape)).max(1e-300);
            let tail = (1.0 + shape * (off - threshold) / scale).max(1e-12).powf(-1.0 / if shape == 0.0 { 1e-9 } else { shape });
            let score = if off > threshold { -(count / seen * tail).max(1e-30).log10() } else { 0.0 };
            // An alarm (q = 10^-4) teaches neither the tail nor the drift.
            if score < 4.0 && off > threshold {
                add(&mut excesses, off - threshold);
            }
            scores.push(score);
        }
        sum += all[place] - all[place - DEPTH];
    }
    scores
}

fn add((count, mean, square): &mut (f64, f64, f64), excess: f64) {
    *count += 1.0;
    *mean += (excess - *mean) / *count;
    *square += (excess * excess - *square) / *count;
}

/// The benchmark's own: the tail of a normal distribution fitted to a window of 6,400 values.
fn gaussian(labelled: &Labelled) -> Vec<f64> {
    const WINDOW: usize = 6400;
    const STEP: usize = 100;
    let all: Vec<f64> = values(labelled).collect();
    let (mut mean, mut deviation) = (0.0, 1.0);
    let score = |(place, value): (usize, &f64)| {
        if place % STEP == 0 {
            let window = &all[place.saturating_sub(WINDOW)..place];
            let count = window.len().max(1) as f64;
            mean = window.iter().sum::<f64>() / count;
            deviation = (window.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt().max(1e-6);
        }
        if place == 0 { 0.0 } else { (value - mean).abs() / deviation }
    };
    all.iter().enumerate().map(score).collect()
}

/// The sanity line.
fn random(labelled: &Labelled) -> Vec<f64> {
    let mut random = crate::random::Random(42);
    (0..labelled.len()).map(|_| random.share()).collect()
}

/// An alarm is the first value above the threshold after ten that were not: as for the detector beside it.
pub(crate) fn alarms(scores: &[f64], threshold: f64) -> Vec<bool> {
    let mut calm = 10;
    let alarm = |score: &f64| {
        let above = *score >= threshold;
        let first = above && calm >= 10;
        calm = if above { 0 } else { calm + 1 };
        first
    };
    scores.iter().map(alarm).collect()
}
