//! Where a construct stands in an expression's text. The parser keeps no positions; but an expression is walked in the
//! order it is written in, so the next occurrence of a construct's first word is the one that is meant.

/// The words and signs of an expression, strings and comments left out.
pub(super) struct Places<'t> {
    tokens: Vec<(usize, &'t str)>,
    /// The texts right behind `=~` and `!~`, with their quotes.
    patterns: Vec<&'t str>,
    next: usize,
}

impl<'t> Places<'t> {
    pub(super) fn of(text: &'t str) -> Self {
        let (mut tokens, mut patterns, mut at): (Vec<(usize, &str)>, _, _) = (vec![], vec![], 0);
        let mut compares = false;
        while let Some(first) = text[at..].chars().next() {
            let rest = &text[at..];
            let long = match first {
                '"' | '\'' | '`' => string(rest, first),
                '#' => rest.find('\n').unwrap_or(rest.len()),
                c if c.is_whitespace() => c.len_utf8(),
                c if c.is_ascii_digit() => number(rest),
                c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
                c => sign(rest).unwrap_or(c.len_utf8()),
            };
            match first {
                '"' | '\'' | '`' => patterns.extend(std::mem::take(&mut compares).then_some(&rest[..long])),
                '#' => {}
                c if c.is_whitespace() => {}
                _ => {
                    compares = matches!(&rest[..long], "=~" | "!~");
                    tokens.push((at, &rest[..long]));
                }
            }
            at += long;
        }
        Self { tokens, patterns, next: 0 }
    }

    /// How many signs of comparison there are.
    pub(super) fn matchers(&self) -> usize {
        self.tokens.iter().filter(|(_, token)| matches!(*token, "=" | "==" | "!=" | "=~" | "!~")).count()
    }

    /// The regular expressions, as they are written, with their quotes; none where something else stands in the place of one.
    pub(super) fn patterns(&self) -> Option<&[&'t str]> {
        let compared = self.tokens.iter().filter(|(_, token)| matches!(*token, "=~" | "!~")).count();
        (compared == self.patterns.len()).then_some(&self.patterns)
    }

    /// What stands where a duration does, and where that is.
    pub(super) fn durations(&self) -> impl Iterator<Item = (usize, &'t str)> {
        let (mut in_range, mut after_offset) = (false, false);
        let duration = move |(at, token): &(usize, &'t str)| {
            match *token {
                "[" => in_range = true,
                "]" => in_range = false,
                "-" | "+" => {}
                _ if token.eq_ignore_ascii_case("offset") => after_offset = true,
                _ if in_range || std::mem::take(&mut after_offset) => return Some((*at, *token)),
                _ => {}
            }
            None
        };
        let tokens: Vec<(usize, &'t str)> = self.tokens.iter().filter_map(duration).collect();
        tokens.into_iter().flat_map(|(at, token)| token.split(':').map(move |part| (at, part)))
    }

    /// The byte offset of the next occurrence, which is passed; that of the last one passed where there is none.
    pub(super) fn pass(&mut self, construct: &str) -> usize {
        if let Some(further) = self.tokens[self.next..].iter().position(|(_, token)| token.eq_ignore_ascii_case(construct)) {
            self.next += further + 1;
        }
        self.next.checked_sub(1).map_or(0, |passed| self.tokens[passed].0)
    }
}

fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == ':'
}

fn string(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped && quote != '`';
    }
    rest.len()
}

/// A number or a duration, the sign of an exponent included.
fn number(rest: &str) -> usize {
    let mut before = ' ';
    let ends = |(_, c): &(usize, char)| {
        let goes_on = word(*c) || *c == '.' || (matches!(c, '+' | '-') && matches!(before, 'e' | 'E'));
        before = *c;
        !goes_on
    };
    rest.char_indices().find(ends).map_or(rest.len(), |(at, _)| at)
}

fn sign(rest: &str) -> Option<usize> {
    ["==", "!=", ">=", "<=", "=~", "!~"].iter().find(|sign| rest.starts_with(**sign)).map(|sign| sign.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_comments_and_numbers_hide_what_is_in_them() {
        let mut places = Places::of("a{b=\"c - d\"} # - \n * 1e-5 - rate(x[5m])");
        assert_eq!((places.pass("a"), places.pass("-"), places.pass("rate")), (0, 26, 28));
        assert_eq!(places.pass("topk"), 28, "what is not there is where we are");
    }
}
