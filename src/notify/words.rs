//! What a person reads of an event: in the target's own words, or in the usual ones.

use serde::Serialize;

use crate::contract::{Body, Change, Data, Evidence, Happening, Levels, Note, Related};
use crate::model::Event;
use crate::model::change::RUNBOOK;
use crate::model::command::RICHTER;
use crate::model::text::{clock, hours};
use crate::rules::notify::Target;
use crate::rules::unlinked;

/// Entities that are named of what else fails.
const OTHERS_MAX: usize = 6;

/// Notes that are told of with what is new to who reads it.
const NOTES_MAX: usize = 3;

/// The second suspect is named where it is the root with this probability at the least.
const SUSPECTED_FROM: f64 = 0.05;

/// What a person reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) title: String,
    /// In lines.
    pub(super) text: String,
}

/// What templates see.
#[derive(Serialize)]
struct Given<'g> {
    event: &'g Happening,
    incident: &'g Body,
}

impl Words {
    /// In the target's own words; what cannot be filled in is told as usual, and why it could not.
    pub(super) fn of(target: &Target, data: &Data) -> Self {
        let given = Given { event: &data.event, incident: &data.incident };
        let mut wrong = vec![];
        let mut own = |text: &Option<crate::rules::Text>| {
            text.as_ref()?.fill(&given).map_err(|why| wrong.push(format!("\nits own text: {why}"))).ok()
        };
        // A message without a title is taken by nobody.
        let title = own(&target.title).filter(|title| !title.trim().is_empty());
        let text = own(&target.text);
        let usual_title = || unlinked(&usual_title(data));
        let (title, text) = (title.unwrap_or_else(usual_title), text.unwrap_or_else(|| usual_text(data)));
        Self { title, text: text + &wrong.concat() }
    }
}

fn usual_title(data: &Data) -> String {
    match data.event.kind {
        // Its title says that it is only suspected.
        Event::Declared | Event::Suspected => data.incident.title.clone(),
        // The title has the leading level, which may be what it was.
        Event::Escalated => match risen_beside(data).as_slice() {
            [] => format!("escalated: {}", data.incident.title),
            risen => format!("now {} as well: {}", risen.join(", "), data.incident.title),
        },
        kind => format!("{}: {}", kind.as_str().replace('_', " "), data.incident.title),
    }
}

/// The levels that have risen while the leading one is as it was; none where that has risen.
fn risen_beside(data: &Data) -> Vec<String> {
    let before = &data.event.levels_before;
    let mut now = data.incident.levels.iter().map(|level| &level.effective);
    let leading = now.next();
    let risen = now.filter(|level| !before.contains(level)).cloned();
    if leading == before.first() { risen.collect() } else { vec![] }
}

/// Why, what is known of it, who is suspected, what was changed, who is on duty, what can be done, where to meet.
fn usual_text(data: &Data) -> String {
    let (incident, evidence) = (&data.incident, &data.incident.evidence);
    let Happening { reason, author, .. } = &data.event;
    // Who declares something by hand is named by the reason.
    let by = if author == RICHTER || data.event.kind == Event::Declared { String::new() } else { format!(" ({author})") };
    let mut lines = vec![quoted(&(reason.trim().to_owned() + &by))];
    let mut line = |what: &str, text: String| {
        if !text.is_empty() {
            lines.push(format!("{what}: {text}"));
        }
    };
    // The title says the first line already.
    let (first, rest) = evidence.says.split_once('\n').unwrap_or((&evidence.says, ""));
    line("it says", quoted(if first == evidence.scenario { rest } else { &evidence.says }));
    line("since", since(incident));
    line("stale", stale(incident));
    line("business", quoted(&evidence.businesses.join(", ")));
    line(if evidence.others_last { "also failing" } else { "also failed" }, quoted(&others(evidence)));
    line("alerts", if evidence.counted.is_empty() { String::new() } else { format!("{} in all", evidence.members_total) });
    line("impact", incident.impact.in_words());
    let carrier = evidence.measure.as_ref().and_then(|measure| measure.dimensions.first());
    line("carried by", carrier.map_or_else(String::new, |carrier| quoted(&carrier.in_words())));
    match &incident.cause {
        Some(cause) => line("cause", quoted(&format!("{} ({})", cause.cause, cause.by))),
        None => line("likely cause", quoted(&suspected(evidence))),
    }
    line("changed", quoted(&changed(evidence)));
    line("changed since", quoted(&evidence.changes_since.iter().rev().take(2).map(Change::in_words).collect::<Vec<_>>().join(", ")));
    if matches!(data.event.kind, Event::HandedOver | Event::Escalated | Event::Reopened) {
        line("noted", quoted(&noted(&incident.notes)));
    }
    line("related to", quoted(&incident.related.iter().map(related).collect::<Vec<_>>().join(", ")));
    let next = incident.level.as_ref().and_then(|level| level.next.as_ref()).filter(|next| !next.distance.is_empty());
    line("next", next.map_or_else(String::new, |next| format!("{} {}", next.level, next.distance)));
    line("level as well", incident.levels.iter().skip(1).map(level).collect::<Vec<_>>().join(", "));
    if let Some(emergency) = &incident.emergency {
        let people = emergency.people.iter().map(|p| match p.contact.as_str() {
            "" => p.name.clone(),
            contact => format!("{} ({contact})", p.name),
        });
        let people = people.collect::<Vec<_>>().join(", ");
        let nobody = || if evidence.owner.is_empty() { "NOBODY".to_owned() } else { format!("NOBODY of {}", evidence.owner) };
        line("on duty", if people.is_empty() { nobody() } else { people });
        line("taken on by", quoted(&taken_on(incident)));
        line("meet", [&emergency.channel, &emergency.conference].into_iter().flatten().cloned().collect::<Vec<_>>().join(" "));
    }
    line(
        "plans",
        incident
            .plans
            .iter()
            .take(3)
            .map(|plan| format!("{} {}", plan.name, plan.link).trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("; "),
    );
    if let Some(review) = incident.review.as_ref().filter(|review| review.done.is_none()) {
        let by = if review.owner.is_empty() { String::new() } else { format!(" by {}", review.owner) };
        line("review", format!("due {} UTC{by}", clock(&review.due_at)));
    }
    line("incident", format!("{} event {}", incident.id, incident.sequence));
    lines.join("\n")
}

/// What others say, in a line of ours: its own lines are none of ours, and its links go nowhere else than they say.
fn quoted(text: &str) -> String {
    unlinked(&text.trim().replace('\n', "\n· "))
}

/// Another incident, by what it is called where that was told.
fn related(other: &Related) -> String {
    let Related { incident, called, .. } = other;
    if called.is_empty() { incident.clone() } else { format!("{called} {incident}") }
}

/// A level in another sequence than the leading one, and how far the next is.
fn level(level: &Levels) -> String {
    let next = level.next.as_ref().filter(|next| !next.distance.is_empty());
    level.effective.clone() + &next.map_or_else(String::new, |next| format!(" ({} {})", next.level, next.distance))
}

/// Since when, and for how long; what leads may have begun later.
fn since(incident: &Body) -> String {
    let started = clock(&incident.started_at);
    let long = hours(incident.lasted_seconds);
    let was_well = incident.history.iter().any(|told| told.event == Event::Reopened);
    let long = match &incident.recovered_at {
        // It was well for a while.
        _ if !incident.state.is_over() && was_well => format!(", for {long} in all"),
        _ if !incident.state.is_over() => format!(", for {long}"),
        Some(recovered) => format!(" until {} UTC, it lasted {long}", clock(recovered)),
        // What was no fault, or is part of another one, has no length of its own.
        None => String::new(),
    };
    let leads = incident.evidence.since.as_deref().map(clock).filter(|leads| *leads > started);
    let leads = leads.map_or_else(String::new, |leads| format!("; what leads began {leads} UTC"));
    format!("{started} UTC{long}{leads}")
}

/// Who is suspected; that what failed alone may be its own cause says nothing.
fn suspected(evidence: &Evidence) -> String {
    let suspects = &evidence.suspects;
    if evidence.undetermined || suspects.len() == 1 && suspects[0].entity == evidence.entity {
        return String::new();
    }
    let share = |probability: f64| if probability > 0.99 { ">99%".to_owned() } else { format!("{:.0}%", probability * 100.0) };
    let likely = suspects.iter().take(2).filter(|suspect| suspect.probability >= SUSPECTED_FROM);
    likely.map(|suspect| format!("{} ({})", suspect.entity, share(suspect.probability))).collect::<Vec<_>>().join(", ")
}

/// Who has taken it on; a worse level than was taken on nobody has.
fn taken_on(incident: &Body) -> String {
    let level = incident.level.as_ref().map_or("", |level| &level.effective);
    match &incident.acknowledged {
        None => "nobody yet".to_owned(),
        Some(by) if incident.unacknowledged => format!("{}, but nobody as {level}", by.by),
        Some(by) => by.by.clone(),
    }
}

/// That nothing tells whether it lasts, and what can be done.
fn stale(incident: &Body) -> String {
    if incident.stale {
        format!("nothing tells whether it lasts; if it is over: richter act recover {}", incident.id)
    } else {
        String::new()
    }
}

/// What was changed before: first what is suspected, then the latest.
fn changed(evidence: &Evidence) -> String {
    let suspect = evidence.suspects.first().filter(|_| !evidence.undetermined).and_then(|suspect| suspect.change.as_ref());
    let mut changes: Vec<&Change> = evidence.changes.iter().rev().collect();
    changes.sort_by_key(|change| Some(&change.id) != suspect);
    changes.into_iter().take(2).map(Change::in_words).collect::<Vec<_>>().join(", ")
}

/// What people noted last.
fn noted(notes: &[Note]) -> String {
    let last = &notes[notes.len().saturating_sub(NOTES_MAX)..];
    last.iter().map(|note| format!("{} ({}, {} UTC)", note.text, note.by, clock(&note.at))).collect::<Vec<_>>().join("; ")
}

/// Where the leading alert says that its runbook is.
pub(super) fn runbook(evidence: &Evidence) -> Option<&str> {
    let mut urls = evidence.says.lines().filter_map(|line| line.strip_prefix(RUNBOOK));
    // One that was cut leads nowhere.
    urls.find(|url| url.starts_with("http") && !url.ends_with('…'))
}

/// What else fails by now, or did.
fn others(evidence: &Evidence) -> String {
    let named = &evidence.others[..evidence.others.len().min(OTHERS_MAX)];
    let more = evidence.others_total.saturating_sub(named.len() as u64);
    named.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_no_line_of_ours_and_no_link() {
        let said = quoted("it fails\non duty: mallory\n[the runbook](http://elsewhere.example)\n");
        assert_eq!(said, "it fails\n· on duty: mallory\n· [the runbook] (http://elsewhere.example)");
    }
}
