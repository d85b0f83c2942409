//! What an incident costs, as its monitors measure it: over all of its episodes, and over all that count the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::correlate::Member;
use crate::model::{Fingerprint, Measure, Numbers};

/// Whose numbers of a measure add up: those with one answer count the same thing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counts<'m> {
    /// Money is money.
    All,
    /// Orders are no logins.
    Monitor(&'m str),
    /// A share of one group's usual day.
    Group(Fingerprint),
}

/// Of what grows; anything else is how many there are at one time.
fn counts(measure: Measure, member: &Member) -> Option<Counts<'_>> {
    match measure {
        Measure::Money => Some(Counts::All),
        Measure::Lost => member.source.monitor().map(Counts::Monitor),
        Measure::LostShare => Some(Counts::Group(member.fingerprint())),
        _ => None,
    }
}

/// What all of it costs: what grows adds up where it counts the same, and of the rest it is the highest number.
pub(super) fn numbers<'m>(members: impl Iterator<Item = &'m Member>) -> Numbers {
    let mut sums: BTreeMap<(Measure, Option<Counts<'_>>), f64> = BTreeMap::new();
    for member in members.filter(|member| member.counts()) {
        for (measure, number) in member.judged.iter().flat_map(|judged| &judged.numbers) {
            let counts = counts(*measure, member);
            let sum = sums.entry((*measure, counts)).or_default();
            *sum = if counts.is_some() { *sum + number } else { sum.max(*number) };
        }
    }
    let mut numbers = Numbers::new();
    for ((measure, _), sum) in sums {
        let most: &mut f64 = numbers.entry(measure).or_default();
        *most = most.max(sum);
    }
    numbers
}

/// Whether it costs something that grows.
pub(super) fn grow(member: &Member) -> bool {
    member.judged.iter().flat_map(|judged| judged.numbers.keys()).any(|measure| measure.grows())
}

/// What grows that a level of it asks for.
fn asked_for(member: &Member) -> BTreeSet<Measure> {
    let ladders = member.definition.iter().flat_map(|definition| definition.ladders());
    let tests = ladders.flat_map(|ladder| &ladder.rungs).flat_map(|rung| &rung.condition.tests);
    tests.map(|test| test.measure).filter(|measure| measure.grows()).collect()
}

/// Whether a level of it asks for what grows.
pub(super) fn are_asked_for(member: &Member) -> bool {
    !asked_for(member).is_empty()
}

/// What others of an incident add to what a member costs by itself, of what a level of it asks for.
pub(super) fn beside<'m>(member: &Member, members: impl Iterator<Item = &'m Member> + Clone) -> Numbers {
    let others = members.filter(|other| other.counts() && other.key != member.key);
    let sum = |measure: Measure| {
        let of = counts(measure, member)?;
        let same = others.clone().filter_map(|other| Some((other.judged.as_ref()?.numbers.get(&measure)?, other)));
        let numbers = same.filter(|(_, other)| counts(measure, other) == Some(of)).map(|(number, _)| *number);
        Some((measure, numbers.reduce(|a, b| a + b)?))
    };
    asked_for(member).into_iter().filter_map(sum).collect()
}
