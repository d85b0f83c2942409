//! PromQL text → its tree.

use promql_parser::parser::Expr;

use super::Refusal;
use super::place::Places;

/// A range, a step or an offset is shorter than so many seconds, 30 million years.
const SECONDS_MAX: f64 = 1e15;

/// Parses an expression.
///
/// # Errors
/// It is none, or has a duration that is beyond all reason, at which the parser would panic.
pub(super) fn parse(text: &str) -> Result<Expr, Refusal> {
    if let Some((offset, duration)) = Places::of(text).durations().find(|(_, duration)| is_endless(duration)) {
        return Err(Refusal { offset, message: format!("{duration} seconds are no duration: less than {SECONDS_MAX:e} are") });
    }
    promql_parser::parser::parse(text).map_err(|message| Refusal { offset: 0, message })
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
    fn durations_beyond_all_reason_are_refused_where_they_stand() {
        let place = |text| parse(text).map_err(|refusal| refusal.offset).err();
        for (text, offset) in [
            ("a[99999999999999999999]", Some(2)),
            ("a offset - 1e300", Some(11)),
            ("a[5m:0xfffffffffffffffff]", Some(2)),
            ("a[inf]", Some(2)),
            ("a[5m] offset 90 > 1e300", None),
            ("a{b=\"[99999999999999999999]\"}", None),
        ] {
            let refused = place(text).filter(|offset| *offset > 0);
            assert_eq!(refused, offset, "{text}");
        }
    }
}
