//! What time brings to incidents: updates, recovery, follow-ups, changes of shift, and reviews.

use std::sync::LazyLock;
use std::time::Duration;

use crate::contract::HistoryEntry;
use crate::correlate::{Member, MemberKey, SituationId, Source, Suppressed};
use crate::model::command::RICHTER;
use crate::model::text::{clock, counted, moment};
use crate::model::{Event, Origin, State, Timestamp, duration};
use crate::rules::{Calendar, Handling, Input};
use crate::stage::Outbox;

use super::agenda::Timer;
use super::emergency::{handed_over, joined};
use super::evidence::Grounds;
use super::story::Story;
use super::{Declare, Incident, LOOK_EVERY_MIN};

/// What has happened since the last follow-up, in so many parts at the most.
const NEWS_MAX: usize = 5;

/// So many workdays later on a team's calendar; on UTC's where it has none.
pub(super) fn workdays_after(calendar: Option<&Calendar>, at: Timestamp, workdays: u8) -> Timestamp {
    static UTC: LazyLock<Option<Calendar>> = LazyLock::new(|| Calendar::new("UTC", "UTC", vec![]).ok());
    calendar.or(UTC.as_ref()).map_or(at, |calendar| calendar.workdays_after(at, workdays))
}

/// How often it is asked whether a heartbeat is heard again.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// What has to be told again once what evaluates it is back is told within so long.
const FIRES_WITHIN: Duration = Duration::from_secs(300);

impl Declare {
    fn timers(&self, incident: &Incident) -> Vec<(Timer, Timestamp)> {
        // What has no level is not on; what it waits for needs no handling.
        let handling = incident.level().map_or_else(|| Handling::default_of(u8::MAX), |level| self.rules.levels.handling(level));
        let settled_at = (incident.state == State::Recovering).then(|| self.settled_at(incident)).flatten();
        incident.timers(&handling, &self.config.tuning, settled_at)
    }

    /// What flaps of an incident, by name, and when it ended last, where it has.
    fn flapped(&self, id: SituationId) -> Option<(String, Timestamp)> {
        let situations = self.state.incidents.get(&id)?.situations.iter().filter_map(|id| self.state.situations.get(*id));
        let flapping = situations.flat_map(|situation| self.state.situations.flapping(situation, &self.rules));
        let last = flapping.max_by_key(|member| (member.ends_at, member.key))?;
        Some((format!("{} of {}", last.source.name(), last.entity), last.ends_at?))
    }

    /// By when all breaches of an incident that have ended had stayed so for long enough, data being there, and what flaps had
    /// stayed away; none as long as one of them has not.
    fn settled_at(&self, incident: &Incident) -> Option<Timestamp> {
        let situations = incident.situations.iter().filter_map(|id| self.state.situations.get(*id));
        let breaches = situations.flat_map(|situation| &situation.members).filter(|member| member.counts() && !member.by_duration());
        let settled = breaches.map(|member| member.settled_at).chain([self.calm_at(incident)]);
        settled.into_iter().try_fold(Timestamp::MIN, |latest, at| Some(latest.max(at?)))
    }

    /// By when all that flaps of an incident will have stayed away for long enough; none while some of it is there.
    pub(super) fn calm_at(&self, incident: &Incident) -> Option<Timestamp> {
        let situations = incident.situations.iter().filter_map(|id| self.state.situations.get(*id));
        let calm = situations.map(|situation| self.state.situations.calm_at(situation, &self.rules));
        calm.into_iter().try_fold(Timestamp::MIN, |latest, at| Some(latest.max(at?)))
    }

    /// From now on it is looked at when something of it is due: in the time of its data, so that its story does not depend on
    /// how fast other inputs are; but where data stops, people are still told by the clock.
    pub(super) fn schedule(&mut self, id: SituationId) {
        let Some(incident) = self.state.incidents.get(&id) else { return };
        for (timer, at) in self.timers(incident) {
            self.state.agenda.add(incident.origin.as_ref(), at, timer, id);
            if incident.origin.is_some() && !timer.waits_for_data() {
                self.state.agenda.add(None, at, timer, id);
            }
        }
    }

    /// Looks at all that is due, in the time of an input, or by the clock.
    pub(super) fn turns(&mut self, origin: Option<&Origin>, until: Timestamp, out: &mut Outbox) {
        while let Some((at, timer, id)) = self.state.agenda.next(origin, until) {
            // What was put off meanwhile is on the agenda once more.
            let due = self.state.incidents.get(&id).is_some_and(|incident| self.timers(incident).contains(&(timer, at)));
            if due {
                if !self.put_off(id, timer, at, until) && !self.waits_for_works(id, timer, at, out) {
                    self.turn(id, timer, at, until, out);
                }
                self.schedule(id);
            }
        }
    }

    /// Whether this comes round once more before then, so that only the last time counts: after a pause of days, people are
    /// told once how things stand, and a stamp from years ago costs no more than one from a minute ago.
    fn put_off(&mut self, id: SituationId, timer: Timer, at: Timestamp, until: Timestamp) -> bool {
        let Self { config, rules, state, .. } = self;
        let Some(incident) = state.incidents.get_mut(&id) else { return false };
        let (every, since) = match timer {
            Timer::Look => (config.tuning.update_every.max(LOOK_EVERY_MIN), &mut incident.looked_at),
            Timer::FollowUp => {
                let Some(level) = incident.level() else { return false };
                (incident.follows_up_after(&rules.levels.handling(level)), &mut incident.followed_at)
            }
            _ => return false,
        };
        let gone_by = rounds(every, at, until);
        *since = *since + gone_by;
        !gone_by.is_zero()
    }

    /// Whether nobody is asked or told how things stand, because all that lasts is under maintenance, which is told once.
    fn waits_for_works(&mut self, id: SituationId, timer: Timer, at: Timestamp, out: &mut Outbox) -> bool {
        if !matches!(timer, Timer::FollowUp | Timer::Unacknowledged) {
            return false;
        }
        let lasting = self.counting(id).filter(|member| member.ends_at.is_none());
        let works: Option<Vec<Suppressed>> = lasting.map(|member| self.state.situations.maintained(member, at, &self.rules)).collect();
        let works = works.and_then(|works| works.into_iter().min_by_key(|works| works.until));
        let Some((works, incident)) = works.zip(self.state.incidents.get_mut(&id)) else { return false };
        // From when they end the time runs anew.
        let ended = works.until.map_or(at, |until| until.max(at));
        (incident.followed_at, incident.asks_since) = (ended, ended);
        if std::mem::replace(&mut incident.worked_on, works.until) != works.until {
            let until = works.until.map_or_else(String::new, |until| format!(" until {}", moment(until)));
            self.event(
                id,
                Event::Updated,
                at,
                RICHTER,
                format!("what lasts is under {}{until}: nobody is asked meanwhile", works.why),
                out,
            );
        }
        true
    }

    fn turn(&mut self, id: SituationId, timer: Timer, at: Timestamp, until: Timestamp, out: &mut Outbox) {
        match timer {
            Timer::Recovery if self.lasts(id) => {
                self.event(id, Event::RecoveryRevoked, at, RICHTER, "something of it lasts", out);
            }
            Timer::Recovery if self.is_deaf_to(id, at) => self.holds(id, at, out),
            Timer::Recovery => {
                let flapped = self.flapped(id).and_then(|(what, ended)| {
                    let incident = self.state.incidents.get_mut(&id)?;
                    let is_last = incident.good_since.is_none_or(|good| ended > good);
                    is_last.then(|| {
                        incident.good_since = Some(ended);
                        format!("; {what} flapped until {}", moment(ended))
                    })
                });
                let good_since = self.state.incidents.get(&id).and_then(|incident| incident.good_since);
                let held = good_since.map_or(self.config.tuning.recover_after, |good| at.since(good));
                let reason = self.ended(id, Some(held)) + &flapped.unwrap_or_default();
                self.event(id, Event::Recovered, at, RICHTER, reason, out);
            }
            Timer::Look => {
                self.look(id, at, out);
                self.listens(id, at, out);
            }
            Timer::HandOver => self.hand_over(id, at, until, out),
            Timer::Unacknowledged => self.ask(id, at, out),
            Timer::FollowUp => {
                let Some(incident) = self.state.incidents.get(&id) else { return };
                let unheard = unheard(incident, at).map_or_else(String::new, |unheard| unheard + "; ");
                let waits = incident.state == State::Recovering && self.calm_at(incident).is_none_or(|calm| calm > at);
                let flaps = self.flapped(id).filter(|_| waits);
                let flaps = flaps.map_or_else(String::new, |(what, _)| format!("{what} flaps: it recovers once that stays away; "));
                let (news, _) = self.news(incident, at);
                self.event(id, Event::FollowUpDue, at, RICHTER, unheard + &flaps + &news, out);
            }
            Timer::Review => {
                let Some(review) = self.state.incidents.get_mut(&id).and_then(|incident| incident.review.as_mut()) else { return };
                let (event, reason) = review.reminds();
                self.event(id, event, at, RICHTER, reason, out);
            }
            Timer::Close => match self.waits_from(id, at, until) {
                Some(last) => self.waits(id, last),
                None => self.event(id, Event::Closed, at, RICHTER, "nothing more comes of it", out),
            },
        }
    }

    /// What was no fault is none as long as it goes on, and for some time after; what is part of one that is on may be split off.
    /// Gives from when that time runs: the last look before `until`, or the end; none where it has passed.
    fn waits_from(&self, id: SituationId, at: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let state = |id: SituationId| self.state.incidents.get(&id).map(|incident| incident.state);
        let goes_on = at + rounds(self.waits_for(), at, until);
        match state(id)? {
            State::Cancelled if self.lasts(id) => Some(goes_on),
            State::Cancelled => self.ended_at(id).filter(|ended| *ended + self.waits_for() > at),
            State::Merged => self.whole_of(id).and_then(state).is_some_and(State::is_on).then_some(goes_on),
            _ => None,
        }
    }

    /// What an incident is part of in the end; none where that is not known any more.
    pub(super) fn whole_of(&self, mut id: SituationId) -> Option<SituationId> {
        // None is part of itself; a chain is no longer than there are incidents.
        for _ in 0..self.state.incidents.len() {
            let Some(into) = &self.state.incidents.get(&id)?.merged_into else { break };
            id = self.state.incidents.named(into)?;
        }
        Some(id)
    }

    /// It is closed no earlier than so long after then, and takes in what relapses by then.
    fn waits(&mut self, id: SituationId, last: Timestamp) {
        let close_at = last + self.waits_for();
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        incident.close_at = close_at;
        let over = incident.is_over_since(last);
        if self.owner(id) == id {
            self.situations_of(id).into_iter().for_each(|situation| self.state.situations.hold(situation, over));
        }
    }

    fn waits_for(&self) -> Duration {
        self.config.tuning.reopen_within.max(LOOK_EVERY_MIN)
    }

    /// When an incident was last heard of that only alerts keep open, and monitors that have no data any more.
    pub(super) fn heard_at(&self, id: SituationId) -> Option<Timestamp> {
        let lasting = self.counting(id).filter(|member| member.ends_at.is_none());
        let heard = |member: &Member| (member.stale || matches!(member.source, Source::Alert { .. })).then_some(member.heard_at);
        lasting.map(heard).try_fold(Timestamp::MIN, |latest, heard| Some(latest.max(heard?))).filter(|heard| *heard > Timestamp::MIN)
    }

    /// Whether what ended may have done so only because nobody tells of it: alerts resolve where what evaluates them is dead.
    pub(super) fn is_deaf_to(&self, id: SituationId, at: Timestamp) -> bool {
        let patience = self.config.tuning.recover_after.max(FIRES_WITHIN);
        let is_heartbeat = |member: &Member| {
            let monitor = member.source.monitor().and_then(|monitor| self.rules.monitor(monitor));
            monitor.is_some_and(|monitor| matches!(monitor.input, Input::Heartbeat(..)))
        };
        let alerts = self.counting(id).filter(|member| matches!(member.source, Source::Alert { .. }) && !is_heartbeat(member));
        alerts.filter_map(|member| member.ends_at).any(|ended| self.state.heartbeats.was_unheard(ended, at, patience))
    }

    /// It recovers once a heartbeat has been heard again for long enough, unless it turns out to last.
    fn holds(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        if incident.held_until.replace(at + LOOK_AGAIN).is_none() {
            let reason = "a heartbeat was missing when they ended: it may be that nothing evaluated the alerts, so recovery waits";
            self.event(id, Event::Updated, at, RICHTER, reason, out);
        }
    }

    /// Tells that an incident of which nobody tells any more may be over, and that somebody tells of it again.
    pub(super) fn listens(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let (heard, patience) = (self.heard_at(id), self.config.tuning.forget_alerts_after);
        let Some(incident) = self.state.incidents.get_mut(&id).filter(|incident| incident.state == State::Declared) else { return };
        match (incident.unheard, heard.is_some_and(|heard| at.since(heard) > patience)) {
            // That its data has stopped was told.
            (false, true) if incident.no_data => incident.unheard = true,
            (false, true) => {
                incident.unheard = true;
                let reason = format!("nothing was heard of it for {}: nothing tells whether it lasts", duration::show(patience));
                self.event(id, Event::Stale, at, RICHTER, reason, out);
            }
            (true, false) => {
                // It is told how things stand as often as before from now on.
                (incident.unheard, incident.followed_at) = (false, at);
                self.event(id, Event::Updated, at, RICHTER, "it is heard of again", out);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Whether something counts and lasts in an incident that nobody was told of yet.
    pub(super) fn has_untold(&self, id: SituationId) -> bool {
        let Some(incident) = self.state.incidents.get(&id) else { return false };
        let (told, untold): (Vec<_>, Vec<_>) = self.counting(id).partition(|member| incident.picture.tells_of(member));
        let is_told = |member: &&Member| told.iter().any(|told| told.entity == member.entity && told.is_called_as(member));
        untold.iter().any(|member| member.ends_at.is_none() && !is_told(member))
    }

    /// Tells of an incident whose picture has changed.
    pub(super) fn look(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        self.change(id, |incident| incident.looked_at = at);
        let news = self.looks_new(id, at);
        if !news.is_empty() {
            self.event(id, Event::Updated, at, RICHTER, news, out);
        }
    }

    /// What is new in the picture of an incident, in words, which is to be told now.
    pub(super) fn looks_new(&mut self, id: SituationId, at: Timestamp) -> String {
        let Self { config, rules, state, .. } = self;
        let Some(incident) = state.incidents.get_mut(&id) else { return String::new() };
        let Some(grounds) = Grounds::of(incident, at, &state.situations, rules, &config.tuning) else { return String::new() };
        let picture = grounds.picture();
        let news = picture.news(&incident.picture, &grounds.situations);
        incident.picture = picture;
        news
    }

    /// All that is known of an incident by now has been told.
    pub(super) fn has_told(&mut self, id: SituationId, at: Timestamp) {
        let Self { config, rules, state, .. } = self;
        let Some(incident) = state.incidents.get_mut(&id) else { return };
        if let Some(grounds) = Grounds::of(incident, at, &state.situations, rules, &config.tuning) {
            incident.picture = grounds.picture();
        }
    }

    /// A shift has ended, or shifts are other ones from now on: where others are on duty by now, they are told.
    fn hand_over(&mut self, id: SituationId, at: Timestamp, until: Timestamp, out: &mut Outbox) {
        let Self { config, rules, state, .. } = self;
        let Some(incident) = state.incidents.get_mut(&id) else { return };
        let grounds = Grounds::of(incident, at, &state.situations, rules, &config.tuning);
        let now = Story::new(incident, grounds.as_ref(), rules).gather(at);
        if now.until.is_some_and(|next| next <= until) {
            // That shift has ended too: who matters is on duty now.
            incident.gathered.until = Some(until);
            return;
        }
        match handed_over(&incident.gathered.people, &now.people) {
            Some(reason) => {
                let unheard = unheard(incident, at).map_or_else(String::new, |unheard| format!("; {unheard}"));
                self.event(id, Event::HandedOver, at, RICHTER, reason + &unheard, out);
            }
            None => incident.gathered = now,
        }
    }

    /// Something else of an incident counts that is another team's business: that team is called as well.
    pub(super) fn call_in(&mut self, key: MemberKey, at: Timestamp, out: &mut Outbox) {
        let Some((situation, member)) = self.state.situations.member(key).filter(|(_, member)| member.counts()) else { return };
        let whose = member.owner().to_owned();
        let known = situation.members.iter().any(|other| other.key != key && other.counts() && other.owner() == whose);
        if known || self.rules.duty.team(&whose).is_none() {
            return;
        }
        let id = self.owner(situation.id);
        let incident = self.state.incidents.get(&id).filter(|incident| incident.state.is_on() && !incident.gathered.teams.contains(&whose));
        let Some(incident) = incident else { return };
        let grounds = Grounds::of(incident, at, &self.state.situations, &self.rules, &self.config.tuning);
        let now = Story::new(incident, grounds.as_ref(), &self.rules).gather(at);
        if let Some(joined) = joined(&incident.gathered.people, &now.people) {
            let reason = format!("also {} ({}); {joined}", member.summary(), member.entity.name());
            self.event(id, Event::HandedOver, at, RICHTER, reason, out);
        }
    }

    /// Who is on duty as well for what has just become part of an incident, in words that follow others.
    pub(super) fn called_in(&self, id: SituationId, at: Timestamp) -> String {
        let incident = self.state.incidents.get(&id).filter(|incident| incident.state.is_on());
        let joined = incident.and_then(|incident| {
            let grounds = Grounds::of(incident, at, &self.state.situations, &self.rules, &self.config.tuning);
            joined(&incident.gathered.people, &Story::new(incident, grounds.as_ref(), &self.rules).gather(at).people)
        });
        joined.map_or_else(String::new, |joined| format!("; {joined}"))
    }

    /// Nobody has taken it on: it is told of again, and the next ones are asked.
    fn ask(&mut self, id: SituationId, at: Timestamp, out: &mut Outbox) {
        let Some(incident) = self.state.incidents.get_mut(&id) else { return };
        // It may have been due before its level asked for it.
        let at = at.max(incident.at);
        incident.asked = Some(at.since(incident.asks_since));
        let unheard = unheard(incident, at).unwrap_or_default();
        let asked =
            incident.gathered.escalate.iter().filter(|(after, _)| Some(*after) <= incident.asked).flat_map(|(_, teams)| teams.iter());
        let asked: Vec<&str> = asked.filter(|team| !incident.gathered.teams.contains(team)).map(String::as_str).collect();
        let also = if asked.is_empty() { String::new() } else { format!("; asked as well: {}", asked.join(", ")) };
        let news = self.state.incidents.get(&id).map(|incident| self.news(incident, at)).filter(|(_, any)| *any);
        let news = news.map_or_else(String::new, |(news, _)| format!("; {news}"));
        self.event(id, Event::FollowUpDue, at, RICHTER, unheard + &also + &news, out);
    }

    /// What has happened since it was last told how things stand, and how it stood then in numbers, where it stands otherwise by now;
    /// and whether there is any of that.
    fn news(&self, incident: &Incident, at: Timestamp) -> (String, bool) {
        let (happened, since) = happened(incident, at);
        let stood = Some(&incident.stood).filter(|stood| {
            let grounds = || Grounds::of(incident, at, &self.state.situations, &self.rules, &self.config.tuning);
            !stood.is_empty() && Story::new(incident, grounds().as_ref(), &self.rules).stands() != **stood
        });
        let any = happened.is_some() || stood.is_some();
        let stood = stood.map_or_else(String::new, |stood| format!("; at that time {stood}"));
        (happened.unwrap_or_else(|| format!("nothing new since {since}")) + &stood, any)
    }
}

/// That nobody has taken it on, though somebody was asked to.
fn unheard(incident: &Incident, at: Timestamp) -> Option<String> {
    if incident.is_taken_on() || incident.asked.is_none() {
        return None;
    }
    let waits = |since| duration::show(Duration::from_secs(at.max(incident.at).since(since).as_secs()));
    Some(match incident.level().filter(|_| incident.acknowledged.is_some()) {
        Some(level) => format!("nobody has acknowledged it as {level} for {}", waits(incident.asks_since)),
        None => format!("nobody has acknowledged it for {}", waits(incident.on_since)),
    })
}

/// The whole rounds of so long between the two.
fn rounds(every: Duration, at: Timestamp, until: Timestamp) -> Duration {
    let rounds = until.since(at).as_millis() / every.as_millis().max(1);
    every.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX))
}

/// The events since it was last told how things stand, in words, if there were any, and when that was.
fn happened(incident: &Incident, at: Timestamp) -> (Option<String>, String) {
    let followed = incident.history.iter().rev().find(|told| told.event == Event::FollowUpDue).map(|told| told.at.clone());
    let since = followed.unwrap_or_default().max(incident.on_since.to_string());
    let new: Vec<&HistoryEntry> = incident.history.iter().filter(|told| told.at > since && told.event != Event::FollowUpDue).collect();
    let at = at.to_string();
    let clock = format!("{} UTC", if since[..10] == at[..10] { since[11..16].to_owned() } else { clock(&since) });
    if new.is_empty() {
        return (None, clock);
    }
    let told = |told: &&HistoryEntry| match told.event.as_str() {
        event if told.reason.starts_with(event) => told.reason.clone(),
        event => format!("{event} ({})", told.reason),
    };
    let parts: Vec<String> = new.iter().rev().take(NEWS_MAX).rev().map(told).collect();
    let more = new.len() - parts.len();
    let more = if more > 0 { format!("{} before, ", counted(more, "event")) } else { String::new() };
    (Some(format!("since {clock}: {more}{}", parts.join("; "))), clock)
}
