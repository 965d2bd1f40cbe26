//! One metric's value: how it is encoded, and what two of them come to.

use std::collections::BTreeSet;

use bytes::Bytes;
use dataflume_model::coder::CoderError;
use dataflume_model::wire;
use dataflume_proto::pipeline::{BoundedTrie, HistogramValue};
use dataflume_proto::urn::monitoring_info_type_urns as types;
use prost::Message;

use super::encoding::{Number, built, decode_iterable, decode_text, encode_iterable};
use super::trie;

/// Why a payload is not what its type says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// It does not follow the type's encoding.
    #[error(transparent)]
    Encoding(#[from] CoderError),
    /// It is not the type's message.
    #[error(transparent)]
    Message(#[from] prost::DecodeError),
}

/// The value of a metric, by type (`MonitoringInfoTypeUrns`).
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// `beam:metrics:sum_int64:v1`.
    SumInt64(i64),
    /// `beam:metrics:sum_double:v1`.
    SumDouble(f64),
    /// `beam:metrics:distribution_int64:v1`.
    DistributionInt64(Distribution<i64>),
    /// `beam:metrics:distribution_double:v1`.
    DistributionDouble(Distribution<f64>),
    /// `beam:metrics:latest_int64:v1`.
    LatestInt64(Latest<i64>),
    /// `beam:metrics:latest_double:v1`.
    LatestDouble(Latest<f64>),
    /// `beam:metrics:top_n_int64:v1` and `beam:metrics:bottom_n_int64:v1`.
    ExtremaInt64(Extrema<i64>),
    /// `beam:metrics:top_n_double:v1` and `beam:metrics:bottom_n_double:v1`.
    ExtremaDouble(Extrema<f64>),
    /// `beam:metrics:progress:v1`: amounts of work, which add up.
    Progress(Vec<f64>),
    /// `beam:metrics:set_string:v1`.
    SetString(BTreeSet<String>),
    /// `beam:metrics:bounded_trie:v1`.
    BoundedTrie(BoundedTrie),
    /// `beam:metrics:histogram_int64:v1`.
    Histogram(Box<HistogramValue>),
    /// Of a type that is not known: the last payload stands for all.
    Unknown(Bytes),
}

/// Count, sum, minimum and maximum of reported values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distribution<T> {
    /// How many values.
    pub count: i64,
    /// Sum, minimum and maximum; without values, some SDKs send none.
    pub of: Option<Spread<T>>,
}

/// What a distribution says of its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread<T> {
    /// All added up.
    pub sum: T,
    /// The least.
    pub min: T,
    /// The greatest.
    pub max: T,
}

/// The value set last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Latest<T> {
    /// When, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// What.
    pub value: T,
}

/// The greatest or the least values.
#[derive(Debug, Clone, PartialEq)]
pub struct Extrema<T> {
    /// The greatest.
    pub top: bool,
    /// In order, the most extreme first.
    pub values: Vec<T>,
}

impl Cell {
    /// Reads a payload of a type.
    ///
    /// # Errors
    /// The payload is not of this type.
    pub fn decode(r#type: &str, payload: &Bytes) -> Result<Self, CellError> {
        let input = &mut &payload[..];
        let top = matches!(r#type, types::TOP_N_INT64_TYPE | types::TOP_N_DOUBLE_TYPE);
        Ok(match r#type {
            types::SUM_INT64_TYPE => Self::SumInt64(Number::read(input)?),
            types::SUM_DOUBLE_TYPE => Self::SumDouble(Number::read(input)?),
            types::DISTRIBUTION_INT64_TYPE => Self::DistributionInt64(Distribution::decode(input)?),
            types::DISTRIBUTION_DOUBLE_TYPE => {
                Self::DistributionDouble(Distribution::decode(input)?)
            }
            types::LATEST_INT64_TYPE => Self::LatestInt64(Latest::decode(input)?),
            types::LATEST_DOUBLE_TYPE => Self::LatestDouble(Latest::decode(input)?),
            types::TOP_N_INT64_TYPE | types::BOTTOM_N_INT64_TYPE => Self::ExtremaInt64(Extrema {
                top,
                values: decode_iterable(input, Number::read)?,
            }),
            types::TOP_N_DOUBLE_TYPE | types::BOTTOM_N_DOUBLE_TYPE => {
                Self::ExtremaDouble(Extrema {
                    top,
                    values: decode_iterable(input, Number::read)?,
                })
            }
            types::PROGRESS_TYPE => Self::Progress(decode_iterable(input, Number::read)?),
            types::SET_STRING_TYPE => {
                Self::SetString(decode_iterable(input, decode_text)?.into_iter().collect())
            }
            types::BOUNDED_TRIE_TYPE => Self::BoundedTrie(BoundedTrie::decode(*input)?),
            types::HISTOGRAM => Self::Histogram(Box::new(HistogramValue::decode(*input)?)),
            _ => Self::Unknown(payload.clone()),
        })
    }

    /// The payload.
    pub fn encode(&self) -> Bytes {
        match self {
            Self::SumInt64(sum) => built(|out| sum.put(out)),
            Self::SumDouble(sum) => built(|out| sum.put(out)),
            Self::DistributionInt64(distribution) => built(|out| distribution.encode(0, out)),
            Self::DistributionDouble(distribution) => built(|out| distribution.encode(0.0, out)),
            Self::LatestInt64(latest) => built(|out| latest.encode(out)),
            Self::LatestDouble(latest) => built(|out| latest.encode(out)),
            Self::ExtremaInt64(extrema) => numbers(&extrema.values),
            Self::ExtremaDouble(extrema) => numbers(&extrema.values),
            Self::Progress(amounts) => numbers(amounts),
            Self::SetString(set) => built(|out| {
                encode_iterable(set.iter(), out, |text, out| {
                    wire::put_prefixed(text.as_bytes(), out);
                });
            }),
            Self::BoundedTrie(trie) => trie.encode_to_vec().into(),
            Self::Histogram(histogram) => histogram.encode_to_vec().into(),
            Self::Unknown(payload) => payload.clone(),
        }
    }

    /// Adds another report of the same metric. Cells of different types don't meet: the type is
    /// part of a metric's name.
    pub fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::SumInt64(a), Self::SumInt64(b)) => *a = a.plus(*b),
            (Self::SumDouble(a), Self::SumDouble(b)) => *a = a.plus(*b),
            (Self::DistributionInt64(a), Self::DistributionInt64(b)) => a.merge(b),
            (Self::DistributionDouble(a), Self::DistributionDouble(b)) => a.merge(b),
            (Self::LatestInt64(a), Self::LatestInt64(b)) => a.merge(b),
            (Self::LatestDouble(a), Self::LatestDouble(b)) => a.merge(b),
            (Self::ExtremaInt64(a), Self::ExtremaInt64(b)) => a.merge(b),
            (Self::ExtremaDouble(a), Self::ExtremaDouble(b)) => a.merge(b),
            (Self::Progress(a), Self::Progress(b)) => {
                *a = vec![a.iter().chain(b).sum()];
            }
            (Self::SetString(a), Self::SetString(b)) => a.extend(b.iter().cloned()),
            (Self::BoundedTrie(a), Self::BoundedTrie(b)) => trie::merge(a, b),
            (Self::Histogram(a), Self::Histogram(b)) => merge_histogram(a, b),
            (cell, other) => *cell = other.clone(),
        }
    }
}

fn numbers<T: Number>(values: &[T]) -> Bytes {
    built(|out| encode_iterable(values.iter(), out, |value, out| value.put(out)))
}

impl<T: Number> Distribution<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CoderError> {
        let count = i64::read(input)?;
        if count == 0 {
            return Ok(Self { count, of: None });
        }
        let (sum, min, max) = (T::read(input)?, T::read(input)?, T::read(input)?);
        Ok(Self {
            count,
            of: Some(Spread { sum, min, max }),
        })
    }

    fn encode(&self, zero: T, out: &mut Vec<u8>) {
        let none = Spread {
            sum: zero,
            min: zero,
            max: zero,
        };
        let Spread { sum, min, max } = self.of.unwrap_or(none);
        self.count.put(out);
        for number in [sum, min, max] {
            number.put(out);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.count = self.count.plus(other.count);
        self.of = match (self.of, other.of) {
            (Some(a), Some(b)) => Some(Spread {
                sum: a.sum.plus(b.sum),
                min: if b.min < a.min { b.min } else { a.min },
                max: if b.max > a.max { b.max } else { a.max },
            }),
            (a, b) => a.or(b),
        };
    }
}

impl<T: Number> Latest<T> {
    fn decode(input: &mut &[u8]) -> Result<Self, CoderError> {
        Ok(Self {
            timestamp_ms: i64::read(input)?,
            value: T::read(input)?,
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        self.timestamp_ms.put(out);
        self.value.put(out);
    }

    fn merge(&mut self, other: &Self) {
        if other.timestamp_ms >= self.timestamp_ms {
            *self = *other;
        }
    }
}

impl<T: Number> Extrema<T> {
    /// How many values count is not in the payload: as many as the longer list has.
    fn merge(&mut self, other: &Self) {
        let count = self.values.len().max(other.values.len());
        self.values.extend_from_slice(&other.values);
        let ascending = |a: &T, b: &T| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal);
        match self.top {
            true => self.values.sort_by(|a, b| ascending(b, a)),
            false => self.values.sort_by(ascending),
        }
        self.values.truncate(count);
    }
}

/// Adds up buckets that mean the same; a histogram whose buckets were defined anew starts again.
fn merge_histogram(into: &mut HistogramValue, other: &HistogramValue) {
    if into.bucket_options != other.bucket_options {
        *into = other.clone();
        return;
    }
    into.count = match (into.count, other.count) {
        (Some(a), Some(b)) => Some(a.plus(b)),
        (a, b) => a.or(b),
    };
    let length = into.bucket_counts.len().max(other.bucket_counts.len());
    into.bucket_counts.resize(length, 0);
    for (count, more) in into.bucket_counts.iter_mut().zip(&other.bucket_counts) {
        *count = count.plus(*more);
    }
}
