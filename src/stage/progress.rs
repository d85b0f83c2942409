//! Event time in a stage: what each origin has told of its progress, and what follows from it.
//!
//! The *watermark* is the minimum over the live origins; it never goes back. An origin that told nothing for
//! `idle_after`, measured on ticks, is let go. Where none is live the watermark stands still: silence is not
//! progress. The *clock* then goes on at the ticks' pace, for what lasts until told otherwise: a firing
//! alert, the absence of data. What it has gone on by is not lost when origins are announced again, as after a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{Origin, Timestamp};

/// Progress by origin, and the ticks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    origins: BTreeMap<Origin, Heard>,
    watermark: Timestamp,
    /// The last tick; `MIN` before the first.
    tick: Timestamp,
    /// The tick at which any origin was last heard of.
    heard: Timestamp,
    /// The tick at which any origin last told a time: that one is announced again says nothing of how long all have been silent.
    told: Timestamp,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Heard {
    progress: Timestamp,
    tick: Timestamp,
}

impl Default for Progress {
    fn default() -> Self {
        let never = Timestamp::MIN;
        Self { origins: BTreeMap::new(), watermark: never, tick: never, heard: never, told: never }
    }
}

/// A clock that goes back by so much was set back; by less it is only read anew.
const SET_BACK: Duration = Duration::from_secs(1);

impl Progress {
    /// An origin tells that it is alive and that nothing earlier than `progress` is to come, as far as it knows.
    /// `Timestamp::MIN` announces an origin that has told nothing yet: time waits for it.
    pub fn hear(&mut self, origin: &Origin, progress: Timestamp, idle_after: Duration) {
        let now = self.tick;
        let heard = self.origins.entry(origin.clone()).or_insert(Heard { progress, tick: now });
        if progress > Timestamp::MIN {
            self.told = now;
        }
        heard.progress = heard.progress.max(progress);
        heard.tick = now;
        self.heard = now;
        self.advance(idle_after);
    }

    /// The wall clock, as the partition's owner recorded it. Time without ticks is time without an owner: nobody
    /// listened, so nobody was silent.
    pub fn tick(&mut self, now: Timestamp, idle_after: Duration) {
        let ahead = self.tick.since(now);
        if ahead >= SET_BACK {
            // That clock was fast, or is another owner's: what was heard was so as long ago as it was.
            let earlier = |t: Timestamp| if t == Timestamp::MIN { t } else { t - ahead };
            (self.tick, self.heard, self.told) = (now, earlier(self.heard), earlier(self.told));
            self.origins.values_mut().for_each(|heard| heard.tick = earlier(heard.tick));
            return self.advance(idle_after);
        }
        let unobserved = now.since(self.tick);
        if self.tick == Timestamp::MIN || unobserved >= idle_after {
            let later = |t: Timestamp| if t == Timestamp::MIN { now } else { t + unobserved };
            self.heard = later(self.heard);
            self.told = later(self.told);
            self.origins.values_mut().for_each(|heard| heard.tick = later(heard.tick));
        }
        self.tick = self.tick.max(now);
        self.advance(idle_after);
    }

    /// Whether nobody has told the time yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.tick == Timestamp::MIN
    }

    /// The origins that have told all they had of before then: they are past it, or were let go while time went past it. None
    /// where all have, or nobody tells anything by then.
    #[must_use]
    pub fn through(&self, until: Timestamp, idle_after: Duration) -> Option<BTreeSet<Origin>> {
        let idle = |heard: &Heard| self.tick.since(heard.tick) >= idle_after;
        let through = |heard: &Heard| heard.progress >= until || idle(heard) && self.watermark >= until;
        let silent = self.tick >= until && self.clock(idle_after) > self.watermark;
        if silent || !self.origins.is_empty() && self.origins.values().all(through) {
            return None;
        }
        Some(self.origins.iter().filter(|(_, heard)| through(heard)).map(|(origin, _)| origin.clone()).collect())
    }

    fn advance(&mut self, idle_after: Duration) {
        let live = self.origins.values().filter(|heard| self.tick.since(heard.tick) < idle_after);
        let slowest = live.map(|heard| heard.progress).min();
        if let Some(slowest) = slowest.or_else(|| self.last_told()) {
            self.watermark = self.watermark.max(slowest);
        }
    }

    /// Where all were let go at once, what the last of them told still stands.
    fn last_told(&self) -> Option<Timestamp> {
        let told = self.origins.values().filter(|heard| heard.progress > Timestamp::MIN);
        let last = told.clone().map(|heard| heard.tick).max()?;
        told.filter(|heard| heard.tick == last).map(|heard| heard.progress).min()
    }

    /// Up to when everything is known to have come.
    #[must_use]
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// The watermark, or, where nothing was heard for `idle_after`, later by as long as no time was told, and no later than the
    /// last tick.
    #[must_use]
    pub fn clock(&self, idle_after: Duration) -> Timestamp {
        if self.watermark == Timestamp::MIN || self.tick.since(self.heard) < idle_after {
            return self.watermark;
        }
        (self.watermark + self.tick.since(self.told)).min(self.tick.max(self.watermark))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(60);

    fn origin(partition: u32) -> Origin {
        Origin { topic: "metrics".into(), partition }
    }

    fn second(s: i64) -> Timestamp {
        Timestamp(s * 1000)
    }

    #[test]
    fn the_slowest_live_origin_holds_time_back() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(1), Timestamp::MIN, IDLE);
        p.hear(&origin(0), second(50), IDLE);
        assert_eq!(p.watermark(), Timestamp::MIN);
        p.hear(&origin(1), second(40), IDLE);
        assert_eq!(p.watermark(), second(40));
        p.hear(&origin(0), second(90), IDLE);
        p.tick(second(1030), IDLE);
        p.hear(&origin(0), second(120), IDLE);
        assert_eq!(p.watermark(), second(40));
        p.tick(second(1061), IDLE);
        assert_eq!(p.watermark(), second(120), "the idle one is let go");
    }

    #[test]
    fn one_that_never_spoke_does_not_hold_time_for_ever() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), Timestamp::MIN, IDLE);
        p.hear(&origin(1), second(50), IDLE);
        p.tick(second(1045), IDLE);
        p.tick(second(1090), IDLE);
        assert_eq!((p.watermark(), p.clock(IDLE)), (second(50), second(140)));
    }

    #[test]
    fn time_without_an_owner_is_no_silence() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), second(50), IDLE);
        p.tick(second(1605), IDLE);
        assert_eq!(p.clock(IDLE), second(50), "nobody listened for ten minutes");
        p.tick(second(1640), IDLE);
        p.tick(second(1670), IDLE);
        assert_eq!(p.clock(IDLE), second(115), "but since then");
    }

    #[test]
    fn a_clock_that_is_set_back_goes_on_from_there() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), second(50), IDLE);
        p.hear(&origin(1), second(60), IDLE);
        p.tick(second(1030), IDLE);
        p.tick(second(430), IDLE);
        p.hear(&origin(1), second(90), IDLE);
        assert_eq!(p.watermark(), second(50), "thirty seconds of silence are no minute");
        p.tick(second(461), IDLE);
        assert_eq!(p.watermark(), second(90), "but a minute is");
    }

    #[test]
    fn a_restart_takes_nothing_from_the_silence_before() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), second(50), IDLE);
        p.tick(second(1055), IDLE);
        p.tick(second(1090), IDLE);
        assert_eq!(p.clock(IDLE), second(140));
        p.hear(&origin(0), Timestamp::MIN, IDLE);
        p.tick(second(1145), IDLE);
        assert_eq!(p.clock(IDLE), second(50), "it may have something to tell");
        p.tick(second(1150), IDLE);
        assert_eq!(p.clock(IDLE), second(200), "it has not");
    }

    #[test]
    fn what_repeats_the_past_is_no_silence() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), second(900), IDLE);
        for now in (1030..2000).step_by(30) {
            p.tick(second(now), IDLE);
            p.hear(&origin(0), second(500), IDLE);
        }
        p.tick(second(2045), IDLE);
        p.tick(second(2075), IDLE);
        assert_eq!(p.clock(IDLE), second(985), "silent since 1990");
    }

    #[test]
    fn silence_is_no_progress_but_the_clock_goes_on() {
        let mut p = Progress::default();
        p.tick(second(1000), IDLE);
        p.hear(&origin(0), second(50), IDLE);
        p.tick(second(1059), IDLE);
        assert_eq!(p.clock(IDLE), second(50));
        p.tick(second(1090), IDLE);
        assert_eq!((p.watermark(), p.clock(IDLE)), (second(50), second(140)));
    }
}
