//! Which series, or which alerts: label matchers with Prometheus' semantics.

use promql_parser::label::{MatchOp, Matcher, Matchers};
use promql_parser::parser::Expr;
use regex::Regex;

use crate::model::{Labels, labels::METRIC_NAME};

use super::parser::{parse, parse_told};

/// The label that holds an alert's name.
const ALERT_NAME: &str = "alertname";

/// Matchers that must all hold; a missing label is the empty text; regular expressions are anchored at both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector(Vec<Matcher>);

impl Selector {
    /// Reads a selector of alerts, such as `{alertname="CheckoutDown"}` or, for short, `CheckoutDown`.
    ///
    /// # Errors
    /// It is not a plain selector.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::of(text, parse(text).map_err(|refusal| refusal.message))
    }

    /// Reads a selector of alerts that came with a record: one of at most 16 matchers, each regular expression of
    /// which takes no more than its share of 1 MiB once compiled, as whoever may write there need not be trusted. Gives as well what
    /// they take together, at the most.
    ///
    /// # Errors
    /// It is not a plain selector, or too large.
    pub fn parse_told(text: &str) -> Result<(Self, usize), String> {
        let (parsed, bytes) = parse_told(text).map_or_else(|why| (Err(why), 0), |(parsed, bytes)| (Ok(parsed), bytes));
        Ok((Self::of(text, parsed)?, bytes))
    }

    fn of(text: &str, parsed: Result<Expr, String>) -> Result<Self, String> {
        let wrong = |why: &str| format!("{text:?} is not a selector{why}; write one like {{alertname=\"CheckoutDown\"}}");
        match parsed.map_err(|why| wrong(&format!(": {why}")))? {
            Expr::VectorSelector(s) if s.offset.is_none() && s.at.is_none() => Self::named(ALERT_NAME, s.name.as_deref(), &s.matchers),
            _ => Err(wrong("")),
        }
    }

    /// Of series; the name is the metric's.
    pub(super) fn new(metric: Option<&str>, matchers: &Matchers) -> Result<Self, String> {
        Self::named(METRIC_NAME, metric, matchers)
    }

    fn named(label: &str, name: Option<&str>, matchers: &Matchers) -> Result<Self, String> {
        if !matchers.or_matchers.is_empty() {
            return Err("`or` between matchers is not supported; use a regular expression".into());
        }
        let name = name.map(|name| Matcher::new(MatchOp::Equal, label, name));
        let all = matchers.matchers.iter().map(|matcher| Ok(Matcher { op: across_lines(&matcher.op)?, ..matcher.clone() }));
        let all: Result<Vec<Matcher>, String> = all.collect();
        Ok(Self(name.into_iter().chain(all?).collect()))
    }

    /// Whether all matchers hold.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        self.0.iter().all(|m| m.is_match(labels.get(&m.name)))
    }

    /// The metric's name, where it is demanded.
    pub(super) fn metric(&self) -> Option<&str> {
        self.0.iter().find(|m| m.name == METRIC_NAME && m.op == MatchOp::Equal).map(|m| m.value.as_str())
    }

    /// The labels with the one value that is demanded of each, but for the metric's name.
    pub(super) fn demanded(&self) -> Labels {
        let once = |m: &&Matcher| m.op == MatchOp::Equal && self.0.iter().filter(|other| other.name == m.name).count() == 1;
        let demanded = self.0.iter().filter(once).filter(|m| m.name != METRIC_NAME);
        Labels::of(demanded.map(|m| (m.name.as_str(), m.value.as_str())))
    }

    /// Why it can match nothing: an exact value that another matcher on the same label forbids.
    #[must_use]
    pub fn contradiction(&self) -> Option<String> {
        let exact = self.0.iter().filter(|m| m.op == MatchOp::Equal);
        exact.into_iter().find_map(|m| {
            let other = self.0.iter().find(|o| o.name == m.name && !o.is_match(&m.value))?;
            Some(format!("{}=\"{}\" and {}{}\"{}\" cannot both hold", m.name, m.value, other.name, other.op, other.value))
        })
    }
}

/// In a regular expression a dot is any sign, the end of a line as well, as it is since Prometheus 3.
fn across_lines(op: &MatchOp) -> Result<MatchOp, String> {
    let across = |regex: &Regex| Regex::new(&format!("(?s){}", regex.as_str())).map_err(|why| why.to_string());
    Ok(match op {
        MatchOp::Re(regex) => MatchOp::Re(across(regex)?),
        MatchOp::NotRe(regex) => MatchOp::NotRe(across(regex)?),
        MatchOp::Equal | MatchOp::NotEqual => op.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_that_can_match_nothing_says_why() {
        let why = |text| Selector::parse(text).expect("parses").contradiction();
        assert_eq!(why(r#"up{job="a", job=~"b.*"}"#), Some(r#"job="a" and job=~"b.*" cannot both hold"#.into()));
        assert_eq!(why(r#"up{job="a", job!="b"}"#), None);
    }

    #[test]
    fn what_a_record_brings_may_not_cost_much() {
        let read = |text: &str| Selector::parse_told(text).map(|(selector, _)| selector);
        for fine in [
            r#"{job=~"(web|api)-\\w+-\\d+", pod!~`\w+\.x`}"#,
            r#"{pod=~"checkout-\\w{10}-\\w{5}"}"#,
            "{a=~`\\w+-\\w+`, b=~`\\w+-\\w+`, c=~`\\w+-\\w+`, d=~`\\w+-\\w+`}",
            r#"{summary=~"a\n.*"}"#,
            r#"{msg="~'\\d'", offset="x"}"#,
            "Down",
            r#"{summary="a =~ \"b\""}"#,
        ] {
            assert_eq!(read(fine), Selector::parse(fine), "{fine}");
        }
        let many = format!("{{{}}}", (0..17).map(|n| format!("l{n}=\"x\"")).collect::<Vec<_>>().join(","));
        for (large, why) in [
            (r#"{job=~"\\w{400}"}"#, "is too large"),
            ("{job=~`\\w{400}|x1`}", "is too large"),
            (r#"{job=~"\x5cw{400}"}"#, "is too large"),
            (r#"{job=~"\\w{100}{"}"#, "repetition"),
            ("{job=~ # c\n `\\w{400}`}", "is too large"),
            ("{job=~ job}", "compare with a text"),
            (many.as_str(), "more than 16 matchers"),
            ("up offset 5m", "is not a selector"),
        ] {
            assert!(read(large).is_err_and(|told| told.contains(why)), "{large}");
        }
    }

    #[test]
    fn a_bare_name_is_an_alerts_name() {
        assert_eq!(Selector::parse("Down"), Selector::parse(r#"{alertname="Down"}"#));
    }
}
