//! How many messages a target is sent.

use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// At most so many messages in any minute.
#[derive(Debug)]
pub struct Rate {
    a_minute: usize,
    /// When those of the last minute were sent.
    sent: VecDeque<Duration>,
}

impl Rate {
    /// So many a minute; at least one.
    #[must_use]
    pub fn new(a_minute: u32) -> Self {
        Self { a_minute: a_minute.max(1) as usize, sent: VecDeque::new() }
    }

    /// Counts one more message as sent at `now`, on a clock that never goes back.
    ///
    /// # Errors
    /// It is one too many for now: how long to wait.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        while self.sent.front().is_some_and(|sent| now >= *sent + MINUTE) {
            self.sent.pop_front();
        }
        if let Some(first) = self.sent.front().filter(|_| self.sent.len() >= self.a_minute) {
            return Err(*first + MINUTE - now);
        }
        self.sent.push_back(now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_minute_sees_more_than_is_allowed() {
        let seconds = Duration::from_secs;
        let mut rate = Rate::new(2);
        assert_eq!(rate.take(seconds(10)), Ok(()));
        assert_eq!(rate.take(seconds(30)), Ok(()));
        assert_eq!(rate.take(seconds(31)), Err(seconds(39)), "the third waits until the first is a minute old");
        assert_eq!(rate.take(seconds(69)), Err(seconds(1)), "what waits does not count");
        assert_eq!(rate.take(seconds(70)), Ok(()));
        assert_eq!(rate.take(seconds(71)), Err(seconds(19)), "it is any minute, not each one");
    }
}
