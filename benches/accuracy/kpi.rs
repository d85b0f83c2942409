//! How the KPI competition counts, and how people on call do.
//!
//! *Delay-7 F1*: a labelled segment counts as found, with all its points, where an alarm falls into its first eight points,
//! and as missed otherwise; alarms outside segments count one by one. *Events*: a segment is found by any alarm in it; an
//! episode of alarms (less than ten values apart) is false where it touches no segment.

use super::series::Labelled;

/// The largest delay of an alarm.
const DELAY: usize = 7;

/// Alarms closer together than this are of one episode.
const APART: usize = 10;

#[derive(Clone, Debug, Default)]
pub(crate) struct Score {
    found: usize,
    missed: usize,
    false_points: usize,
    events: usize,
    events_found: usize,
    episodes: usize,
    episodes_true: usize,
    days: f64,
    delays: Vec<usize>,
}

impl Score {
    /// Counts one series from a place on.
    pub(crate) fn add(&mut self, labelled: &Labelled, alarms: &[bool], from: usize) {
        self.days += labelled.days(alarms.len() - from);
        for (first, last) in labelled.anomalies.iter().filter(|(_, last)| *last >= from) {
            let first = (*first).max(from);
            let alarm = (first..=*last).find(|place| alarms[*place]);
            self.events += 1;
            self.events_found += usize::from(alarm.is_some());
            self.delays.extend(alarm.map(|place| place - first));
            let points = last - first + 1;
            if alarm.is_some_and(|place| place - first <= DELAY) { self.found += points } else { self.missed += points }
        }
        let mut episode: Option<(usize, bool)> = None;
        for place in (from..alarms.len()).filter(|place| alarms[*place]) {
            let within = labelled.is_anomaly(place);
            self.false_points += usize::from(!within);
            match &mut episode {
                Some((last, touches)) if place - *last <= APART => (*last, *touches) = (place, *touches || within),
                _ => {
                    self.end(episode);
                    episode = Some((place, within));
                }
            }
        }
        self.end(episode);
    }

    fn end(&mut self, episode: Option<(usize, bool)>) {
        if let Some((_, touches)) = episode {
            self.episodes += 1;
            self.episodes_true += usize::from(touches);
        }
    }

    pub(crate) fn delay_7(&self) -> f64 {
        2.0 * self.found as f64 / (2 * self.found + self.missed + self.false_points).max(1) as f64
    }

    pub(crate) fn precision(&self) -> f64 {
        self.episodes_true as f64 / self.episodes.max(1) as f64
    }

    pub(crate) fn recall(&self) -> f64 {
        self.events_found as f64 / self.events.max(1) as f64
    }

    pub(crate) fn event_f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE)
    }

    pub(crate) fn false_a_day(&self) -> f64 {
        (self.episodes - self.episodes_true) as f64 / self.days
    }

    /// The delay of that share of the segments that were found.
    pub(crate) fn delay(&self, share: f64) -> usize {
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        let place = (share * delays.len() as f64) as usize;
        delays.get(place.min(delays.len().saturating_sub(1))).copied().unwrap_or(0)
    }
}
