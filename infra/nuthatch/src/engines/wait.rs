//! Where the engines wait for their disk.

use tokio::task::JoinError;

/// Where an engine does what may wait for its disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// On a thread of its own, while the runtime goes on.
    #[default]
    Aside,
    /// Where it is called: for tests, whose disk is memory, and whose clock stands
    /// still as long as another thread works.
    InPlace,
}

impl Wait {
    /// Does `work`.
    pub(super) async fn on<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        match self {
            Self::Aside => tokio::task::spawn_blocking(work).await,
            Self::InPlace => Ok(work()),
        }
    }
}
