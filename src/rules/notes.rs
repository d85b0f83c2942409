//! Notes: what is no fault, but should be looked at.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Comparison, Definition, Ladder, Measure, Rung, Test, duration};

use super::baseline::LEARNS_FOR;
use super::check::Checker;
use super::compiled::{JudgeRules, Levels, Side, Watch};
use super::decode::meant;
use super::duty::{Duty, Emergency, Gather, Team, unattended};
use super::fault::{Fault, Place};
use super::ladders::Measurable;
use super::raw;

/// Longer than this nobody expects a baseline to learn.
const SLOW: Duration = Duration::from_secs(14 * 86_400);

impl Checker {
    /// Where a business definition can come out lower than a generic one by what the monitor measures, with an example.
    pub(super) fn note_lower(
        &mut self,
        file: &str,
        raw: &raw::Monitor,
        business: &[Ladder],
        generic: &[Ladder],
        measurable: Measurable<'_>,
    ) {
        for floor in generic.iter().flat_map(|ladder| &ladder.rungs) {
            let own = business.iter().flat_map(|ladder| &ladder.rungs).filter(|rung| rung.level.sequence == floor.level.sequence);
            let speaks = own.clone().next().is_some();
            if !speaks || !floor.condition.tests.iter().all(|test| measurable.measures(test.measure)) {
                continue;
            }
            let meets = own.clone().filter(|rung| floor.condition.implies(&rung.condition)).map(|rung| &rung.level).min();
            if meets.is_none_or(|level| level.rank > floor.level.rank) {
                let own = meets.map_or_else(|| "no level".to_owned(), ToString::to_string);
                let message = format!(
                    "at {} its own definition says {own}, the generic one {}: that one will be effective",
                    floor.condition, floor.level
                );
                self.notes.push(raw.name.fault(file, message));
            }
        }
    }

    /// The two most severe levels must not wait for people to say how bad it is.
    pub(super) fn note_unmeasured(&mut self, file: &str, raw: &raw::Monitor, business: &[Ladder], measurable: Measurable<'_>) {
        if raw.scenario.is_some() {
            let all = [Measure::Value, Measure::Rise, Measure::Drop].into_iter().chain(Measure::NUMBERS);
            self.measured.extend(all.filter(|measure| measurable.measures(*measure)));
        }
        for rung in business.iter().flat_map(|ladder| &ladder.rungs).filter(|rung| rung.level.rank <= 2) {
            let lacks = |test: &&Test| !measurable.measures(test.measure);
            if let Some(test) = rung.condition.tests.iter().find(lacks) {
                let message = format!(
                    "{} at `{}`: `{}` is measured by nobody here, only people can say it",
                    rung.level, rung.condition, test.measure
                );
                self.notes.push(raw.name.fault(file, message));
            }
        }
    }

    /// A scenario without a level that its monitor, or people, can meet: nothing would ever be declared.
    pub(super) fn note_levelless(
        &mut self,
        file: &str,
        raw: &raw::Monitor,
        definition: &Definition,
        measurable: Measurable<'_>,
        levels: &Levels,
    ) {
        let can_be_met = |test: &Test| measurable.measures(test.measure) || test.measure.can_be_said();
        let mut rungs = definition.ladders().flat_map(|ladder| &ladder.rungs);
        if rungs.any(|rung| rung.condition.tests.iter().all(can_be_met)) {
            return;
        }
        let scenario = &definition.scenario;
        let known: Vec<&str> = levels.scenarios.iter().map(|known| known.name.as_str()).collect();
        let which = if known.is_empty() || known.contains(&scenario.as_str()) {
            String::new()
        } else {
            format!("; the level files have no scenario {scenario:?}, they have {}", known.join(", "))
        };
        let message = format!("nothing of it is ever declared: there is no level that it can meet; give it a `fault`{which}");
        self.notes.push(raw.name.fault(file, message));
    }

    /// Levels that ask for what is good, on the side on which its judges find what is bad.
    pub(super) fn note_contradicted(&mut self, file: &str, raw: &raw::Monitor, definition: Option<&Definition>, judge: &JudgeRules) {
        if judge.flatline.is_some() {
            return;
        }
        let side = judge.side();
        let only = judge.baseline.is_none() && judge.change.is_none() && judge.compare.is_none() && judge.forecast.is_none();
        let limits = judge.limits.filter(|_| only);
        let is_good = |test: &Test| match (test.measure, side) {
            (Measure::Drop, Side::Above) | (Measure::Rise, Side::Below) => test.limit >= 0.0,
            (Measure::Value, Side::Above) => {
                let clears = limits.and_then(|limits| limits.until.or(limits.above));
                matches!(test.comparison, Comparison::Below | Comparison::AtMost) && clears.is_some_and(|clears| test.limit <= clears)
            }
            (Measure::Value, Side::Below) => {
                let clears = limits.and_then(|limits| limits.until.or(limits.below));
                matches!(test.comparison, Comparison::Above | Comparison::AtLeast) && clears.is_some_and(|clears| test.limit >= clears)
            }
            _ => false,
        };
        let rungs = || definition.iter().flat_map(|definition| &definition.own).flat_map(|ladder| &ladder.rungs);
        for rung in rungs().filter(|rung| rung.condition.tests.iter().any(is_good)) {
            let message =
                format!("{} at `{}` is never met: that is no breach, as its judges look the other way", rung.level, rung.condition);
            self.notes.push(raw.name.fault(file, message));
        }
        let is_reverse = |test: &Test| match (test.measure, side) {
            (Measure::Value, Side::Above) => matches!(test.comparison, Comparison::Below | Comparison::AtMost),
            (Measure::Value, Side::Below) => matches!(test.comparison, Comparison::Above | Comparison::AtLeast),
            _ => false,
        };
        let reverse = |rung: &&Rung| rung.condition.tests.iter().any(|test| is_reverse(test) && !is_good(test));
        for rung in rungs().filter(reverse).filter(|_| limits.is_some()) {
            let message =
                format!("{} at `{}` is met no more once it is worse, as its judges look the other way", rung.level, rung.condition);
            self.notes.push(raw.name.fault(file, message));
        }
    }

    /// A limit that a share cannot pass: in per cent where it is counted from 0 to 1.
    pub(super) fn note_beyond_all(&mut self, file: &str, raw: &raw::Monitor, definition: Option<&Definition>, watch: &Watch) {
        // Of what one metric counts both.
        let Some(whole) = watch.query.share().filter(|share| share.none.is_some()).map(|share| share.whole) else { return };
        let mut beyond = |what: String, limit: f64, may_be_it: bool| {
            if limit > whole || limit == whole && !may_be_it {
                let message = format!("{what} is never met, for all of what is counted are {whole}; per cent are written as 0.05, or 5%");
                self.notes.push(raw.name.fault(file, message));
            }
        };
        if let Some(above) = watch.judge.limits.and_then(|limits| limits.above) {
            beyond(format!("`above: {above}`"), above, false);
        }
        for rung in definition.iter().flat_map(|definition| &definition.own).flat_map(|ladder| &ladder.rungs) {
            let is_upward = |test: &&Test| matches!(test.comparison, Comparison::Above | Comparison::AtLeast);
            for test in rung.condition.tests.iter().filter(|test| test.measure == Measure::Value).filter(is_upward) {
                beyond(format!("{} at `{}`", rung.level, rung.condition), test.limit, test.comparison == Comparison::AtLeast);
            }
        }
    }

    /// A baseline that is evaluated so seldom that it says nothing for very long.
    pub(super) fn note_slow(&mut self, file: &str, raw: &raw::Monitor, watch: &Watch) {
        let learns = watch.every.saturating_mul(LEARNS_FOR);
        if watch.judge.baseline.is_some() && learns > SLOW {
            let (every, learns) = (duration::show(watch.every), duration::show(learns));
            let message =
                format!("a baseline gives no verdict before {LEARNS_FOR} evaluations: at `every: {every}` that is after {learns}");
            self.notes.push(raw.name.fault(file, message));
        }
    }

    /// A scenario that no level file lists, of a monitor that leaves to it what it does not say itself.
    pub(super) fn note_unlisted_scenario(&mut self, file: &str, raw: &raw::Monitor, levels: &Levels) {
        let Some(scenario) = raw.scenario.as_ref().filter(|name| levels.scenarios.iter().all(|known| known.name != **name)) else { return };
        let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        let alike = levels.scenarios.iter().find(|known| letters(&known.name) == letters(scenario));
        let lacks = raw.owner.is_none() && raw.business.is_none() && raw.fault.is_none();
        let which = match alike {
            Some(known) => format!("; is {:?} meant?", known.name),
            None if lacks && !levels.scenarios.is_empty() => ", so nothing says whose it is".to_owned(),
            None => return,
        };
        self.notes.push(raw.name.fault(file, format!("the level files have no scenario {scenario:?}{which}")));
    }

    /// A ladder of what is always of the first level.
    pub(super) fn note_global(&mut self, file: &str, raw: &raw::Monitor, levels: &Levels) {
        let first = levels.sequences.first().map(|sequence| &sequence.name);
        let own = raw.fault.iter().flat_map(|faults| &faults.0).find(|fault| raw.global && Some(&fault.value.sequence.value) == first);
        if let Some(fault) = own {
            self.notes.push(fault.fault(file, format!("changes nothing: with `global` it is always {}1", fault.value.sequence.value)));
        }
    }

    /// Times at which nobody is on duty of those whom an emergency gathers, by its place.
    pub(super) fn note_unattended(&mut self, rules: &super::Rules) {
        let duty = &rules.duty;
        for (emergency, place) in duty.emergency.iter().zip(std::mem::take(&mut self.emergencies)) {
            if emergency.gather.is_empty() {
                self.notes.push(Fault { place, message: "it gathers nobody: add the owner, or a team".into() });
                continue;
            }
            let named = |gather: &Gather| if let Gather::Team(name) = gather { duty.team(name) } else { None };
            let teams: Vec<&Team> = emergency.gather.iter().filter_map(named).collect();
            // What is suspected is known only then, and may be anybody's.
            let whose: Vec<Option<&Team>> = match emergency.gather.contains(&Gather::Owner) {
                true => owners(rules, emergency).into_iter().map(Some).collect(),
                false if emergency.gather.contains(&Gather::Suspect) => vec![],
                false => vec![None],
            };
            for owner in whose {
                let all: Vec<&Team> = teams.iter().copied().chain(owner).collect();
                if let Some((time, from)) = unattended(&all) {
                    let of = owner.map_or_else(String::new, |owner| format!("of a fault of {}, ", owner.name));
                    let length = duration::show(time);
                    let message = format!("{of}nobody whom it gathers is on duty for {length} of a week, first on {from}");
                    self.notes.push(Fault { place: place.clone(), message });
                }
            }
        }
    }

    /// No data has no measure: an absence must not wait for one.
    pub(super) fn note_absent(&mut self, file: &str, raw: &raw::Monitor, definition: &Definition) {
        let Some(absent) = raw.judge.as_ref().and_then(|judge| judge.value.absent.as_ref()).filter(|_| raw.query.is_some()) else { return };
        let mut rungs = definition.ladders().flat_map(|ladder| &ladder.rungs);
        if !rungs.any(|rung| rung.condition.tests.is_empty()) {
            let message = "no data meets none of its levels by itself, for each asks for a measure; add a rung that asks for none, such as \
                           { level: 3, for: 30m }";
            self.notes.push(absent.fault(file, message));
        }
    }

    /// An importance that lowers nothing.
    pub(super) fn note_importance(&mut self, file: &str, raw: &raw::Monitor, levelled: bool) {
        if raw.importance.is_some() && levelled {
            let message = "its `importance` changes nothing: it lowers the `business` template only, and this has levels of its own";
            self.notes.push(raw.name.fault(file, message));
        }
    }

    /// Names that lead nowhere, so that nobody would be called.
    pub(super) fn note_nobody(&mut self, file: &str, raw: &raw::Monitor, duty: &Duty) {
        if let Some(owner) = raw.owner.as_ref().filter(|owner| owner.contains("{{")) {
            let message = format!("its owner is the team {owner:?}, as it is written: only that of `generic` is filled in by labels");
            self.faults.push(raw.name.fault(file, message));
        } else if let Some(owner) = &raw.owner {
            self.note_owner(owner, raw.name.place(file), duty);
        }
    }

    /// The same of scenarios.
    pub(super) fn note_owners(&mut self, duty: &Duty) {
        for (owner, place) in std::mem::take(&mut self.owners) {
            self.note_owner(&owner, place, duty);
        }
    }

    fn note_owner(&mut self, owner: &str, place: Place, duty: &Duty) {
        if !duty.teams.is_empty() && duty.team(owner).is_none() {
            let meant = meant(owner, duty.teams.iter().map(|team| team.name.as_str()));
            let message = format!("its owner {owner:?} is no team of the duty files: nobody of it can be called{meant}");
            self.notes.push(Fault { place, message });
        }
    }

    /// Scenarios and generic definitions of the two most severe levels that no monitor measures.
    pub(super) fn unmeasured(&mut self, rules: &super::Rules) {
        for (rung, place) in std::mem::take(&mut self.floors) {
            if let Some(test) = rung.condition.tests.iter().find(|test| !self.measured.contains(&test.measure)) {
                let message =
                    format!("{} at `{}`: no monitor measures `{}`, only people can say it", rung.level, rung.condition, test.measure);
                self.notes.push(Fault { place, message });
            }
        }
        let measured = |scenario: &str| rules.monitors.iter().any(|m| m.definition.as_ref().is_some_and(|d| d.scenario == scenario));
        let severe = std::mem::take(&mut self.severe);
        for (scenario, place) in severe.into_iter().filter(|(scenario, _)| !measured(scenario)) {
            let message = format!("{scenario:?} can be a fault of level 1 or 2, and no monitor measures it");
            self.notes.push(Fault { place, message });
        }
    }
}

/// The teams whose faults an emergency is for, as far as monitors name them.
fn owners<'r>(rules: &'r super::Rules, emergency: &Emergency) -> Vec<&'r Team> {
    let definitions = rules.monitors.iter().filter_map(|monitor| monitor.definition.as_ref());
    let named: BTreeSet<&str> = definitions.filter(|d| emergency.is_of(&d.business)).map(|d| d.owner.as_str()).collect();
    named.into_iter().filter_map(|name| rules.duty.team(name)).collect()
}
