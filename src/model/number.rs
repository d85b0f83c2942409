//! Numbers as people read them.

/// A number with so many significant digits, without zeros at its end.
#[must_use]
pub fn significant(x: f64, digits: u8) -> String {
    if x == 0.0 {
        return "0".into();
    }
    let decimals = (f64::from(digits) - 1.0 - libm::log10(x.abs()).floor()).clamp(0.0, 9.0);
    let text = format!("{x:.0$}", decimals as usize);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A share in per cent; hides the last bits of `0.07 * 100`.
#[must_use]
pub fn percent(share: f64) -> f64 {
    (share * 1e8).round() / 1e6
}
