//! Numbers and texts in bytes from outside.

/// A place in some bytes. Every step says `None` where they end too early.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The same bytes from `offset` on.
    pub(super) fn at(self, offset: usize) -> Option<Self> {
        self.0.get(offset..).map(Self)
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn guid(&mut self) -> Option<[u8; 16]> {
        self.array()
    }

    /// A text that ends with a NUL, which is left out; of at most `longest` bytes with it.
    pub(super) fn text(&mut self, longest: usize) -> Option<&'a [u8]> {
        let length = self.0.iter().take(longest).position(|byte| *byte == 0)?;
        let text = self.take(length)?;
        self.skip(1)?;
        Some(text)
    }

    pub(super) fn rest(self) -> &'a [u8] {
        self.0
    }
}
