//! How likely it is that one sign of trouble made another: rates per second, by how long after the cause it showed.
//!
//! The model is a marked Hawkes process: what fails makes its callers fail, each with some probability and after some
//! delay, and what is detected on both sides is told with delays of its own; so the kernels have two sides. Source: A. G.
//! Hawkes, "Spectra of some self-exciting and mutually exciting point processes", Biometrika 58, 1971.
//!
//! The constants were chosen together by random search on generated storms (`make storms` prints what they give on
//! others), for no topology and no load in particular.

use std::time::Duration;

use crate::model::Timestamp;

/// The probability that a failing entity makes one that depends on it fail.
pub(super) const SPREADS: f64 = 0.3;

/// The probability that an entity that fails is told of.
pub(super) const TOLD: f64 = 0.88;

/// The probability that one sign of an entity brings another of the same.
const SAME: f64 = 0.95;

/// Signs further apart than this (in seconds) do not make each other.
pub(super) const NEAR: f64 = 900.0;

/// Nor do they, through an entity of which nothing is told, further apart than this.
pub(super) const NEAR_THROUGH: f64 = 150.0;

/// What lasts may still spread: once in so long, in seconds.
const LASTS: f64 = 21_600.0;

/// The probability that what reaches an entity does by a dependency that is missing in the topology.
const UNKNOWN: f64 = 0.15;

/// The same of a stranger: of what the topology does not know, every dependency is missing.
const UNKNOWN_OF_STRANGER: f64 = 1.0;

/// A cause of which nothing is told came so long before the first sign of it.
pub(super) const SILENT_LEAD: Duration = Duration::from_secs(10);

/// The spread (in seconds) around a moment within which signs count for what goes on at that moment.
const MEANWHILE: f64 = 30.0;

/// For so many seconds that counts as a whole: the area under a Gaussian bell.
pub(super) const MEANWHILE_WINDOW: f64 = MEANWHILE * 2.506_628_274_631;

/// Those further away count for nothing.
pub(super) const MEANWHILE_WITHIN: Duration = Duration::from_secs(90);

/// What each within that counts for on average, where they come evenly.
pub(super) const MEANWHILE_EACH: f64 = 0.42;

/// In a topology of fewer entities than this, being one of them says no more.
const CROWD: f64 = 100.0;

/// Nor does it of a stranger, where there are fewer than this: how many more there are is not known.
const CROWD_OF_STRANGERS: f64 = 25.0;

/// A density that falls off to both sides of the usual delay, and a share of it that falls off slowly.
struct Kernel {
    usual: f64,
    later: f64,
    earlier: f64,
    slow: f64,
    slow_later: f64,
    slow_earlier: f64,
}

/// From what fails to what calls it.
const DIRECT: Kernel = Kernel { usual: 8.0, later: 50.0, earlier: 20.0, slow: 0.05, slow_later: 300.0, slow_earlier: 300.0 };

/// The same through one in between.
const INDIRECT: Kernel = Kernel { usual: 30.0, later: 25.0, earlier: 15.0, slow: 0.05, slow_later: 300.0, slow_earlier: 300.0 };

/// From one alert about an entity to the next.
const AGAIN: Kernel = Kernel { usual: 0.0, later: 30.0, earlier: 30.0, slow: 0.08, slow_later: 160.0, slow_earlier: 40.0 };

/// From the end of what fails to the end of what calls it.
const ENDED: Kernel = Kernel { usual: 0.0, later: 50.0, earlier: 50.0, slow: 0.04, slow_later: 600.0, slow_earlier: 600.0 };

/// Faults last about so many seconds: so far apart are the ends of any two that go on at one time.
const FAULT: f64 = 900.0;

impl Kernel {
    /// The density, where times are only known to so many seconds.
    fn at(&self, delay: f64, blur: f64) -> f64 {
        (1.0 - self.slow) * density(delay - self.usual, self.later + blur, self.earlier + blur)
            + self.slow * density(delay, self.slow_later + blur, self.slow_earlier + blur)
    }

    /// The probability of a delay of more than that, where there is one.
    fn beyond(&self, delay: f64, blur: f64) -> f64 {
        (1.0 - self.slow) * libm::exp(-delay / (self.later + blur)) + self.slow * libm::exp(-delay / (self.slow_later + blur))
    }
}

/// Laplace's density with two different sides.
fn density(by: f64, later: f64, earlier: f64) -> f64 {
    let scales = if by >= 0.0 { by / later } else { -by / earlier };
    libm::exp(-scales) / (later + earlier)
}

/// How likely it is that what a change broke shows so many seconds after it: most within minutes, some within hours.
pub(super) fn density_of_change(after: f64) -> f64 {
    0.7 * libm::exp(-after / 900.0) / 900.0 + 0.3 * libm::exp(-after / 7200.0) / 7200.0
}

/// How much later one is than the other, in seconds.
pub(super) fn seconds(later: Timestamp, earlier: Timestamp) -> f64 {
    later.0.saturating_sub(earlier.0) as f64 / 1000.0
}

/// Of a caller, so many seconds after what it depends on.
pub(super) fn direct(delay: f64, lasts: bool, blur: f64) -> f64 {
    SPREADS * (DIRECT.at(delay, blur) + lasting(delay, lasts))
}

/// Of a caller's caller, where nothing is told of the one in between.
pub(super) fn indirect(delay: f64, lasts: bool, blur: f64) -> f64 {
    SPREADS * SPREADS * (1.0 - TOLD) * (INDIRECT.at(delay, blur) + lasting(delay, lasts))
}

/// The most that gives.
pub(super) fn indirect_at_most() -> f64 {
    indirect(INDIRECT.usual, true, 0.0)
}

/// Of another alert about the same entity.
pub(super) fn same(delay: f64, lasts: bool, blur: f64) -> f64 {
    SAME * (AGAIN.at(delay, blur) + lasting(delay, lasts))
}

/// How many times as likely it is of cause and effect as of any two that one ends so many seconds after the other.
pub(super) fn ended(later: f64, blur: f64) -> f64 {
    ENDED.at(later, blur) / density(later, FAULT + blur, FAULT + blur)
}

/// The same, where one lasts for so many seconds beyond the end of the other.
pub(super) fn outlasted(by: f64, blur: f64) -> f64 {
    ENDED.beyond(by, blur) / libm::exp(-by / (FAULT + blur))
}

fn lasting(delay: f64, lasts: bool) -> f64 {
    if lasts && delay > 0.0 { 1.0 / LASTS } else { 0.0 }
}

/// How much a sign counts for what goes on so many seconds away from it.
pub(super) fn meanwhile(away: f64) -> f64 {
    let away = away / MEANWHILE;
    libm::exp(-0.5 * away * away)
}

/// Of any one entity without a path to a situation, in which so many signs count at that moment.
pub(super) fn unconnected(signs: f64, entities: usize, stranger: bool) -> f64 {
    let (unknown, crowd) = if stranger { (UNKNOWN_OF_STRANGER, CROWD_OF_STRANGERS) } else { (UNKNOWN, CROWD) };
    unknown * signs / MEANWHILE_WINDOW / (entities as f64).max(crowd)
}
