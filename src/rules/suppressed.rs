//! What is suppressed, as it is written → as it is used.

use std::sync::Arc;

use crate::model::{Entity, Timestamp};

use super::calendar::{Calendar, named, time_of_day};
use super::check::selector;
use super::fault::{At, Fault};
use super::raw;
use super::suppress::{Flapping, Inhibit, Maintenance, Of, Suppress, Window};

/// Starts of one alert that are remembered.
const TIMES_MAX: u32 = 100;

/// The contents of a file, and what is wrong with them.
pub(super) fn compile(file: &str, raw: raw::SuppressFile, calendars: &[Arc<Calendar>]) -> (Suppress, Vec<Fault>) {
    let mut compiler = Compiler { file, calendars, faults: vec![] };
    let suppress = Suppress {
        inhibit: raw.inhibit.iter().filter_map(|inhibit| compiler.inhibit(inhibit)).collect(),
        maintenance: raw.maintenance.iter().filter_map(|at| compiler.maintenance(at)).collect(),
        flapping: raw.flapping.as_ref().map(|at| compiler.flapping(at)),
    };
    (suppress, compiler.faults)
}

struct Compiler<'f> {
    file: &'f str,
    calendars: &'f [Arc<Calendar>],
    faults: Vec<Fault>,
}

impl Compiler<'_> {
    fn good<T, U>(&mut self, at: &At<U>, result: Result<T, String>) -> Option<T> {
        result.map_err(|why| self.faults.push(at.fault(self.file, why))).ok()
    }

    fn inhibit(&mut self, raw: &raw::Inhibit) -> Option<Inhibit> {
        let (source, target) = (self.good(&raw.source, selector(&raw.source.value)), self.good(&raw.target, selector(&raw.target.value)));
        if raw.equal.is_empty() && raw.along.is_none() {
            self.faults.push(raw.target.fault(self.file, "any source would silence every target; add `equal` or `along: topology`"));
        }
        Some(Inhibit { source: source?, target: target?, equal: raw.equal.clone(), along_topology: raw.along.is_some() })
    }

    fn maintenance(&mut self, at: &At<raw::Maintenance>) -> Option<Maintenance> {
        let raw = &at.value;
        let of = match (&raw.entity, &raw.alerts) {
            (Some(entity), None) => self.good(entity, Entity::parse(&entity.value).map(Of::Entity)),
            (None, Some(alerts)) => self.good(alerts, selector(&alerts.value).map(Of::Alerts)),
            _ => self.good(at, Err("maintenance of what? give `entity` or `alerts`, and not both".into())),
        };
        let window = match (&raw.from, &raw.to, &raw.weekly) {
            (Some(from), Some(to), None) => self.once(from, to),
            (None, None, Some(weekly)) => self.weekly(weekly),
            _ => self.good(at, Err("maintenance when? give `from` and `to`, or `weekly`".into())),
        };
        Some(Maintenance { name: raw.name.clone(), of: of?, window: window? })
    }

    fn once(&mut self, from: &At<String>, to: &At<String>) -> Option<Window> {
        let (from, end) = (self.good(from, Timestamp::parse(&from.value))?, self.good(to, Timestamp::parse(&to.value))?);
        if end <= from {
            self.faults.push(to.fault(self.file, "the end is not after the beginning"));
        }
        Some(Window::Once { from, to: end })
    }

    fn weekly(&mut self, at: &At<raw::Weekly>) -> Option<Window> {
        let raw = &at.value;
        let days = raw::Day::week(&raw.days);
        if raw.days.is_empty() {
            self.faults.push(at.fault(self.file, "on no day; name some of mon, tue, wed, thu, fri, sat, sun"));
        }
        let (from, to) = (self.good(&raw.from, time_of_day(&raw.from.value)), self.good(&raw.to, time_of_day(&raw.to.value)));
        let calendar = match &raw.calendar {
            None => None,
            Some(name) => Some(self.good(name, named(self.calendars, &name.value))?),
        };
        Some(Window::Weekly { days, from: from?, to: to?, calendar })
    }

    fn flapping(&mut self, at: &At<raw::Flapping>) -> Flapping {
        let raw::Flapping { times, within, settle } = &at.value;
        if *times < 2 {
            self.faults.push(at.fault(self.file, "what fires once does not flap; let `times` be 2 or more"));
        }
        if within.0.is_zero() {
            self.faults.push(at.fault(self.file, "nothing flaps within no time; leave `flapping` out to switch it off"));
        }
        if *times > TIMES_MAX {
            self.faults.push(at.fault(self.file, format!("so many starts are not remembered; let `times` be {TIMES_MAX} at most")));
        }
        Flapping { times: *times, within: within.0, settle: settle.0 }
    }
}
