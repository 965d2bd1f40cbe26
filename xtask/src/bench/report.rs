//! What was measured, as a table and as JSON.

use std::collections::BTreeMap;

use serde::Serialize;

use super::measure::Sample;
use super::runners::Kind;

/// A case's measurements by runner.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) case: &'static str,
    pub(super) scale: f64,
    pub(super) samples: BTreeMap<Kind, Vec<Sample>>,
}

impl Row {
    fn ours(&self) -> Option<(Kind, &[Sample])> {
        [
            Kind::DataflumeWarm,
            Kind::Dataflume,
            Kind::DataflumeProcesses,
        ]
        .into_iter()
        .find_map(|kind| Some((kind, self.samples.get(&kind)?.as_slice())))
    }

    /// Prints a line for each runner.
    fn print(&self) {
        let Some((us, ours)) = self.ours() else {
            return;
        };
        for (kind, samples) in &self.samples {
            let seconds = spread(samples, |sample| Some(sample.seconds));
            let mut line = format!("{:<22} {:<13} {seconds:>22}", self.case, kind.name());
            line += &format!(" {:>22}", spread(samples, |sample| sample.run_seconds));
            let usage = |of: fn(&super::runners::Usage) -> f64| {
                median(samples.iter().filter_map(|s| s.usage.as_ref()).map(of))
            };
            let peak = usage(|usage| usage.peak_bytes as f64 / f64::from(1 << 20));
            let cpu = usage(|usage| usage.cpu_seconds);
            line += &peak.map_or(format!("{:>9}", "-"), |mib| format!("{mib:>9.0}"));
            line += &cpu.map_or(format!("{:>9}", "-"), |cpu| format!("{cpu:>9.3}"));
            if *kind != us {
                line += &ratios(ours, samples);
            }
            line += &latencies(samples);
            println!("{line}");
        }
    }
}

/// Prints all rows.
pub(super) fn print(rows: &[Row]) {
    println!(
        "\n{:<22} {:<13} {:>22} {:>22} {:>8} {:>8}  dataflume / peer",
        "case", "runner", "wall s (min..max)", "Run to DONE s", "peak MiB", "CPU s"
    );
    rows.iter().for_each(Row::print);
}

/// Ours by theirs, round by round: the smallest, the median, the largest.
fn ratios(ours: &[Sample], theirs: &[Sample]) -> String {
    let pairs = || ours.iter().zip(theirs);
    let wall: Vec<f64> = pairs()
        .map(|(ours, theirs)| ours.seconds / theirs.seconds)
        .collect();
    let (min, max) = extremes(&wall);
    let mut text = format!(
        "  wall {:.2} ({min:.2}..{max:.2})",
        median(wall.iter().copied()).unwrap_or(f64::NAN)
    );
    let run = median(pairs().filter_map(|(o, t)| Some(o.run_seconds? / t.run_seconds?)));
    if let Some(run) = run {
        text += &format!(" run {run:.2}");
    }
    let memory = median(pairs().filter_map(|(ours, theirs)| {
        Some(ours.usage?.peak_bytes as f64 / theirs.usage?.peak_bytes as f64)
    }));
    if let Some(memory) = memory {
        text += &format!(" memory {memory:.2}");
    }
    text
}

/// The medians of what the runs gave.
fn latencies(samples: &[Sample]) -> String {
    let [half, most] =
        [0, 1].map(|which| median(samples.iter().filter_map(|s| Some(s.latencies?[which]))));
    match (half, most) {
        (Some(half), Some(most)) => format!(
            "  pane after {:.0} ms, p99 {:.0} ms",
            half * 1e3,
            most * 1e3
        ),
        _ => String::new(),
    }
}

fn spread(samples: &[Sample], of: impl Fn(&Sample) -> Option<f64>) -> String {
    let values: Vec<f64> = samples.iter().filter_map(of).collect();
    let Some(median) = median(values.iter().copied()) else {
        return "-".to_owned();
    };
    let (min, max) = extremes(&values);
    format!("{median:.3} ({min:.3}..{max:.3})")
}

fn extremes(values: &[f64]) -> (f64, f64) {
    values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), value| {
            (min.min(*value), max.max(*value))
        })
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_median_first() {
        let samples = [3.0, 1.0, 2.0].map(|seconds| Sample {
            seconds,
            run_seconds: None,
            latencies: None,
            usage: None,
        });
        assert_eq!(
            spread(&samples, |sample| Some(sample.seconds)),
            "2.000 (1.000..3.000)"
        );
        assert_eq!(spread(&samples, |sample| sample.run_seconds), "-");
        assert!(ratios(&samples, &samples).contains("wall 1.00 (1.00..1.00)"));
    }
}
