//! Numbers as people read them.

/// A number with so many significant digits, without zeros at its end: `41.3`, `123.5k`, `3.2e-8`. From a hundred thousand on it is in
/// thousands, millions and so on, as Prometheus' `humanize` has them.
#[must_use]
pub fn significant(x: f64, digits: u8) -> String {
    const SCALES: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
    let size = x.abs();
    if size == 0.0 {
        return "0".into();
    }
    if !(1e-6..1e21).contains(&size) {
        let text = format!("{x:.0$e}", usize::from(digits) - 1);
        return text.split_once('e').map_or(text.clone(), |(number, power)| format!("{}e{power}", trimmed(number)));
    }
    if size < 99_999.5 {
        return plain(x, digits);
    }
    let scaled = |place: usize| x / libm::pow(1000.0, place as f64 + 1.0);
    let most = if digits < 4 { 999.5 } else { 999.95 };
    let fits = |place: &usize| scaled(*place).abs() < most;
    let place = (0..SCALES.len()).find(fits).unwrap_or(SCALES.len() - 1);
    format!("{}{}", plain(scaled(place), digits), SCALES[place])
}

/// A whole number written in digits alone: what Rust parses may have a sign.
#[must_use]
pub fn whole<N: std::str::FromStr>(digits: &str) -> Option<N> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The same of two that are to be told apart, with as many digits more as that takes.
#[must_use]
pub fn apart(x: f64, y: f64, digits: u8) -> (String, String) {
    let both = |digits| (significant(x, digits), significant(y, digits));
    let differ = (digits..=9).map(both).find(|(a, b)| a != b);
    differ.unwrap_or_else(|| both(digits))
}

fn plain(x: f64, digits: u8) -> String {
    let decimals = (f64::from(digits) - 1.0 - libm::log10(x.abs()).floor()).clamp(0.0, 9.0);
    trimmed(&format!("{x:.0$}", decimals as usize)).to_owned()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A share in per cent; hides the last bits of `0.07 * 100`.
#[must_use]
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_are_read() {
        let shown = [0.0, 41.3249, -0.000_123_456, 99_999.4, 99_999.6, 1_018_249.0, 999_960.0, 8.4e12, 1e300, 1.23e-12];
        let told = ["0", "41.32", "-0.0001235", "99999", "100k", "1.018M", "1M", "8.4T", "1e300", "1.23e-12"];
        assert_eq!(shown.map(|x| significant(x, 4)), told);
        assert_eq!(apart(0.99987, 0.9999, 4), ("0.99987".into(), "0.9999".into()));
    }
}
