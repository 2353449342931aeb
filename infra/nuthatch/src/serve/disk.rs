//! The free space on the disk that holds the feed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use protocol::{Refusal, Reply};
use rustix::fs::statvfs;
use tokio::time::Instant;

/// If fewer bytes than this are free, a failure is blamed on the full disk.
const LEAST: u64 = 16 * 1024 * 1024;
/// The minimum time between two log messages about the full disk.
const OFTEN: Duration = Duration::from_mins(1);

/// The folders that hold the feed. Clones share the time of the last log message.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    folders: Vec<PathBuf>,
    told: Arc<Mutex<Option<Instant>>>,
}

impl Disk {
    /// The disk that holds `folders`.
    #[must_use]
    pub fn of(folders: Vec<PathBuf>) -> Self {
        Self { folders, told: Arc::default() }
    }

    /// The folders, and the bytes that are free in each.
    pub(crate) fn free(&self) -> impl Iterator<Item = (&PathBuf, u64)> {
        self.folders.iter().filter_map(|folder| {
            let disk = statvfs(folder).ok()?;
            Some((folder, disk.f_bavail.saturating_mul(disk.f_frsize)))
        })
    }

    /// `reply`; if it is a failure because of a full disk, a refusal that says so.
    pub(super) fn explain(&self, reply: Reply) -> Reply {
        const FAILED: [StatusCode; 3] = [
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::SERVICE_UNAVAILABLE,
            StatusCode::INSUFFICIENT_STORAGE,
        ];
        if !FAILED.contains(&reply.status()) {
            return reply;
        }
        let full: Vec<String> = self
            .free()
            .filter(|(_, free)| *free < LEAST)
            .map(|(folder, free)| format!("{}: {free} bytes are free", folder.display()))
            .collect();
        if full.is_empty() {
            return reply;
        }
        if self.is_time_to_tell() {
            tracing::error!("the disk is full; make room ({})", full.join(", "));
        }
        if reply.status() == StatusCode::INSUFFICIENT_STORAGE {
            return reply;
        }
        Refusal::DiskFull("no room".into()).into()
    }

    fn is_time_to_tell(&self) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = told.is_none_or(|told| told.elapsed() >= OFTEN);
        if is_time {
            *told = Some(Instant::now());
        }
        is_time
    }
}
