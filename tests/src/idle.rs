//! Idleness: the moments when a runtime has nothing to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Notify, oneshot};

/// Reports when the runtime that it was made with has nothing to do: when all its tasks wait
/// for calls, for threads or for the clock. Clones share it; only one at a time may wait for
/// it.
#[derive(Debug, Clone, Default)]
pub struct Idle(Arc<Idleness>);

#[derive(Debug, Default)]
struct Idleness {
    is_asked_for: AtomicBool,
    came: Notify,
}

impl Idle {
    /// A runtime of one thread with a paused clock, and its `Idle`.
    #[must_use]
    pub fn runtime() -> (Runtime, Self) {
        let idle = Self::default();
        let Self(idleness) = idle.clone();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || {
                if idleness.is_asked_for.swap(false, Ordering::Relaxed) {
                    idleness.came.notify_one();
                }
            })
            .build();
        (runtime.unwrap(), idle)
    }

    /// Completes the next time that the runtime has nothing to do.
    pub async fn comes(&self) {
        // Drops a notification that came when nobody was waiting any longer.
        let _ = self.0.came.notified().now_or_never();
        self.0.is_asked_for.store(true, Ordering::Relaxed);
        self.0.came.notified().await;
    }

    /// The result of `what`, or `None` after a minute of real time. A test that waits for a
    /// paused clock while a thread holds it up would wait forever.
    pub async fn within_a_minute<T>(what: impl Future<Output = T>) -> Option<T> {
        let (alarm, rings) = oneshot::channel();
        let (_over, is_over) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            if is_over.recv_timeout(Duration::from_mins(1)) == Err(RecvTimeoutError::Timeout) {
                // If the work is over by now, nobody listens.
                let _ = alarm.send(());
            }
        });
        tokio::select! {
            done = what => Some(done),
            Ok(()) = rings => None,
        }
    }
}
