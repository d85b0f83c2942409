//! How a member of an incident is graded.

use crate::correlate::{Member, MemberKey, Source};
use crate::grade::{self, Facts, Grade, Standing, Stated, Watched};
use crate::model::{Measure, Numbers, Reading, Timestamp};

/// A member that meets a definition, and how it is graded.
#[derive(Clone, Debug)]
pub(super) struct Graded {
    /// Its key.
    pub(super) key: MemberKey,
    /// Its grade, with a level.
    pub(super) grade: Grade,
}

impl Graded {
    /// The leading level and which definition gave it, by what.
    pub(super) fn reason(&self) -> String {
        let leading = self.grade.leading();
        let level = leading.and_then(Standing::effective).map(|met| met.level.to_string());
        format!("{}: {}", level.unwrap_or_default(), leading.map(Standing::reason).unwrap_or_default())
    }
}

/// What people say by now, where it is no less than what is measured; that counts as well, and is what a level was given by.
pub(super) fn said_at_least(measured: &mut Numbers, said: &Stated) -> Vec<Measure> {
    let latest = said.iter().filter_map(|(measure, said)| Some((*measure, said.last()?.0)));
    let more: Vec<(Measure, f64)> = latest.filter(|(measure, said)| measured.get(measure).is_none_or(|known| said >= known)).collect();
    measured.extend(more.iter().copied());
    more.into_iter().map(|(measure, _)| measure).collect()
}

impl Member {
    /// Whether it is graded by its duration alone.
    pub(super) fn by_duration(&self) -> bool {
        !matches!(self.source, Source::Breach { .. })
    }

    /// Its grade as of a time, with what people say it costs, and what others of its incident do `beside` it; none for what is
    /// evidence only.
    pub(super) fn grade(&self, at: Timestamp, said: &Stated, beside: &Numbers) -> Option<Grade> {
        let definition = self.definition.as_ref().filter(|_| self.counts())?;
        let judged = self.judged.as_ref();
        let mut numbers = judged.map(|judged| judged.numbers.clone()).unwrap_or_default();
        for (measure, number) in beside {
            *numbers.entry(*measure).or_default() += number;
        }
        said_at_least(&mut numbers, said);
        let nothing = Reading { value: f64::NAN, ..Reading::default() };
        let watched = match (&self.source, judged) {
            (Source::Breach { .. }, Some(judged)) => {
                Watched::Detection { met: &judged.met, holding: &judged.holding, rest_held: &judged.rest_held }
            }
            _ => Watched::Nobody,
        };
        let reading = judged.map_or(&nothing, |judged| &judged.reading);
        let facts = Facts {
            reading,
            numbers: &numbers,
            starts_at: self.starts_at,
            at: self.ends_at.unwrap_or(at),
            heard_at: self.told_at,
            said,
            beside,
            watched,
        };
        Some(grade::grade(definition, &facts))
    }

    /// Its grade, where it meets a definition.
    pub(super) fn graded(&self, at: Timestamp, said: &Stated, beside: &Numbers) -> Option<Graded> {
        let grade = self.grade(at, said, beside).filter(|grade| grade.level().is_some())?;
        Some(Graded { key: self.key, grade })
    }

    /// When, if it lasts, it meets another rung; none for what is not graded by its duration.
    pub(super) fn next_rung(&self, after: Timestamp) -> Option<Timestamp> {
        let definition = self.definition.as_ref().filter(|_| self.by_duration())?;
        grade::next_change(definition, self.starts_at, after)
    }
}
