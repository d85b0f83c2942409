//! What an incident costs, as its monitors measure it: over all of its episodes, and over all that count the same.

use std::collections::BTreeMap;

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

/// Whether a level of it asks for what grows.
pub(super) fn are_asked_for(member: &Member) -> bool {
    let ladders = member.definition.iter().flat_map(|definition| definition.ladders());
    ladders.flat_map(|ladder| &ladder.rungs).flat_map(|rung| &rung.condition.tests).any(|test| test.measure.grows())
}

/// What others of an incident add to what a member costs by itself; nothing where no level asks for it.
pub(super) fn beside<'m>(member: &Member, members: impl Iterator<Item = &'m Member>) -> Numbers {
    let mut beside = Numbers::new();
    if !are_asked_for(member) {
        return beside;
    }
    for other in members.filter(|other| other.counts() && other.key != member.key) {
        for (measure, number) in other.judged.iter().flat_map(|judged| &judged.numbers) {
            if counts(*measure, other).is_some_and(|of| counts(*measure, member) == Some(of)) {
                *beside.entry(*measure).or_default() += number;
            }
        }
    }
    beside
}
