//! Fault definitions: raw ladders, level files, scenarios and objectives → checked ladders and monitors.

use std::collections::BTreeMap;

use crate::model::{Comparison, Condition, Definition, Ladder, Level, Measure, Rung, Test, duration};

use super::check::{Checker, selector};
use super::compiled::{Generic, Levels, Matrix, Scenario, Sequence};
use super::fault::{At, Fault, Place};
use super::handling::Handling;
use super::raw;
use super::slo;
use super::template::Template;

/// The monitors that level files stand for, by file.
pub(super) type Objectives<'f> = Vec<(&'f String, Vec<raw::Monitor>)>;

/// What a monitor's breaches can be measured by.
#[derive(Clone, Copy)]
pub(super) struct Measurable<'m> {
    value: bool,
    expected: bool,
    impact: Option<&'m raw::Impact>,
    /// What cannot be measured may be so by some monitors.
    anything: bool,
}

impl Measurable<'_> {
    const ANYTHING: Self = Self { value: true, expected: true, impact: None, anything: true };
    const DURATION: Self = Self { value: false, expected: false, impact: None, anything: false };

    /// Why a measure cannot be taken, if it cannot.
    pub(super) fn lacks(self, measure: Measure) -> Option<&'static str> {
        let expected = "needs an expected value; add `baseline`, `compare` or `change` to `judge`";
        let unsaid = "is not measured; name its query under `impact`";
        let impact = self.impact;
        let missing = |query: fn(&raw::Impact) -> bool| if impact.is_some_and(query) { None } else { Some(unsaid) };
        match measure {
            _ if self.anything => None,
            _ if !self.value && matches!(measure, Measure::Value | Measure::Rise | Measure::Drop) => {
                Some("cannot be measured on an alert; only `for` can, and what people say")
            }
            Measure::Value => None,
            Measure::Rise | Measure::Drop => (!self.expected).then_some(expected),
            Measure::Lost | Measure::LostShare if !self.expected => Some(expected),
            Measure::Lost | Measure::LostShare => {
                impact.is_none().then_some("is reckoned where `impact` says by what the query counts: `impact: { per: 1s }`")
            }
            Measure::Mentions => missing(|impact| impact.mentions.is_some()),
            Measure::NegativeShare => missing(|impact| impact.negative_share.is_some()),
            Measure::Reach => missing(|impact| impact.reach.is_some()),
            // People can say these.
            Measure::Money | Measure::AffectedUsers | Measure::AffectedMerchants | Measure::Complaints => None,
        }
    }

    /// Whether a monitor tells it.
    pub(super) fn measures(self, measure: Measure) -> bool {
        self.lacks(measure).is_none() && !self.said(measure)
    }

    /// Whether only people can tell it.
    fn said(self, measure: Measure) -> bool {
        let has = |query: fn(&raw::Impact) -> bool| self.impact.is_some_and(query);
        match measure {
            Measure::Money => !has(|impact| impact.money.is_some()),
            Measure::AffectedUsers => !has(|impact| impact.affected_users.is_some()),
            Measure::AffectedMerchants => !has(|impact| impact.affected_merchants.is_some()),
            Measure::Complaints => !has(|impact| impact.complaints.is_some()),
            _ => false,
        }
    }
}

impl Checker {
    pub(super) fn levels<'f>(&mut self, files: &'f [(String, String)]) -> (Levels, Objectives<'f>) {
        let files: Vec<(&String, raw::LevelFile)> = files.iter().map(|(file, text)| (file, self.decode(file, text))).collect();
        let mut levels = Levels { importance: [0, 1, 2], ..Levels::default() };
        for (file, sequence) in files.iter().flat_map(|(file, raw)| raw.sequences.iter().map(move |s| (*file, s))) {
            self.sequence(file, sequence, &mut levels);
        }
        if levels.sequences.is_empty() {
            levels.sequences = ["P", "D", "R", "S"].map(|name| Sequence { name: name.into(), levels: 4 }).into();
        }
        let mut has_importance = false;
        for (file, raw) in &files {
            self.generic(file, &raw.generic, &mut levels);
            if !raw.importance.is_empty() && std::mem::replace(&mut has_importance, true) {
                let place = Place { file: (*file).clone(), ..Place::default() };
                self.faults.push(Fault { place, message: "there is an `importance` already, in another file; write it once".into() });
            }
            for (importance, shift) in &raw.importance {
                levels.importance[*importance as usize] = *shift;
            }
            if let Some(faults) = &raw.business {
                levels.business.extend(self.faults(file, faults, Measurable::ANYTHING, &levels.sequences));
            }
            if let Some(matrix) = &raw.data_quality {
                if levels.matrix.is_some() {
                    self.faults.push(matrix.fault(file, "there is a `data_quality` already, in another file; write it once"));
                }
                levels.matrix = self.matrix(file, matrix, &levels.sequences).or(levels.matrix);
            }
            for handling in &raw.handling {
                let rows = self.handling(file, handling, &levels);
                levels.handling.extend(rows);
            }
        }
        for (file, scenario) in files.iter().flat_map(|(file, raw)| raw.scenarios.iter().map(move |s| (*file, s))) {
            self.scenario(file, scenario, &mut levels);
        }
        let mut objectives = vec![];
        for (file, raw) in files {
            let monitors = raw.slos.into_iter().flat_map(|slo| slo::monitors(file, slo, &mut self.faults));
            objectives.push((file, monitors.collect()));
        }
        (levels, objectives)
    }

    fn sequence(&mut self, file: &str, raw: &raw::Sequence, levels: &mut Levels) {
        if levels.sequences.iter().any(|s| s.name == raw.name.value) {
            self.faults.push(raw.name.fault(file, format!("sequence {:?} exists already; name it once", raw.name.value)));
            return;
        }
        let count = raw.levels.as_ref().map_or(4, |l| l.value);
        if let Some(at) = raw.levels.as_ref().filter(|l| !(1..=9).contains(&l.value)) {
            self.faults.push(at.fault(file, format!("{} levels; a sequence has 1 to 9", at.value)));
        }
        levels.sequences.push(Sequence { name: raw.name.value.clone(), levels: count });
    }

    fn generic(&mut self, file: &str, raw: &[raw::Generic], levels: &mut Levels) {
        for generic in raw {
            let alerts = generic.alerts.as_ref().map(|text| (text, self.good(file, text, selector(&text.value))));
            let mut named = |text: Option<&At<String>>| {
                let text = text?;
                let template = if generic.alerts.is_some() {
                    Template::of(&text.value)
                } else {
                    Err("is for alerts; a monitor says itself whose it is".into())
                };
                self.good(file, text, template)
            };
            let (owner, business) = (named(generic.owner.as_ref()), named(generic.business.as_ref()));
            let measurable = if alerts.is_some() { Measurable::DURATION } else { Measurable::ANYTHING };
            let ladder = self.ladder(file, &generic.sequence, &generic.ladder, measurable, &levels.sequences);
            let sequence = levels.sequences.iter().position(|sequence| sequence.name == generic.sequence.value);
            let severe = generic.ladder.iter().filter(|raw| alerts.is_none() && raw.value.level.value <= 2);
            let severe = severe.filter_map(|raw| Some((rung(&raw.value, levels.sequences.get(sequence?)?, sequence?), raw.place(file))));
            self.floors.extend(severe);
            if let (Some(ladder), None | Some((_, Some(_)))) = (ladder, &alerts) {
                levels.generic.push(Generic { alerts: alerts.and_then(|(_, s)| s), owner, business, ladder });
            }
        }
    }

    fn scenario(&mut self, file: &str, raw: &raw::Scenario, levels: &mut Levels) {
        if levels.scenarios.iter().any(|known| known.name == raw.name.value) {
            self.faults.push(raw.name.fault(file, format!("scenario {:?} exists already; name it once", raw.name.value)));
        }
        let ladders =
            raw.fault.as_ref().map(|faults| self.faults(file, faults, Measurable::ANYTHING, &levels.sequences)).unwrap_or_default();
        let shift = levels.importance[raw.importance.unwrap_or_default() as usize];
        let own = if ladders.is_empty() { shifted(&levels.business, shift, &levels.sequences) } else { ladders.clone() };
        if own.iter().flat_map(|ladder| &ladder.rungs).any(|rung| rung.level.rank <= 2) {
            self.severe.push((raw.name.value.clone(), raw.name.place(file)));
        }
        let (business, owner) = (raw.business.clone().unwrap_or_default(), raw.owner.clone().unwrap_or_default());
        self.owners.extend(raw.owner.iter().map(|owner| (owner.clone(), raw.name.place(file))));
        levels.scenarios.push(Scenario { name: raw.name.value.clone(), business, owner, shift, ladders });
    }

    /// What is not written is usual for the two most severe levels, and for the others, whichever of them are named first.
    fn handling(&mut self, file: &str, at: &At<raw::Handling>, known: &Levels) -> Vec<Handling> {
        let (raw, sequences) = (&at.value, &known.sequences);
        if raw.levels.is_empty() {
            self.faults.push(at.fault(file, "for no level; name some, such as [1, 2]"));
        }
        let most = sequences.iter().map(|s| s.levels).max().unwrap_or(0);
        if let Some(unknown) = raw.levels.iter().find(|rank| **rank == 0 || **rank > most) {
            self.faults.push(at.fault(file, format!("there is no level {unknown}; there are 1 to {most}")));
        }
        let of_all = |row: &Handling| row.sequence.is_none() || row.sequence.as_ref() == raw.sequence.as_ref().map(|s| &s.value);
        let taken = |rank: &u8| known.handling.iter().any(|row| of_all(row) && row.levels.contains(rank));
        if !raw.levels.is_empty() && raw.levels.iter().all(taken) {
            self.faults.push(at.fault(file, "never looked at: rows before it are for all of its levels, and the first that fits is taken"));
        }
        if let Some(unknown) = raw.sequence.as_ref().filter(|wanted| sequences.iter().all(|s| s.name != wanted.value)) {
            self.faults.push(unknown.fault(file, format!("unknown sequence {:?}", unknown.value)));
        }
        if raw.follow_up.is_some_and(|every| every.0 < std::time::Duration::from_secs(60)) {
            self.faults.push(at.fault(file, "a follow-up more often than every minute is none that people can give"));
        }
        if raw.acknowledge_within.is_some_and(|within| within.0.is_zero()) {
            self.faults.push(at.fault(file, "nobody can acknowledge within no time; 10m is usual"));
        }
        let of = |usual: Handling, levels: Vec<u8>| Handling {
            levels,
            sequence: raw.sequence.as_ref().map(|s| s.value.clone()),
            follow_up: raw.follow_up.map_or(usual.follow_up, |every| every.0),
            acknowledge_within: raw.acknowledge_within.map(|within| within.0).or(usual.acknowledge_within),
            review_within: raw.review_within.unwrap_or(usual.review_within),
            remind_before: raw.remind_before.map_or(usual.remind_before, |before| before.0),
        };
        let (severe, others): (Vec<u8>, Vec<u8>) = raw.levels.iter().partition(|rank| **rank <= 2);
        vec![of(Handling::default_of(1), severe), of(Handling::default_of(3), others)]
    }

    /// What a monitor's breaches mean: by its own ladders, by its scenario's, or by what is usual for its importance.
    pub(super) fn definition(&mut self, file: &str, raw: &raw::Monitor, levels: &Levels) -> Option<Definition> {
        if raw.scenario.is_none()
            && let Some(fault) = raw.fault.as_ref().and_then(|faults| faults.0.first())
        {
            self.faults.push(fault.fault(file, "a fault needs a `scenario`: what the user cannot do, in a sentence"));
        }
        self.needs_a_scenario(file, raw);
        let measurable = Measurable {
            value: raw.alerts.is_none(),
            expected: raw.judge.as_ref().is_some_and(|judge| judge.value.expects()),
            impact: raw.impact.as_ref().map(|impact| &impact.value),
            anything: false,
        };
        let own = raw.fault.as_ref().map(|faults| self.faults(file, faults, measurable, &levels.sequences)).unwrap_or_default();
        let scenario = levels.scenarios.iter().find(|known| Some(&known.name) == raw.scenario.as_ref());
        let shift = raw.importance.map(|i| levels.importance[i as usize]).or_else(|| scenario.map(|s| s.shift)).unwrap_or(0);
        let inherited = || scenario.map(|s| s.ladders.clone()).unwrap_or_default();
        // Data has levels of its own, and the business as a whole is always of the first.
        let own_way = raw.data.is_some() || raw.global;
        let usual = || if own_way { vec![] } else { shifted(&levels.business, shift, &levels.sequences) };
        let levelled = !own.is_empty() || !inherited().is_empty();
        let own = [own, inherited(), usual()].into_iter().find(|ladders| !ladders.is_empty()).unwrap_or_default();
        self.note_unmeasured(file, raw, &own, measurable);
        let mut generic: Vec<Ladder> = levels.floor().cloned().collect();
        self.note_lower(file, raw, &own, &generic, measurable);
        self.note_importance(file, raw, own_way || levelled);
        generic.extend(self.data(file, raw, levels));
        generic.extend(raw.global.then(|| global(levels)).flatten());
        let inherit = |own: &Option<String>, from: fn(&Scenario) -> &String| own.clone().or_else(|| scenario.map(|s| from(s).clone()));
        let definition = Definition {
            scenario: raw.scenario.clone()?,
            business: inherit(&raw.business, |s| &s.business).unwrap_or_default(),
            owner: inherit(&raw.owner, |s| &s.owner).unwrap_or_default(),
            own,
            generic,
        };
        self.note_absent(file, raw, &definition);
        self.note_levelless(file, raw, &definition, measurable, levels);
        self.note_unlisted_scenario(file, raw, levels);
        self.note_global(file, raw, levels);
        Some(definition)
    }

    /// What makes no fault has no level, and costs nothing.
    fn needs_a_scenario(&mut self, file: &str, raw: &raw::Monitor) {
        if raw.scenario.is_some() {
            return;
        }
        let data = raw.data.as_ref().map(|data| ("data", data.place(file)));
        let impact = raw.impact.as_ref().map(|impact| ("impact", impact.place(file)));
        let global = raw.global.then(|| ("global", raw.name.place(file)));
        for (what, place) in data.into_iter().chain(impact).chain(global) {
            let message = format!("`{what}` without a `scenario`: only what users cannot do has a level, and costs something");
            self.faults.push(Fault { place, message });
        }
    }

    /// The ladder of the monitor's asset level and impact factor.
    fn data(&mut self, file: &str, raw: &raw::Monitor, levels: &Levels) -> Option<Ladder> {
        let data = raw.data.as_ref()?;
        let key = (data.value.asset.value.clone(), data.value.factor.value.clone());
        let found = levels.matrix.as_ref().and_then(|matrix| matrix.ladders.get(&key)).cloned();
        let known = || levels.matrix.iter().flat_map(|m| m.ladders.keys()).map(|(asset, factor)| format!("{asset} × {factor}"));
        let known: Vec<String> = known().collect();
        let valued =
            found.iter().flat_map(|ladder| &ladder.rungs).any(|rung| rung.condition.tests.iter().any(|t| t.measure == Measure::Value));
        if raw.alerts.is_some() && valued {
            self.faults.push(data.fault(file, "its `delay` is told by a value, which an alert has not; give it a `query`"));
        }
        self.good(
            file,
            data,
            found.ok_or_else(|| format!("{} × {} is not in `data_quality`; there are {}", key.0, key.1, known.join(", "))),
        )
    }

    fn matrix(&mut self, file: &str, at: &At<raw::Matrix>, sequences: &[Sequence]) -> Option<Matrix> {
        let raw = &at.value;
        let mut ladders = BTreeMap::new();
        for (factor, ranks) in &raw.factors {
            if ranks.value.len() != raw.assets.len() {
                let message = format!("{factor}: {} levels for {} asset levels", ranks.value.len(), raw.assets.len());
                self.faults.push(ranks.fault(file, message));
            }
            for (asset, rank) in raw.assets.iter().zip(&ranks.value) {
                let mut ladder = self.ladder(file, &raw.sequence, &[plain(ranks.with(*rank))], Measurable::ANYTHING, sequences)?;
                ladder.rungs.iter_mut().for_each(|rung| rung.because = format!("{factor} data of asset level {asset}"));
                ladders.insert((asset.clone(), factor.clone()), ladder);
            }
        }
        for (asset, rungs) in &raw.delay {
            let Some(ladder) = ladders.get_mut(&(asset.clone(), "late".to_owned())) else {
                let why = if raw.assets.contains(asset) {
                    "without a factor `late`".to_owned()
                } else {
                    format!("there are {}", raw.assets.join(", "))
                };
                let message = format!("a delay of the asset level {asset:?}: {why}");
                self.faults.push(rungs.first().map_or_else(|| at.fault(file, &message), |rung| rung.fault(file, &message)));
                continue;
            };
            let delay = self.ladder(file, &raw.sequence, rungs, Measurable::ANYTHING, sequences)?;
            ladder.rungs.extend(delay.rungs.into_iter().map(|rung| Rung { because: format!("late data of asset level {asset}"), ..rung }));
            ladder.rungs.sort_by(|a, b| a.level.cmp(&b.level));
        }
        Some(Matrix { ladders })
    }

    fn faults(&mut self, file: &str, raw: &raw::Faults, measurable: Measurable<'_>, sequences: &[Sequence]) -> Vec<Ladder> {
        let mut ladders: Vec<Ladder> = vec![];
        for fault in &raw.0 {
            let ladder = self.ladder(file, &fault.value.sequence, &fault.value.ladder, measurable, sequences);
            let same = |ladder: &Ladder| ladder.rungs.first().is_some_and(|rung| rung.level.sequence == fault.value.sequence.value);
            if ladders.iter().any(same) {
                let message = format!("sequence {:?} has a ladder already; put all its rungs into one", fault.value.sequence.value);
                self.faults.push(fault.value.sequence.fault(file, message));
            }
            ladders.extend(ladder);
        }
        ladders
    }

    fn ladder(
        &mut self,
        file: &str,
        sequence: &At<String>,
        raw: &[At<raw::Rung>],
        measurable: Measurable<'_>,
        sequences: &[Sequence],
    ) -> Option<Ladder> {
        let Some(place) = sequences.iter().position(|s| s.name == sequence.value) else {
            let names: Vec<&str> = sequences.iter().map(|s| s.name.as_str()).collect();
            self.faults.push(sequence.fault(file, format!("unknown sequence {:?}; there are {}", sequence.value, names.join(", "))));
            return None;
        };
        if raw.is_empty() {
            self.faults.push(sequence.fault(file, "the ladder has no rung; add at least one {level: ..}"));
        }
        let mut rungs: Vec<(&At<raw::Rung>, Rung)> = raw.iter().map(|r| (r, rung(&r.value, &sequences[place], place))).collect();
        for (at, rung) in &rungs {
            if rung.level.rank == 0 || rung.level.rank > sequences[place].levels {
                let (rank, most) = (rung.level.rank, sequences[place].levels);
                self.faults.push(at.value.level.fault(file, format!("level {rank} of sequence {}; it has 1 to {most}", sequence.value)));
            }
            for test in &rung.condition.tests {
                if let Some(why) = measurable.lacks(test.measure) {
                    self.faults.push(at.fault(file, format!("`{test}` {why}")));
                }
            }
            self.note_twice(file, at, rung);
        }
        rungs.sort_by(|a, b| a.1.level.cmp(&b.1.level));
        self.monotone(file, &rungs);
        Some(Ladder { rungs: rungs.into_iter().map(|(_, rung)| rung).collect() })
    }

    /// A more severe level must demand more: it may not hold whenever a less severe one does.
    fn monotone(&mut self, file: &str, rungs: &[(&At<raw::Rung>, Rung)]) {
        for (i, (at, severe)) in rungs.iter().enumerate() {
            let mild = rungs[i + 1..].iter().map(|(_, r)| r);
            if let Some(mild) = mild.filter(|m| m.level.rank > severe.level.rank).find(|m| m.condition.implies(&severe.condition)) {
                let message = format!(
                    "the ladder is not monotone: level {} ({}) holds whenever level {} ({}) does; a more severe level must demand more",
                    severe.level.rank, severe.condition, mild.level.rank, mild.condition
                );
                self.faults.push(at.fault(file, message));
            }
        }
    }

    /// Time must not count twice: in a measure that grows with it, and in how long that has to hold.
    fn note_twice(&mut self, file: &str, at: &At<raw::Rung>, rung: &Rung) {
        let grows = rung.condition.tests.iter().find(|test| test.measure.grows());
        if let Some(test) = grows.filter(|_| !rung.condition.hold.is_zero()) {
            let hold = duration::show(rung.condition.hold);
            let message = format!("`{}` grows as the fault lasts; `for {hold}` counts the same time twice", test.measure);
            self.notes.push(at.fault(file, message));
        }
    }
}

/// Global unavailability is always of the first sequence's first level.
fn global(levels: &Levels) -> Option<Ladder> {
    let level = Level { rank: 1, place: 0, sequence: levels.sequences.first()?.name.clone() };
    let condition = Condition { tests: vec![], hold: std::time::Duration::ZERO };
    Some(Ladder { rungs: vec![Rung { level, condition, because: "global unavailability".into() }] })
}

/// Ladders for what is less important: each rung so many levels lower, the lowest that there is at the most.
fn shifted(ladders: &[Ladder], by: u8, sequences: &[Sequence]) -> Vec<Ladder> {
    let most = |level: &Level| sequences.get(usize::from(level.place)).map_or(0, |sequence| sequence.levels);
    let rank = |level: &Level| level.rank.saturating_add(by).min(most(level));
    let lower = |rung: &Rung| Rung { level: Level { rank: rank(&rung.level), ..rung.level.clone() }, ..rung.clone() };
    ladders.iter().map(|ladder| Ladder { rungs: ladder.rungs.iter().map(lower).collect() }).collect()
}

/// A rung without a condition.
pub(super) fn plain(level: At<u8>) -> At<raw::Rung> {
    let place = level.with(());
    place.with(raw::Rung {
        level,
        value: None,
        rise: None,
        drop: None,
        lost: None,
        lost_share: None,
        money: None,
        affected_users: None,
        affected_merchants: None,
        complaints: None,
        mentions: None,
        negative_share: None,
        reach: None,
        hold: None,
        because: String::new(),
    })
}

fn rung(raw: &raw::Rung, sequence: &Sequence, place: usize) -> Rung {
    let value = raw.value.map(|raw::Compared(comparison, limit)| Test { measure: Measure::Value, comparison, limit });
    let number = |measure, limit: Option<f64>| limit.map(|limit| Test { measure, comparison: Comparison::AtLeast, limit });
    let share = |measure, share: Option<raw::Share>| number(measure, share.map(|share| share.0));
    let tests = [
        value,
        share(Measure::Rise, raw.rise),
        share(Measure::Drop, raw.drop),
        number(Measure::Lost, raw.lost),
        share(Measure::LostShare, raw.lost_share),
        number(Measure::Money, raw.money),
        number(Measure::AffectedUsers, raw.affected_users),
        number(Measure::AffectedMerchants, raw.affected_merchants),
        number(Measure::Complaints, raw.complaints),
        number(Measure::Mentions, raw.mentions),
        share(Measure::NegativeShare, raw.negative_share),
        number(Measure::Reach, raw.reach),
    ];
    let place = u8::try_from(place).unwrap_or(u8::MAX);
    Rung {
        level: Level { rank: raw.level.value, place, sequence: sequence.name.clone() },
        condition: Condition { tests: tests.into_iter().flatten().collect(), hold: raw.hold.unwrap_or_default().0 },
        because: raw.because.clone(),
    }
}
