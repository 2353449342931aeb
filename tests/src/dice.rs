//! Numbers that look like chance and are the same every time.

/// A sequence of numbers that is the same every time (xorshift).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The sequence that begins with `start`, which is not 0.
    #[must_use]
    pub fn new(start: u64) -> Self {
        Self(start)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}
