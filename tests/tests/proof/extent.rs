//! How much is tried: a hundredth, unless `NUTHATCH_PROOF` is set to `tenth` or `whole`.
//! Random choices start from a seed that is new each time; `NUTHATCH_SEED` repeats the same
//! choices.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// One case in this many is tried.
fn one_in() -> usize {
    match std::env::var("NUTHATCH_PROOF").as_deref() {
        Err(_) => 100,
        Ok("tenth") => 10,
        Ok("whole") => 1,
        Ok(other) => panic!("NUTHATCH_PROOF is {other}; set it to tenth or whole"),
    }
}

/// How many of `all` cases are tried.
pub(crate) fn share(all: usize) -> usize {
    all.div_ceil(one_in())
}

/// The seed of this run. Printed where it is first asked for.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("NUTHATCH_SEED").ok().and_then(|seed| seed.parse::<u128>().ok());
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let seed = u64::try_from(given.unwrap_or_else(now) % u128::from(u64::MAX)).unwrap();
        crate::say!("to try the same again: NUTHATCH_SEED={seed}");
        seed
    })
}

/// Random numbers (xorshift) from this run's seed. `of` gives each use its own sequence.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn of(of: &str) -> Self {
        let mixed = of.bytes().fold(seed(), |state, byte| {
            (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        // Xorshift never leaves zero, so the start must not be zero.
        Self(mixed | 1)
    }

    /// A number below `among`.
    pub(crate) fn below(&mut self, among: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % among as u64).unwrap()
    }

    /// Whether the next of all cases is one that is tried.
    pub(crate) fn takes_next(&mut self) -> bool {
        self.below(one_in()) == 0
    }
}
