//! How long the other side may keep us waiting. Each byte that gets through adds some time,
//! up to a limit. So a slow client is served, but not a client that keeps a connection open
//! by sending a byte now and then.

use std::time::Duration;

use tokio::time::Instant;

/// The time that a client has left.
#[derive(Debug)]
pub(super) struct Allowance {
    most: Duration,
    /// Bytes that buy a second.
    rate: u32,
    left: Duration,
    waiting_since: Option<Instant>,
}

impl Allowance {
    /// A full allowance of `most`, which lasts as long as `rate` bytes per second arrive.
    pub(super) fn new(most: Duration, rate: u32) -> Self {
        Self { most, rate, left: most, waiting_since: None }
    }

    /// Adds the time for `bytes` that got through.
    pub(super) fn earn(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(bytes.into()) / self.rate.max(1);
        self.left = (self.left + earned).min(self.most);
    }

    /// When the allowance is used up, and whether the waiting begins only now.
    pub(super) fn ends(&mut self) -> (Instant, bool) {
        let is_new = self.waiting_since.is_none();
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        (since + self.left, is_new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_does_not_keep_an_allowance_up() {
        let minute = Duration::from_mins(1);
        let mut allowance = Allowance::new(minute, 4_096);
        let (ends, is_new) = allowance.ends();
        assert!(is_new && ends == Instant::now() + minute);
        tokio::time::advance(Duration::from_secs(40)).await;
        assert!(!allowance.ends().1);
        allowance.earn(1);
        let (ends, is_new) = allowance.ends();
        assert!(is_new && ends < Instant::now() + Duration::from_secs(21));
        allowance.earn(1 << 30);
        assert!(allowance.ends().0 == Instant::now() + minute);
    }
}
