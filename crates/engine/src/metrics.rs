//! What is counted, for Prometheus. Words are those of the API: providers' slugs, verdict codes, actions.

use std::sync::atomic::AtomicU64;

use jiff::Timestamp;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use crate::{Engine, Error};

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Webhook {
    provider: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Word {
    code: &'static str,
}

/// The counters of a process.
pub struct Metrics {
    registry: Registry,
    webhooks: Family<Webhook, Counter>,
    changes: Family<Word, Counter>,
    verdicts: Family<Word, Counter>,
    fulfilment: Histogram,
    pending: Gauge<i64, std::sync::atomic::AtomicI64>,
    deliveries: Gauge<i64, std::sync::atomic::AtomicI64>,
    mails: Gauge<i64, std::sync::atomic::AtomicI64>,
    attention: Gauge<i64, std::sync::atomic::AtomicI64>,
    batches: Counter<u64, AtomicU64>,
    requests: Counter<u64, AtomicU64>,
    requests_left_out: Family<Word, Counter>,
    backup_at: Gauge<i64, std::sync::atomic::AtomicI64>,
    backup_bytes: Gauge<i64, std::sync::atomic::AtomicI64>,
    backups_failed: Counter<u64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Registry::with_prefix("keywright"),
            webhooks: Family::default(),
            changes: Family::default(),
            verdicts: Family::default(),
            // From a millisecond to about half an hour: a look-up may have to wait for its provider.
            fulfilment: Histogram::new(exponential_buckets(0.001, 2.0, 22)),
            pending: Gauge::default(),
            deliveries: Gauge::default(),
            mails: Gauge::default(),
            attention: Gauge::default(),
            batches: Counter::default(),
            requests: Counter::default(),
            requests_left_out: Family::default(),
            backup_at: Gauge::default(),
            backup_bytes: Gauge::default(),
            backups_failed: Counter::default(),
        };
        metrics.registered().with_backups()
    }
}

impl Metrics {
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register("webhooks", "Webhook calls by provider and outcome", self.webhooks.clone());
        registry.register("changes", "What happened to licenses", self.changes.clone());
        registry.register("verdicts", "Answers to apps by verdict code", self.verdicts.clone());
        registry.register_with_unit(
            "fulfilment",
            "From a webhook's receipt to the commit of what follows from it",
            Unit::Seconds,
            self.fulfilment.clone(),
        );
        registry.register(
            "deliveries_pending",
            "Events that are to be delivered to vendors' own systems",
            self.deliveries.clone(),
        );
        registry.register("mails_pending", "Mails that are to be sent", self.mails.clone());
        registry.register("inbox_pending", "Events that are not done and not held", self.pending.clone());
        registry.register("attention_open", "Open attention items", self.attention.clone());
        registry.register("batches", "Batches that were committed", self.batches.clone());
        registry.register("requests_logged", "API calls in the request log", self.requests.clone());
        registry.register(
            "requests_left_out",
            "API calls that the request log has left out, by reason",
            self.requests_left_out.clone(),
        );
        self
    }

    fn with_backups(mut self) -> Self {
        let registry = &mut self.registry;
        let (at, bytes) = (self.backup_at.clone(), self.backup_bytes.clone());
        registry.register("backup_last_timestamp_seconds", "When the last backup was made; 0: none was", at);
        registry.register("backup_bytes", "How long the last backup is", bytes);
        registry.register("backups_failed", "Planned backups that could not be made", self.backups_failed.clone());
        self
    }

    pub(crate) fn webhook(&self, provider: &'static str, outcome: &'static str) {
        self.webhooks.get_or_create(&Webhook { provider, outcome }).inc();
    }

    pub(crate) fn change(&self, code: &'static str) {
        self.changes.get_or_create(&Word { code }).inc();
    }

    /// An app was answered.
    pub fn verdict(&self, code: &'static str) {
        self.verdicts.get_or_create(&Word { code }).inc();
    }

    pub(crate) fn backup_failed(&self) {
        self.backups_failed.inc();
    }

    pub(crate) fn requests_logged(&self, count: u64) {
        self.requests.inc_by(count);
    }

    pub(crate) fn request_left_out(&self, code: &'static str) {
        self.requests_left_out.get_or_create(&Word { code }).inc();
    }

    /// A batch was committed; its events had been received at these times.
    pub(crate) fn batch(&self, received_at: impl Iterator<Item = i64>, now: Timestamp) {
        self.batches.inc();
        for at in received_at {
            self.fulfilment.observe(now.as_microsecond().saturating_sub(at).max(0) as f64 / 1e6);
        }
    }
}

impl Engine {
    /// All metrics in Prometheus' text form.
    ///
    /// # Errors
    /// Those of the database, which is asked for what waits.
    pub async fn metrics_text(&self) -> Result<String, Error> {
        let status = self.store.status(None).await?;
        self.metrics.pending.set(status.inbox_pending.cast_signed());
        self.metrics.deliveries.set(status.deliveries_pending.cast_signed());
        self.metrics.mails.set(status.mails_pending.cast_signed());
        self.metrics.attention.set(status.attention_open.cast_signed());
        let last = self.last_backup().await?;
        self.metrics.backup_at.set(last.as_ref().map_or(0, |made| made.at.as_second()));
        self.metrics.backup_bytes.set(last.map_or(0, |made| made.bytes.cast_signed()));
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.metrics.registry);
        Ok(text)
    }
}
