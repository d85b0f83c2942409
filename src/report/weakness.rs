//! The weakest stage of a business: the one in which it is slowest against all others.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{Past, quantiles};

/// Fewer incidents say nothing about a business, and nothing about the others.
const KNOWN_MIN: usize = 3;

/// How many times as long as nothing takes what takes a while is not told: the others take this long at the least, in seconds.
const OTHERS_MIN: u64 = 60;

/// Incidents that are shown for a weakness, the slowest ones.
const SHOWN: usize = 3;

/// A stage of a fault's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// From what users felt first to its discovery.
    Detect,
    /// From the discovery to the first who took it on.
    Acknowledge,
    /// From the discovery to knowing what has to be recovered.
    Locate,
    /// From what users felt first to the recovery.
    Recover,
}

impl Stage {
    /// In their order.
    pub const ALL: [Self; 4] = [Self::Detect, Self::Acknowledge, Self::Locate, Self::Recover];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detect => "detect",
            Self::Acknowledge => "acknowledge",
            Self::Locate => "locate",
            Self::Recover => "recover",
        }
    }
}

/// In which stage a business is weakest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weakness {
    /// The business.
    pub business: String,
    /// The stage.
    pub stage: Stage,
    /// Its median there, in seconds.
    pub median: u64,
    /// The median of all others.
    pub others: u64,
    /// How many times as long it takes.
    pub times: f64,
    /// The incidents that show it, the slowest first.
    pub incidents: Vec<String>,
}

/// Of each business that is slower than the others in some stage, the worst of them; the worst business first.
pub fn weaknesses(pasts: &[&Past]) -> Vec<Weakness> {
    let businesses: BTreeSet<String> = pasts.iter().map(|past| past.business()).collect();
    let mut weak: Vec<Weakness> = businesses.iter().filter_map(|business| weakest(business, pasts)).collect();
    weak.sort_by(|a, b| b.times.total_cmp(&a.times));
    weak
}

fn weakest(business: &str, pasts: &[&Past]) -> Option<Weakness> {
    let of = |stage: Stage| {
        let took =
            |own: bool| pasts.iter().filter(move |past| (past.business() == business) == own).filter_map(move |past| past.took(stage));
        let own = quantiles(took(true).collect()).filter(|own| own.known >= KNOWN_MIN)?;
        let others = quantiles(took(false).collect()).filter(|others| others.known >= KNOWN_MIN)?;
        let times = own.median as f64 / others.median.max(OTHERS_MIN) as f64;
        let own_pasts = pasts.iter().filter(|past| past.business() == business);
        let slowest: BTreeSet<(u64, &str)> = own_pasts.filter_map(|past| Some((past.took(stage)?, past.body.id.as_str()))).collect();
        let incidents = slowest.into_iter().rev().take(SHOWN).map(|(_, id)| id.to_owned()).collect();
        Some(Weakness { business: business.to_owned(), stage, median: own.median, others: others.median, times, incidents })
    };
    Stage::ALL.into_iter().filter_map(of).filter(|weakness| weakness.times > 1.0).max_by(|a, b| a.times.total_cmp(&b.times))
}
