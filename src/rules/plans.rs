//! Recovery plans: what can be done, what it fits, how fast and how risky it is.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Class, Entity};

use super::fault::Fault;
use super::raw;

/// A predefined way to recover.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Unique.
    pub name: String,
    /// What kind of deed it is.
    pub kind: Kind,
    /// The scenarios it fits; all where none is named.
    pub scenarios: Vec<String>,
    /// The entities it is done to: what the fault is about, or its first suspect; all where none is named.
    pub entities: Vec<Entity>,
    /// The classes of root cause it fits; all where none is named.
    pub causes: Vec<Class>,
    /// The kinds of suspected change it fits, `*` being any; without one it needs no change.
    pub changes: Vec<String>,
    /// Where it is written down.
    pub link: String,
    /// Who can do it.
    pub owner: String,
    /// How long it takes.
    pub takes: Option<Duration>,
    /// What it may break.
    pub risk: Risk,
}

/// What kind of deed a plan is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Takes a change back.
    RollBack,
    /// A plan made for the case.
    Plan,
    /// Starts it anew.
    Restart,
    /// Leaves something out.
    Degrade,
    /// Takes the broken part out.
    Isolate,
    /// Sends users elsewhere.
    ShiftTraffic,
    /// Adds more of it.
    AddCapacity,
}

/// What a plan may break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Risk {
    /// Nothing that users notice.
    Low,
    /// Some of them will.
    #[default]
    Medium,
    /// It may make things worse.
    High,
}

/// What a plan is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Need<'n> {
    /// What the user cannot do.
    pub scenario: &'n str,
    /// What the fault is about.
    pub entity: &'n Entity,
    /// What is suspected first, where something stands out.
    pub suspect: Option<&'n Entity>,
    /// The class of the root cause, where it is known.
    pub class: Option<Class>,
    /// The kind of the change that is suspected first.
    pub change: Option<&'n str>,
}

impl Plan {
    /// Whether it fits.
    #[must_use]
    pub fn fits(&self, need: &Need<'_>) -> bool {
        let any = |empty: bool, found: bool| empty || found;
        any(self.scenarios.is_empty(), self.scenarios.iter().any(|s| s == need.scenario))
            && any(self.entities.is_empty(), self.entities.iter().any(|e| e == need.entity || Some(e) == need.suspect))
            && any(self.causes.is_empty(), self.causes.iter().any(|c| Some(*c) == need.class))
            && any(self.changes.is_empty(), need.change.is_some_and(|kind| self.changes.iter().any(|c| c == "*" || c == kind)))
    }
}

/// The plans that fit: taking the suspected change back first, then the fastest, then the least risky.
#[must_use]
pub fn fitting<'p>(plans: &'p [Plan], need: &Need<'_>) -> Vec<&'p Plan> {
    let mut fitting: Vec<&Plan> = plans.iter().filter(|plan| plan.fits(need)).collect();
    fitting.sort_by_key(|plan| (plan.kind != Kind::RollBack || need.change.is_none(), plan.takes.unwrap_or(Duration::MAX), plan.risk));
    fitting
}

/// Raw plans of a file, besides those that there are → plans, with the faults.
pub(super) fn compile(file: &str, raw: raw::PlanFile, there: &[Plan], scenarios: &[String]) -> (Vec<Plan>, Vec<Fault>) {
    let (mut plans, mut faults): (Vec<Plan>, _) = (vec![], vec![]);
    for plan in raw.plans {
        if there.iter().chain(&plans).any(|known| known.name == plan.name.value) {
            faults.push(plan.name.fault(file, format!("a plan {:?} exists already; names are unique", plan.name.value)));
        }
        for scenario in plan.scenarios.iter().filter(|s| !scenarios.contains(&s.value)) {
            faults.push(scenario.fault(file, format!("no monitor has the scenario {:?}", scenario.value)));
        }
        let mut entities = vec![];
        for entity in &plan.entities {
            match Entity::parse(&entity.value) {
                Ok(parsed) => entities.push(parsed),
                Err(why) => faults.push(entity.fault(file, why)),
            }
        }
        plans.push(Plan {
            name: plan.name.value,
            kind: plan.kind,
            scenarios: plan.scenarios.into_iter().map(|s| s.value).collect(),
            entities,
            causes: plan.causes,
            changes: plan.changes,
            link: plan.link,
            owner: plan.owner,
            takes: plan.takes.map(|takes| takes.value.0),
            risk: plan.risk,
        });
    }
    (plans, faults)
}
