//! Service level objectives → monitors of how fast their error budgets burn: over a long window and a short one at once,
//! so that what is over ends soon. Source of the windows and rates: Google's SRE Workbook, "Alerting on SLOs".

use std::time::Duration;

use crate::model::duration;
use crate::model::number::percent;
use crate::query::{Query, Share};

use super::fault::{At, Fault};
use super::ladders::plain;
use super::raw::{self, Slo};

/// The level, how many times as fast as it may the budget burns, and the two windows, where the objective does not say: those that
/// somebody is woken for. What burns slowly is over hours after it has ended, by a short window of hours.
const BURN: [(u8, f64, u64, u64); 2] = [(2, 14.4, 3600, 300), (3, 6.0, 21_600, 1800)];

/// The budget is for so long where the objective does not say.
const OVER: Duration = Duration::from_secs(30 * 86_400);

/// What is spent within a window counts as long as it is being spent, over a short window that is so many times shorter.
const SPENT_SHORT: u64 = 12;

/// What stands for the window in an objective's queries.
const WINDOW: &str = "$window";

/// The monitors that an objective stands for.
pub(super) fn monitors(file: &str, at: At<Slo>, faults: &mut Vec<Fault>) -> Vec<raw::Monitor> {
    let slo = at.value;
    let budget = 1.0 - slo.objective.value.0;
    if !(budget > 0.0 && budget < 1.0) {
        faults.push(slo.objective.fault(file, "an objective is more than 0% and less than 100%"));
        return vec![];
    }
    for query in [&slo.errors, &slo.total].into_iter().filter(|query| !query.value.contains(WINDOW)) {
        faults.push(query.fault(file, "the query has no `[$window]`, which stands for the windows"));
    }
    check_traffic(&slo, file, faults);
    check_labels(&slo, file, faults);
    let errors = |window: Duration| burnt(&slo, budget, window);
    let usual = slo.burn.is_empty() && slo.spent.is_empty();
    let usual = BURN
        .iter()
        .filter(|_| usual)
        .map(|(level, rate, long, short)| (slo.name.with(*level), *rate, Duration::from_secs(*long), Duration::from_secs(*short)));
    let own = slo.burn.iter().map(|burn| {
        let raw::Burn { level, rate, long, short } = &burn.value;
        (level.with(level.value), *rate, long.0, short.0)
    });
    let mut rows: Vec<(raw::Monitor, u8)> = own
        .chain(usual)
        .map(|(level, rate, long, short)| {
            let query = both(&slo, (long, errors(long)), (rate, errors(short)));
            if short >= long || rate * budget > 1.0 || rate <= 0.0 || rate.is_nan() {
                let most = 1.0 / budget;
                faults.push(level.fault(file, format!("the short window is the shorter one, and the rate above 0, {most:.0} at the most")));
            }
            let windows = format!("{} and {}", duration::show(long), duration::show(short));
            let because = format!("the error budget burns more than {rate} times as fast as it may, over {windows}");
            let rank = level.value;
            (monitor(&slo, &format!("burn over {}", duration::show(long)), query, rate, (level, because)), rank)
        })
        .collect();
    let over = slo.over.as_ref().map_or(OVER, |over| over.value.0);
    rows.extend(slo.spent.iter().map(|spent| {
        let raw::Spent { level, budget, within } = &spent.value;
        if within.0.is_zero() || within.0 > over || !(budget.0 > 0.0 && budget.0 <= 1.0) {
            let over = duration::show(over);
            faults.push(
                level.fault(file, format!("what is spent is more than 0% of the budget and 100% at the most, within {over} or less")),
            );
        }
        let share = within.0.as_secs_f64() / over.as_secs_f64();
        // What is over is not on for as long as it is remembered.
        let short = Duration::from_secs((within.0.as_secs() / SPENT_SHORT).max(60));
        let query = both(&slo, (within.0, format!("{} * {share}", errors(within.0))), (1.0, errors(short)));
        let (rank, level) = (level.value, level.with(level.value));
        let percent = percent(budget.0);
        let because = format!("more than {percent}% of the error budget is spent within {}", duration::show(within.0));
        let monitor = monitor(&slo, &format!("budget spent in {}", duration::show(within.0)), query, budget.0, (level, because));
        (monitor, rank)
    }));
    let mut monitors: Vec<raw::Monitor> = vec![];
    let is_taken = |monitors: &[raw::Monitor], name: &str| monitors.iter().any(|other| other.name.value == name);
    for (mut monitor, rank) in rows {
        // A further one of the same window is named by its level as well.
        if is_taken(&monitors, &monitor.name.value) {
            monitor.name.value += &format!(", level {rank}");
        }
        if is_taken(&monitors, &monitor.name.value) {
            let message = format!("two rows give the monitor {:?}; give each a window or a level of its own", monitor.name.value);
            faults.push(slo.name.fault(file, message));
        }
        monitors.push(monitor);
    }
    monitors
}

/// A query over a window.
fn over(query: &At<String>, window: Duration) -> String {
    query.value.replace(WINDOW, &duration::show(window))
}

/// What its quotient over a window counts, where that is known.
fn share(slo: &Slo, window: Duration) -> Option<Share> {
    let quotient = format!("({}) / ({})", over(&slo.errors, window), over(&slo.total, window));
    Query::plan(&quotient, window, window).ok()?.share()
}

/// How many times as fast as it may the budget burns over a window.
fn burnt(slo: &Slo, budget: f64, window: Duration) -> String {
    let (errors, total) = (over(&slo.errors, window), over(&slo.total, window));
    // Where one metric counts both, that there is no series of errors is no lack of data.
    let errors = match share(slo, window).and_then(|share| share.none) {
        Some(_) => format!("(({errors}) or 0 * ({total}))"),
        None => format!("({errors})"),
    };
    format!("({errors} / ({total}) / {budget})")
}

/// What is measured over a long window, as long as it burns faster than so over a short one. It has no value, which is no recovery,
/// where nothing was counted within the short one, or too little within the long one for anything to be said.
fn both(slo: &Slo, (window, long): (Duration, String), (rate, short): (f64, String)) -> String {
    let least = slo.min_traffic.as_ref().zip(share(slo, window));
    let enough = least.map_or_else(String::new, |(least, share)| {
        format!(" + 0 / (({}) * {} >= bool {})", over(&slo.total, window), share.counted(1.0), least.value)
    });
    format!("{long} * ({short} > bool {rate}) + 0 * {short}{enough}")
}

/// Both are aggregated by the same labels, or they match nowhere.
fn check_labels(slo: &Slo, file: &str, faults: &mut Vec<Fault>) {
    let window = Duration::from_secs(BURN[0].2);
    let labels = |query: &At<String>| Query::plan(&over(query, window), window, window).ok()?.aggregated_by();
    if let Some((errors, total)) = labels(&slo.errors).zip(labels(&slo.total)).filter(|(errors, total)| errors != total) {
        let by = |labels: &[String]| format!("by ({})", labels.join(", "));
        let message = format!("it is aggregated {}, and `errors` {}: they match nowhere", by(&total), by(&errors));
        faults.push(slo.total.fault(file, message));
    }
}

fn check_traffic(slo: &Slo, file: &str, faults: &mut Vec<Fault>) {
    let Some(least) = &slo.min_traffic else { return };
    if !least.value.is_finite() || least.value <= 0.0 {
        faults.push(least.fault(file, format!("{} is no number of requests; write one above 0", least.value)));
    } else if share(slo, Duration::from_secs(BURN[0].2)).is_none() {
        faults.push(least.fault(file, "how many there were is not known: `errors` and `total` have to be sums of `rate` or `increase`"));
    }
}

fn monitor(slo: &Slo, what: &str, query: String, above: f64, (level, because): (At<u8>, String)) -> raw::Monitor {
    let sequence = slo.sequence.as_ref().map_or_else(|| slo.name.with("S".to_owned()), |s| s.with(s.value.clone()));
    let mut rung = plain(level);
    rung.value.because = because;
    let definition = raw::Definition { sequence, ladder: vec![rung] };
    let fixed = raw::Static { above: Some(above), below: None, until: None };
    let judge = raw::Judge { fixed: Some(slo.name.with(fixed)), ..raw::Judge::default() };
    raw::Monitor {
        name: slo.name.with(format!("{}: {what}", slo.name.value)),
        scenario: Some(slo.scenario.clone()),
        business: slo.business.clone(),
        owner: slo.owner.clone(),
        entity: slo.entity.with(slo.entity.value.clone()),
        calls: None,
        query: Some(slo.name.with(query)),
        alerts: None,
        every: slo.every.as_ref().map(|every| every.with(every.value)),
        lookback: None,
        judge: Some(slo.name.with(judge)),
        importance: None,
        global: false,
        data: None,
        impact: None,
        dimensions: vec![],
        fault: Some(raw::Faults(vec![slo.name.with(definition)])),
    }
}
