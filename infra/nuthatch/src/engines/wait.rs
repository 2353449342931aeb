//! The thread on which the engines wait for their disk.

use tokio::task::JoinError;

/// The thread on which an engine does work that may wait for its disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Wait {
    /// On a separate thread, while the runtime continues.
    #[default]
    Aside,
    /// On the calling thread. For tests, whose disk is memory, and whose paused clock does not
    /// advance while another thread works.
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
