//! The counts of a server's answers, for Prometheus.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use protocol::{Body, Observed, Reply, Request};

use crate::serve::Disk;
use crate::socket::Service;

/// The content type of answers to Prometheus.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answers {
    verb: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Folder {
    folder: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Durations {
    verb: &'static str,
}

/// Requests by verb and status, and how long they took. Clones share them.
#[derive(Debug, Clone)]
pub struct Metrics {
    answers: Family<Answers, Counter>,
    durations: Family<Durations, Histogram>,
    behind: Counter,
    free: Family<Folder, Gauge<u64, AtomicU64>>,
    disk: Disk,
    registry: Arc<Registry>,
}

impl Default for Metrics {
    fn default() -> Self {
        let answers = Family::<Answers, Counter>::default();
        // From a millisecond to about a quarter of an hour.
        let histogram = || Histogram::new(exponential_buckets(0.001, 4.0, 11));
        let durations = Family::<Durations, Histogram>::new_with_constructor(histogram);
        let mut registry = Registry::with_prefix("nuthatch");
        registry.register("requests", "Requests that were answered", answers.clone());
        let help = "How long requests took";
        registry.register_with_unit("request_duration", help, Unit::Seconds, durations.clone());
        let behind = Counter::default();
        let help = "Searches that did not wait for the newest changes";
        registry.register("searches_behind", help, behind.clone());
        let free = Family::<Folder, Gauge<u64, AtomicU64>>::default();
        let help = "Room that is left where the feed is kept";
        registry.register_with_unit("disk_free", help, Unit::Bytes, free.clone());
        let registry = Arc::new(registry);
        Self { answers, durations, behind, free, disk: Disk::default(), registry }
    }
}

impl Metrics {
    /// Counts a request.
    pub(crate) fn count(&self, observed: &Observed) {
        let (verb, status) = (observed.verb, observed.status.as_u16().into());
        self.answers.get_or_create(&Answers { verb, status }).inc();
        let seconds = observed.milliseconds / 1000.0;
        self.durations.get_or_create(&Durations { verb }).observe(seconds);
        self.behind.inc_by(observed.is_behind.into());
    }

    /// The same metrics, with the free space on `disk`.
    pub(crate) fn of_disk(self, disk: Disk) -> Self {
        Self { disk, ..self }
    }
}

impl Service for Metrics {
    async fn answer(&self, request: Request) -> Reply {
        if request.uri().path() != "/metrics" {
            return protocol::status(http::StatusCode::NOT_FOUND);
        }
        for (folder, free) in self.disk.free() {
            let folder = Folder { folder: folder.display().to_string() };
            self.free.get_or_create(&folder).set(free);
        }
        let mut text = String::new();
        match encode(&mut text, &self.registry) {
            Ok(()) => protocol::stream(Body::from(text), OPEN_METRICS),
            Err(error) => protocol::Refusal::Broken(error.into()).into(),
        }
    }
}
