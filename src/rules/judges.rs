//! Judges as they are written → as they are used.

use std::sync::Arc;
use std::time::Duration;

use crate::model::duration;
use crate::model::labels::Fnv;

use super::baseline::{BaselineRule, Constants, Dynamics, MinChange, Season};
use super::calendar::{Calendar, named};
use super::compiled::{Absent, Amount, Combine, CompareRule, ForecastRule, JudgeRules, Limits, Side};
use super::fault::{At, Fault};
use super::raw;

/// A level that has lasted for so long is the new normal one, where nothing else is said.
const RELEARN: Duration = Duration::from_secs(86_400);

/// Evaluations inside the band before a breach ends, where nothing else is said.
const KEEP: u32 = 10;

/// The longest that is looked back for a comparison.
const LAG_MAX: Duration = Duration::from_secs(35 * 86_400);

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// The judges of a monitor that is evaluated once in so long, and what is wrong with them.
pub(super) fn compile(file: &str, judge: &raw::Judge, every: Duration, calendars: &[Arc<Calendar>]) -> (JudgeRules, Vec<Fault>) {
    let mut faults = vec![];
    let limits = judge.fixed.as_ref().map(|at| limits(file, at, &mut faults));
    let baseline = judge.baseline.as_ref().map(|at| baseline(file, at, every, calendars, &mut faults));
    let change = judge.change.as_ref().map(|at| {
        let raw::Change { within, rise, drop } = &at.value;
        compare(file, at, within, (*rise, *drop), every, &mut faults)
    });
    let compare = judge.compare.as_ref().map(|at| {
        let raw::Compare { with, rise, drop } = &at.value;
        compare(file, at, with, (*rise, *drop), every, &mut faults)
    });
    let forecast = judge.forecast.as_ref().map(|at| forecast(file, at, &mut faults));
    if let Some(flat) = judge.flatline.as_ref().filter(|flat| flat.value.0 < every * 2) {
        faults.push(flat.fault(file, "a flatline is at least two steps long"));
    }
    if let Some(absent) = judge.absent.as_ref().filter(|absent| absent.value == Absent::After(Duration::ZERO)) {
        faults.push(absent.fault(file, "absent after 0s; give it longer than the time between two samples"));
    }
    if let Some(absent) =
        judge.absent.as_ref().filter(|absent| matches!(absent.value, Absent::After(after) if !after.is_zero() && after < every))
    {
        faults.push(absent.fault(file, "absent before the next step: it is looked at once in `every`, so give it that long at the least"));
    }
    if let Some(least) = judge.min_traffic.as_ref().filter(|least| !least.value.is_finite() || least.value <= 0.0) {
        faults.push(least.fault(file, format!("{} is no number of requests; write one above 0", least.value)));
    }
    let values_judged = limits.is_some() || baseline.is_some() || change.is_some() || compare.is_some() || forecast.is_some();
    if let Some(absent) = judge.absent.as_ref().filter(|_| judge.hold.is_some() && !values_judged && judge.flatline.is_none()) {
        faults.push(absent.fault(file, "`for` beside `absent` alone: it says itself how long nothing may come"));
    }
    let min_traffic = judge.min_traffic.as_ref().map(|least| least.value);
    let (absent, combine) = (judge.absent.as_ref().map(|absent| absent.value), judge.combine);
    let keep_firing = judge.keep_firing_for.map_or(if baseline.is_some() { every * KEEP } else { Duration::ZERO }, |span| span.0);
    let flatline = judge.flatline.as_ref().map(|flat| flat.value.0);
    let hold = judge.hold.unwrap_or_default().0;
    let relearn = judge.baseline.as_ref().and_then(|baseline| baseline.value.relearn.as_ref()).filter(|relearn| hold >= relearn.value.0);
    if let Some(relearn) = relearn {
        let (own, hold) = (duration::show(relearn.value.0), duration::show(hold));
        faults.push(
            relearn.fault(file, format!("after {own} it is normal, before it has been bad `for: {hold}`; make `relearn` the longer")),
        );
    }
    (JudgeRules { limits, baseline, change, compare, forecast, flatline, absent, combine, min_traffic, hold, keep_firing }, faults)
}

/// For how long an alert may be silent that fires as long as all is well; of alerts nothing else is judged here.
///
/// # Errors
/// Something else is asked, in words.
pub(super) fn heartbeat(judge: &raw::Judge) -> Result<Duration, String> {
    let raw::Judge {
        absent: Some(absent),
        combine: Combine::Any,
        fixed: None,
        baseline: None,
        change: None,
        compare: None,
        forecast: None,
        flatline: None,
        min_traffic: None,
        hold: None,
        keep_firing_for: None,
    } = judge
    else {
        let message = "`judge` with `alerts`: they were judged where they come from; only `absent: 15m` can be asked, and nothing \
                       beside it, of one that fires as long as all is well";
        return Err(message.into());
    };
    match absent.value {
        Absent::After(within) if !within.is_zero() => Ok(within),
        Absent::After(_) => Err("absent after 0s; give it longer than the time between two repeats of the alert".into()),
        Absent::Learnt => Err("how often an alert is repeated is not learnt; say for how long it may be absent, such as 15m".into()),
    }
}

fn limits(file: &str, at: &At<raw::Static>, faults: &mut Vec<Fault>) -> Limits {
    let raw::Static { above, below, until } = &at.value;
    match (above, below) {
        (None, None) => faults.push(at.fault(file, "limits nothing; add above or below")),
        (Some(a), Some(b)) if b >= a => {
            faults.push(at.fault(file, format!("below {b} and above {a} leave nothing that is good; below must be the smaller")));
        }
        _ => {}
    }
    if let Some(until) = until {
        let message = match (above, below) {
            (Some(_), Some(_)) => Some("`until` with both above and below; of which is it the end?".to_owned()),
            (Some(above), None) if until.value > *above => {
                Some(format!("until {} lies above {above}; a breach could not last", until.value))
            }
            (None, Some(below)) if until.value < *below => {
                Some(format!("until {} lies below {below}; a breach could not last", until.value))
            }
            _ => None,
        };
        faults.extend(message.map(|message| until.fault(file, message)));
    }
    Limits { above: *above, below: *below, until: until.as_ref().map(|until| until.value) }
}

/// One evaluation in so many may be as surprising by chance: 100,000, 10,000 and 2,000, or what the wish for a month says.
fn baseline(file: &str, at: &At<raw::Baseline>, every: Duration, calendars: &[Arc<Calendar>], faults: &mut Vec<Fault>) -> BaselineRule {
    let raw = &at.value;
    let monthly = MONTH.as_secs_f64() / every.as_secs_f64().max(1e-3);
    let one_in = match raw.sensitivity {
        raw::Sensitivity::Low => 1e5,
        raw::Sensitivity::Normal => 1e4,
        raw::Sensitivity::High => 2e3,
        raw::Sensitivity::Monthly(wish) => monthly / wish,
    };
    if one_in < 100.0 {
        let most = (monthly / 10.0).floor() / 10.0;
        faults.push(at.fault(file, format!("that is more than one evaluation in 100; at most {most} a month can be asked for")));
    }
    if one_in > 1e10 {
        faults.push(at.fault(file, "that is less than one evaluation in 10,000,000,000; so rare a thing cannot be known"));
    }
    let season = raw.season;
    if let Season::Every(period) = season
        && period < every * 4
    {
        faults.push(at.fault(file, "a season is at least four steps long"));
    }
    let relearn = raw.relearn.as_ref().map_or(RELEARN, |span| span.value.0);
    if let Some(span) = raw.relearn.as_ref().filter(|span| span.value.0 < every * KEEP) {
        faults.push(span.fault(file, format!("a level is not taken for normal within {KEEP} steps")));
    }
    let calendar =
        raw.calendar.as_ref().and_then(|name| named(calendars, &name.value).map_err(|why| faults.push(name.fault(file, why))).ok());
    BaselineRule {
        season,
        surprise: libm::log10(one_in.max(100.0)) as f32,
        side: match raw.direction {
            raw::Direction::Up => Side::Above,
            raw::Direction::Down => Side::Below,
            raw::Direction::Both => Side::Both,
        },
        min_change: MinChange {
            absolute: raw.min_change.absolute.unwrap_or(0.0),
            relative: raw.min_change.relative.map_or(0.0, |share| share.0),
        },
        relearn,
        calendar,
        dynamics: Dynamics::new(Constants::SHIPPED, every),
    }
}

fn compare<T>(
    file: &str,
    at: &At<T>,
    lag: &At<raw::Span>,
    (rise, drop): (Option<Amount>, Option<Amount>),
    every: Duration,
    faults: &mut Vec<Fault>,
) -> CompareRule {
    if rise.is_none() && drop.is_none() {
        faults.push(at.fault(file, "limits nothing; add rise or drop"));
    }
    if lag.value.0 < every || lag.value.0 > LAG_MAX {
        faults.push(lag.fault(file, "looks back from one step to 35d"));
    }
    CompareRule { lag: lag.value.0, rise, drop }
}

fn forecast(file: &str, at: &At<raw::Forecast>, faults: &mut Vec<Fault>) -> ForecastRule {
    let raw::Forecast { within, above, below } = &at.value;
    if above.is_none() && below.is_none() {
        faults.push(at.fault(file, "limits nothing; add above or below"));
    }
    if within.value.0.is_zero() || within.value.0 > LAG_MAX {
        faults.push(within.fault(file, "looks ahead from 1s to 35d"));
    }
    ForecastRule { within: within.value.0, above: *above, below: *below }
}

impl JudgeRules {
    /// What is learnt at such steps is good under others of the same key: limits, sensitivity and holidays may differ.
    #[must_use]
    pub fn memory_key(&self, every: Duration) -> u64 {
        let zone = |baseline: &BaselineRule| baseline.calendar.as_ref().and_then(|calendar| calendar.zone_name().map(str::to_owned));
        let season = self.baseline.as_ref().map(|baseline| (baseline.season, zone(baseline)));
        let lags = [self.change, self.compare].map(|rule| rule.map(|rule| rule.lag));
        let ahead = self.forecast.map(|rule| rule.within);
        Fnv::of(&[format!("{every:?} {season:?} {lags:?} {ahead:?}").as_bytes()])
    }

    /// Whether what was is needed to judge what is.
    #[must_use]
    pub fn learns(&self) -> bool {
        let past = [self.change, self.compare].iter().any(Option::is_some);
        past || self.baseline.is_some() || self.forecast.is_some() || self.flatline.is_some() || self.absent.is_some()
    }

    pub(super) fn judges_nothing(&self) -> bool {
        let Self { limits, baseline, change, compare, forecast, flatline, absent, .. } = self;
        let values = limits.is_none() && baseline.is_none() && change.is_none() && compare.is_none();
        values && forecast.is_none() && flatline.is_none() && absent.is_none()
    }
}
