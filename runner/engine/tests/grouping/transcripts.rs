//! Beam's own transcripts of triggers (`testing/data/trigger_transcripts.yaml`).

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use dataflume_engine::grouping::GroupingOptions;
use dataflume_model::pane::PaneTiming;
use dataflume_model::time::EventTime;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{AccumulationMode, OutputTime, Window, WindowingStrategy};
use serde::Deserialize;
use serde_yaml_ng::Value;

use crate::world::{Pane, World, fixed, sessions};

#[derive(Deserialize)]
struct Spec {
    name: String,
    window_fn: Option<String>,
    trigger_fn: Option<String>,
    timestamp_combiner: Option<String>,
    accumulation_mode: Option<String>,
    #[serde(default)]
    allowed_lateness: i64,
    /// The transcript is wrong, and must be found to be.
    error: Option<String>,
    transcript: Vec<Action>,
}

type Action = std::collections::HashMap<String, Value>;

fn strategy(spec: &Spec) -> Result<WindowingStrategy> {
    let mut strategy = match spec.window_fn.as_deref() {
        // Its own output times are asked for by one transcript only, which is not run.
        Some("FixedWindows(10)" | "CustomTimestampingFixedWindowsWindowFn(10)") => fixed(10),
        Some("Sessions(10)") => sessions(10),
        None => WindowingStrategy::default(),
        Some(other) => bail!("unknown window function {other}"),
    };
    strategy.trigger = trigger(spec.trigger_fn.as_deref().unwrap_or("Default"))?;
    strategy.output_time = match spec.timestamp_combiner.as_deref() {
        None | Some("OUTPUT_AT_EOW") => OutputTime::EndOfWindow,
        Some("OUTPUT_AT_EARLIEST") => OutputTime::EarliestInPane,
        Some("OUTPUT_AT_LATEST") => OutputTime::LatestInPane,
        Some(other) => bail!("unknown timestamp combiner {other}"),
    };
    strategy.accumulation = match spec.accumulation_mode.as_deref() {
        None | Some("accumulating") => AccumulationMode::Accumulating,
        Some("discarding") => AccumulationMode::Discarding,
        Some(other) => bail!("unknown accumulation mode {other}"),
    };
    strategy.allowed_lateness_ms = spec.allowed_lateness;
    Ok(strategy)
}

fn trigger(text: &str) -> Result<Trigger> {
    let (name, arguments) = text
        .strip_suffix(')')
        .and_then(|t| t.split_once('('))
        .unwrap_or((text, ""));
    let named = |name: &str| -> Result<Option<Box<Trigger>>> {
        let of = arguments
            .split(", ")
            .find_map(|argument| argument.strip_prefix(name));
        of.map(|text| trigger(text).map(Box::new)).transpose()
    };
    Ok(match name {
        "Default" => Trigger::Default,
        "AfterCount" => Trigger::ElementCount(arguments.parse()?),
        "AfterWatermark" => Trigger::AfterEndOfWindow {
            early: named("early=")?,
            late: named("late=")?,
        },
        other => bail!("unknown trigger {other}"),
    })
}

fn matches(pane: &Pane, expected: &Value) -> Result<bool> {
    let Window::Interval { start, end } = &pane.window else {
        bail!("not an interval")
    };
    let integer = |value: &Value| value.as_i64().context("not an integer");
    let integers = |value: &Value| -> Result<Vec<i64>> {
        value
            .as_sequence()
            .context("not a list")?
            .iter()
            .map(integer)
            .collect()
    };
    let mut values = pane.values.clone();
    values.sort_unstable();
    for (attribute, value) in expected.as_mapping().context("not a map")? {
        let same = match attribute.as_str().context("not a text")? {
            "window" => integers(value)? == [start.0, end.0 - 1],
            "values" => integers(value)? == values,
            "timestamp" => integer(value)? == pane.timestamp.0,
            "index" => integer(value)? == pane.info.index,
            "nonspeculative_index" => integer(value)? == pane.info.nonspeculative_index,
            "early" => value.as_bool() == Some(pane.info.timing == PaneTiming::Early),
            "late" => value.as_bool() == Some(pane.info.timing == PaneTiming::Late),
            "final" => value.as_bool() == Some(pane.info.is_last),
            other => bail!("unknown attribute {other}"),
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn play(spec: &Spec) -> Result<()> {
    let mut world = World::new(strategy(spec)?, GroupingOptions::default());
    let mut output: Vec<Pane> = Vec::new();
    for action in &spec.transcript {
        let (name, value) = action.iter().next().context("an empty action")?;
        if name != "expect" {
            ensure!(
                output.is_empty(),
                "Unexpected output before {name}: {output:?}"
            );
        }
        match name.as_str() {
            "input" => {
                let timestamps = value.as_sequence().context("not a list")?;
                let timestamps: Option<Vec<i64>> = timestamps.iter().map(Value::as_i64).collect();
                output = world.elements(&timestamps.context("not integers")?);
            }
            "watermark" => {
                let to = value.as_i64().context("not an integer")?;
                output = world.advance_watermark(EventTime(to));
            }
            "expect" => {
                for expected in value.as_sequence().context("not a list")? {
                    let mut found = None;
                    for (index, pane) in output.iter().enumerate() {
                        if matches(pane, expected)? {
                            found = Some(index);
                            break;
                        }
                    }
                    let found = found
                        .ok_or_else(|| anyhow!("Unmatched output {expected:?} in {output:?}"))?;
                    output.remove(found);
                }
            }
            // Says how Python keeps its state.
            "state" => {}
            other => bail!("unknown action {other}"),
        }
    }
    ensure!(output.is_empty(), "Unexpected output: {output:?}");
    Ok(())
}

/// Timestamps of the window function's own are not part of the portable model.
const NOT_PORTABLE: &str = "OUTPUT_AT_EARLIEST_TRANSFORMED";

#[test]
fn every_transcript_plays() -> Result<()> {
    let wheel = std::env::var("DATAFLUME_BEAM_WHEEL").context(
        "set DATAFLUME_BEAM_WHEEL to the apache_beam folder of an installed apache-beam, \
         such as .../site-packages/apache_beam",
    )?;
    let path = PathBuf::from(wheel).join("testing/data/trigger_transcripts.yaml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    // One place that only Python's parser takes for a key and a value.
    let text = text.replace("values:[", "values: [");
    let mut played = 0;
    for document in serde_yaml_ng::Deserializer::from_str(&text) {
        let spec = Spec::deserialize(document)?;
        if spec.timestamp_combiner.as_deref() == Some(NOT_PORTABLE) {
            continue;
        }
        let result = play(&spec);
        match &spec.error {
            None => result.with_context(|| spec.name.clone())?,
            Some(expected) => {
                let error = result
                    .err()
                    .with_context(|| format!("{} was accepted", spec.name))?;
                ensure!(
                    error.to_string().contains(expected),
                    "{}: {error}",
                    spec.name
                );
            }
        }
        played += 1;
    }
    ensure!(played >= 17, "only {played} transcripts were found");
    Ok(())
}
