//! Texts for people.

use super::Timestamp;

/// So much of a text that it has at most so many bytes, and is still text: what is cut ends in `…`.
#[must_use]
pub fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = (0..=bytes.saturating_sub(3)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", &text[..end])
}

/// A text without line ends and other characters that are none to read.
#[must_use]
pub fn in_a_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// `1 event`, `2 events`.
#[must_use]
pub fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// `3 h 20 min` of seconds.
#[must_use]
pub fn hours(seconds: u64) -> String {
    let minutes = seconds / 60;
    match minutes / 60 {
        0 if minutes == 0 => format!("{seconds} s"),
        0 => format!("{minutes} min"),
        hours @ 1..48 => format!("{hours} h {:02} min", minutes % 60),
        hours => format!("{} d {} h", hours / 24, hours % 24),
    }
}

/// `2013-12-16 15:40` of an RFC 3339 time.
#[must_use]
pub fn clock(time: &str) -> String {
    time.get(..16).unwrap_or(time).replace('T', " ")
}

/// `2013-12-16 15:40 UTC`
#[must_use]
pub fn moment(at: Timestamp) -> String {
    format!("{} UTC", clock(&at.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("故障故障", 8), "故…");
    }
}
