//! PromQL text → its tree.

use promql_parser::parser::Expr;
use promql_parser::util::unquote_string;
use regex::RegexBuilder;

use super::Refusal;
use super::place::Places;

/// A range, a step or an offset is shorter than so many seconds, 30 million years.
const SECONDS_MAX: f64 = 1e15;

/// Matchers of a selector that came with a record, and bytes of all regular expressions in it, once compiled.
const MATCHERS_MAX: usize = 16;
const PATTERNS_BYTES_MAX: usize = 1 << 20;

/// The place of a fault is sought in so many characters at the end.
const LOOKED_BACK_MAX: usize = 2000;

/// Parses an expression.
///
/// # Errors
/// It is none, or has a duration that is beyond all reason, at which the parser would panic.
pub(super) fn parse(text: &str) -> Result<Expr, Refusal> {
    if let Some((offset, duration)) = Places::of(text).durations().find(|(_, duration)| is_endless(duration)) {
        return Err(Refusal { offset, message: format!("{duration} seconds are no duration: less than {SECONDS_MAX:e} are") });
    }
    promql_parser::parser::parse(text).map_err(|message| Refusal { offset: place(text, &message), message })
}

/// What a compiled regular expression is taken to be at the least; larger ones are measured by how often that has to be doubled twice.
const PATTERN_BYTES: usize = 16 << 10;

/// Parses an expression that came with a record: what it may cost is bounded, and where it is wrong is not sought. Gives as well the
/// bytes that its regular expressions take at the most, once compiled.
///
/// # Errors
/// It is none, or has too many or too large regular expressions.
pub(super) fn parse_told(text: &str) -> Result<(Expr, usize), String> {
    let places = Places::of(text);
    if let Some((_, duration)) = places.durations().find(|(_, duration)| is_endless(duration)) {
        return Err(format!("{duration} seconds are no duration"));
    }
    if places.matchers() > MATCHERS_MAX {
        return Err(format!("more than {MATCHERS_MAX} matchers"));
    }
    let mut bytes = 0;
    let patterns = places.patterns().ok_or("`=~` and `!~` compare with a text")?;
    for written in patterns {
        let pattern = unquote_string(written)?;
        bytes += compiled(&pattern, PATTERNS_BYTES_MAX / patterns.len())?;
    }
    Ok((promql_parser::parser::parse(text)?, bytes))
}

/// How many bytes a regular expression takes at the most, once compiled: so many, or four times as many, and so on up to the limit.
fn compiled(pattern: &str, most: usize) -> Result<usize, String> {
    // As the parser reads it, which would mend some that are wrong: what is mended may be larger than what was looked at.
    let whole = format!("(?s)^(?:{pattern})$");
    let mut limit = PATTERN_BYTES.min(most);
    loop {
        match RegexBuilder::new(&whole).size_limit(limit).build() {
            Ok(_) => return Ok(limit),
            Err(regex::Error::CompiledTooBig(_)) if limit < most => limit = (4 * limit).min(most),
            Err(regex::Error::CompiledTooBig(_)) => return Err(format!("the regular expression {pattern:?} is too large")),
            Err(why) => return Err(why.to_string()),
        }
    }
}

/// Where what cannot be parsed begins, as the parser does not say it: at the end of the shortest beginning that fails as the whole
/// does, and with it all longer ones.
fn place(text: &str, message: &str) -> usize {
    let fails = |end: &usize| promql_parser::parser::parse(&text[..*end]).is_err_and(|other| other == message);
    let ends = text.char_indices().map(|(place, c)| place + c.len_utf8());
    let end = ends.rev().take(LOOKED_BACK_MAX).take_while(fails).last().unwrap_or(text.len());
    let word = |c: char| c.is_ascii_alphanumeric() || "_:.".contains(c);
    let start = text[..end].trim_end_matches(word).len();
    if start < end { start } else { text[..end].char_indices().next_back().map_or(0, |(place, _)| place) }
}

fn is_endless(duration: &str) -> bool {
    let lower = duration.to_ascii_lowercase();
    let seconds = match lower.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).map_or(f64::INFINITY, |seconds| seconds as f64),
        None => lower.parse().unwrap_or(0.0),
    };
    !seconds.is_finite() || seconds >= SECONDS_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_where_it_is() {
        for (text, offset) in [
            ("sum by (a) (rate(x[5m])) +\n  / b", 25),
            ("sum(a) + avg(b", 12),
            ("a{b=c}", 5),
            ("rate(a[5q])", 7),
            ("a b", 2),
            ("a + ) b", 4),
            ("", 0),
        ] {
            assert_eq!(parse(text).map_err(|refusal| refusal.offset).err(), Some(offset), "{text}");
        }
    }

    #[test]
    fn durations_beyond_all_reason_are_refused_where_they_stand() {
        for (text, offset) in [
            ("a[99999999999999999999]", Some(2)),
            ("a offset - 1e300", Some(11)),
            ("a[5m:0xfffffffffffffffff]", Some(2)),
            ("a[inf]", Some(2)),
            ("a[5m] offset 90 > 1e300", None),
            ("a{b=\"[99999999999999999999]\"}", None),
        ] {
            let refused = parse(text).err().filter(|refusal| refusal.message.contains("no duration"));
            assert_eq!(refused.map(|refusal| refusal.offset), offset, "{text}");
        }
    }
}
