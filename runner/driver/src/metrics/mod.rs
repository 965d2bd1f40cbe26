//! What a job's metrics come to: reports of bundles, merged.
//!
//! What the SDK reports of a bundle is the total within that bundle, so a later report replaces an
//! earlier one, and the report at its end is the last word. Attempted metrics are merged over every attempt of every bundle, running ones too;
//! committed metrics over those whose effects count.
//!
//! [`JobMetrics`] keeps the books; [`Cell`] knows how each of Beam's metric types is encoded and merged.

mod cell;
mod encoding;
#[cfg(test)]
mod tests;
mod trie;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dataflume_model::ids::BundleId;
use dataflume_proto::pipeline::MonitoringInfo;
use dataflume_proto::urn::monitoring_info_specs;
use tracing::warn;

pub use cell::{Cell, CellError};

/// The metrics of one job.
///
/// ```
/// use dataflume_driver::metrics::JobMetrics;
/// use dataflume_model::ids::BundleId;
/// use dataflume_proto::{pipeline::MonitoringInfo, urn};
/// let elements = |count: u8| MonitoringInfo {
///     urn: urn::monitoring_info_specs::ELEMENT_COUNT.to_owned(),
///     r#type: urn::monitoring_info_type_urns::SUM_INT64_TYPE.to_owned(),
///     payload: vec![count].into(),
///     ..MonitoringInfo::default()
/// };
/// let metrics = JobMetrics::default();
/// metrics.update(BundleId(1), vec![elements(2)]);
/// metrics.update(BundleId(1), vec![elements(3)]);
/// metrics.commit(BundleId(1));
/// metrics.update(BundleId(2), vec![elements(4)]);
/// let (attempted, committed) = metrics.query();
/// assert_eq!(attempted, [elements(7)]);
/// assert_eq!(committed, [elements(3)]);
/// ```
#[derive(Debug, Default)]
pub struct JobMetrics {
    books: Mutex<Books>,
}

#[derive(Debug, Default)]
struct Books {
    /// Of bundles that are neither committed nor discarded.
    running: BTreeMap<BundleId, Told>,
    /// Of all attempts that are over.
    attempted: Metrics,
    committed: Metrics,
}

type Metrics = BTreeMap<Name, Cell>;

/// What is known of a bundle.
#[derive(Debug, Default)]
struct Told {
    metrics: Metrics,
    /// It has ended: what was said while it ran is out of date.
    last: bool,
    /// The PCollection that it reads, where another bundle counts its elements.
    counted_elsewhere: Option<String>,
}

/// What metrics are told apart by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    urn: String,
    r#type: String,
    labels: BTreeMap<String, String>,
}

impl JobMetrics {
    /// A bundle is about to run. What it says of the PCollection whose elements are counted elsewhere doesn't count.
    pub fn begin(&self, bundle: BundleId, counted_elsewhere: Option<String>) {
        let told = Told {
            counted_elsewhere,
            ..Told::default()
        };
        self.books().running.insert(bundle, told);
    }

    /// Takes a report on a running bundle. It may leave out what has not changed since the last. It may also come late: one on a
    /// bundle that has ended counts for nothing.
    pub fn progress(&self, bundle: BundleId, report: Vec<MonitoringInfo>) {
        let mut books = self.books();
        if let Some(running) = books.running.get_mut(&bundle).filter(|told| !told.last) {
            let metrics = report.into_iter().filter(|info| !is_of_the_moment(info));
            running.take(bundle, metrics.collect());
        }
    }

    /// Takes the report at a bundle's end. It may leave out what has not changed since the last.
    pub fn update(&self, bundle: BundleId, report: Vec<MonitoringInfo>) {
        let mut books = self.books();
        let running = books.running.entry(bundle).or_default();
        running.last = true;
        running.take(bundle, report);
    }

    /// The bundle's effects count.
    pub fn commit(&self, bundle: BundleId) {
        let mut books = self.books();
        let Some(report) = books.running.remove(&bundle) else {
            return;
        };
        merge(&mut books.committed, &report.metrics);
        merge(&mut books.attempted, &report.metrics);
    }

    /// The bundle failed: what it did was an attempt and no more.
    pub fn discard(&self, bundle: BundleId) {
        let mut books = self.books();
        let Some(report) = books.running.remove(&bundle) else {
            return;
        };
        merge(&mut books.attempted, &report.metrics);
    }

    /// Attempted and committed metrics so far, in a fixed order.
    pub fn query(&self) -> (Vec<MonitoringInfo>, Vec<MonitoringInfo>) {
        let books = self.books();
        let mut attempted = books.attempted.clone();
        for report in books.running.values() {
            merge(&mut attempted, &report.metrics);
        }
        (infos(&attempted), infos(&books.committed))
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // Every change leaves the books whole enough to be read: metrics are no reason to fail.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Told {
    fn is_counted_elsewhere(&self, info: &MonitoringInfo) -> bool {
        use monitoring_info_specs::{ELEMENT_COUNT, SAMPLED_BYTE_SIZE};
        matches!(info.urn.as_str(), ELEMENT_COUNT | SAMPLED_BYTE_SIZE)
            && self.counted_elsewhere.is_some()
            && info.labels.get("PCOLLECTION") == self.counted_elsewhere.as_ref()
    }

    fn take(&mut self, bundle: BundleId, report: Vec<MonitoringInfo>) {
        for info in report {
            if self.is_counted_elsewhere(&info) {
                continue;
            }
            let name = Name {
                labels: info.labels.into_iter().collect(),
                urn: info.urn,
                r#type: info.r#type,
            };
            match Cell::decode(&name.r#type, &info.payload) {
                Ok(cell) => {
                    self.metrics.insert(name, cell);
                }
                Err(error) => {
                    warn!(%bundle, urn = name.urn, r#type = name.r#type, %error, "unreadable metric");
                }
            }
        }
    }
}

/// How far a bundle is: nothing that adds up.
fn is_of_the_moment(info: &MonitoringInfo) -> bool {
    matches!(
        info.urn.as_str(),
        monitoring_info_specs::DATA_CHANNEL_READ_INDEX
            | monitoring_info_specs::WORK_COMPLETED
            | monitoring_info_specs::WORK_REMAINING
    )
}

fn merge(into: &mut Metrics, report: &Metrics) {
    for (name, cell) in report {
        match into.get_mut(name) {
            Some(merged) => merged.merge(cell),
            None => {
                into.insert(name.clone(), cell.clone());
            }
        }
    }
}

fn infos(metrics: &Metrics) -> Vec<MonitoringInfo> {
    let info = |(name, cell): (&Name, &Cell)| MonitoringInfo {
        urn: name.urn.clone(),
        r#type: name.r#type.clone(),
        payload: cell.encode(),
        labels: name.labels.clone().into_iter().collect(),
        start_time: None,
    };
    metrics.iter().map(info).collect()
}
