//! A plan as text, for people and for snapshots.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use dataflume_model::ids::PCollectionId;
use dataflume_model::trigger::Trigger;
use dataflume_model::window::{AccumulationMode, WindowFn, WindowingStrategy};
use dataflume_proto::pipeline::PTransform;
use dataflume_proto::urn::runner;

use crate::plan::{
    AccessPattern, ExecutableStage, GroupByKey, KeyedStage, PCollection, Plan, Stage, StageKind,
    TimeDomain,
};

impl Plan {
    /// What will be run: every stage with what it reads, does and writes; then the PCollections
    /// between them.
    pub fn explain(&self) -> String {
        let mut text = String::new();
        for environment in &self.environments {
            line(
                &mut text,
                0,
                &format!(
                    "{} {} {}",
                    environment.id, environment.name, environment.proto.urn
                ),
            );
        }
        for stage in &self.stages {
            self.stage_text(&mut text, stage);
        }
        for pcollection in &self.pcollections {
            line(&mut text, 0, &pcollection_text(pcollection));
        }
        text
    }

    fn stage_text(&self, text: &mut String, stage: &Stage) {
        let mut first = format!("{} {}", stage.id, kind(&stage.kind));
        if !matches!(stage.kind, StageKind::Impulse | StageKind::TestStream(_)) {
            write!(first, " {}", ids(&stage.inputs)).ok();
        }
        if !stage.outputs.is_empty() {
            write!(first, " -> {}", ids(&stage.outputs)).ok();
        }
        line(text, 0, &first);
        match &stage.kind {
            StageKind::Executable(executable) => self.executable_text(text, executable),
            _ => line(text, 1, &stage.name),
        }
        for side in &stage.side_inputs {
            let pattern = match side.access_pattern {
                AccessPattern::Iterable => "iterable",
                AccessPattern::Multimap => "multimap",
            };
            let name = self
                .transform_names
                .get(&side.transform)
                .unwrap_or(&side.transform);
            let pcollections = ids(&side.pcollections);
            let tag = &side.tag;
            line(
                text,
                1,
                &format!("side input {tag:?} of {name}: {pattern} {pcollections}"),
            );
        }
    }

    fn executable_text(&self, text: &mut String, stage: &ExecutableStage) {
        for id in in_order(stage) {
            let transform = &stage.descriptor.transforms[id];
            let urn = transform.spec.as_ref().map_or("", |spec| spec.urn.as_str());
            line(
                text,
                1,
                &format!("{} [{}]", transform.unique_name, short(urn)),
            );
        }
        if let Some(keyed) = &stage.keyed {
            line(text, 1, &keyed_text(keyed));
        }
        if let Some(splittable) = &stage.splittable {
            let output = if splittable.unbounded {
                "unbounded"
            } else {
                "bounded"
            };
            let drain = if splittable.truncate.is_some() {
                ", can be truncated"
            } else {
                ""
            };
            line(text, 1, &format!("splittable, {output}{drain}"));
        }
        let facts = [
            (
                stage.requires_time_sorted_input,
                "requires time-sorted input",
            ),
            (stage.requires_stable_input, "requires stable input"),
            (stage.finalization, "finalizes bundles"),
        ];
        for (_, fact) in facts.into_iter().filter(|(holds, _)| *holds) {
            line(text, 1, fact);
        }
    }
}

fn line(text: &mut String, indent: usize, content: &str) {
    // Writing to a string can't fail.
    writeln!(text, "{:indent$}{content}", "", indent = indent * 4).ok();
}

/// The stage's transforms without ports: those that read what others write come after them.
fn in_order(stage: &ExecutableStage) -> Vec<&str> {
    let transforms: BTreeMap<&str, &PTransform> = stage
        .descriptor
        .transforms
        .iter()
        .filter(|(_, transform)| {
            let urn = transform.spec.as_ref().map_or("", |spec| spec.urn.as_str());
            urn != runner::DATA_SOURCE && urn != runner::DATA_SINK
        })
        .map(|(id, transform)| (id.as_str(), transform))
        .collect();
    let mut readers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (id, transform) in &transforms {
        for input in transform.inputs.values() {
            readers.entry(input).or_default().insert(id);
        }
    }
    let written: BTreeSet<&str> = transforms
        .values()
        .flat_map(|t| t.outputs.values())
        .map(String::as_str)
        .collect();
    let mut missing: BTreeMap<&str, usize> = transforms
        .iter()
        .map(|(id, transform)| {
            let inputs: BTreeSet<&str> = transform.inputs.values().map(String::as_str).collect();
            (*id, inputs.intersection(&written).count())
        })
        .collect();
    let mut ready: BTreeSet<&str> = missing
        .iter()
        .filter(|(_, missing)| **missing == 0)
        .map(|(id, _)| *id)
        .collect();
    let mut order = Vec::with_capacity(transforms.len());
    while let Some(id) = ready.pop_first() {
        order.push(id);
        for output in transforms[id].outputs.values() {
            for reader in readers.get(output.as_str()).into_iter().flatten() {
                let missing = missing.entry(reader).or_default();
                *missing = missing.saturating_sub(1);
                if *missing == 0 {
                    ready.insert(reader);
                }
            }
        }
    }
    order
}

fn kind(kind: &StageKind) -> String {
    match kind {
        StageKind::Impulse => "impulse".to_owned(),
        StageKind::TestStream(stream) => {
            format!("test stream of {} events", stream.payload.events.len())
        }
        StageKind::GroupByKey(group) => group_text(group),
        StageKind::Redistribute { by_key: true } => "redistribute by key".to_owned(),
        StageKind::Redistribute { by_key: false } => "redistribute".to_owned(),
        StageKind::Identity => "identity".to_owned(),
        StageKind::Executable(stage) => format!("in {}", stage.environment),
    }
}

fn group_text(group: &GroupByKey) -> String {
    let when = if group.at_end_of_input {
        "at end of input"
    } else {
        "as triggered"
    };
    let by = if group.merging.is_some() {
        ", merged by the SDK"
    } else {
        ""
    };
    format!("group by key {when}, {}{by}", windowing(&group.windowing))
}

fn keyed_text(keyed: &KeyedStage) -> String {
    let mut text = format!("keyed by {}", coder(&keyed.key_coder.to_string()));
    if !keyed.states.is_empty() {
        let ids: Vec<&str> = keyed.states.keys().map(String::as_str).collect();
        write!(text, ", state {}", ids.join(" ")).ok();
    }
    for (id, timer) in &keyed.timers {
        let domain = match timer.domain {
            TimeDomain::EventTime => "event",
            TimeDomain::ProcessingTime => "processing",
        };
        write!(text, ", {domain} time timer {id}").ok();
    }
    if let Some(family) = &keyed.on_window_expiration {
        write!(text, ", at window expiration {family}").ok();
    }
    text
}

fn pcollection_text(pcollection: &PCollection) -> String {
    format!(
        "{} {} {}, {}{}",
        pcollection.id,
        pcollection.name,
        coder(&pcollection.coder.to_string()),
        windowing(&pcollection.windowing),
        if pcollection.bounded {
            ""
        } else {
            ", unbounded"
        },
    )
}

fn windowing(strategy: &WindowingStrategy) -> String {
    let mut text = match &strategy.window_fn {
        WindowFn::Global => "global windows".to_owned(),
        WindowFn::Fixed { size_ms, offset_ms } => {
            format!("fixed windows of {size_ms} ms{}", offset(*offset_ms))
        }
        WindowFn::Sliding {
            size_ms,
            period_ms,
            offset_ms,
        } => {
            format!(
                "sliding windows of {size_ms} ms every {period_ms} ms{}",
                offset(*offset_ms)
            )
        }
        WindowFn::Sessions { gap_ms } => format!("sessions with gap {gap_ms} ms"),
        WindowFn::Custom { urn, .. } => format!("windows of {urn}"),
    };
    if strategy.trigger != Trigger::Default {
        write!(text, ", trigger {:?}", strategy.trigger).ok();
    }
    if strategy.accumulation == AccumulationMode::Accumulating {
        text.push_str(", accumulating");
    }
    if strategy.allowed_lateness_ms > 0 {
        write!(text, ", late by {} ms", strategy.allowed_lateness_ms).ok();
    }
    text
}

fn offset(offset_ms: i64) -> String {
    if offset_ms == 0 {
        String::new()
    } else {
        format!(" offset {offset_ms} ms")
    }
}

fn ids(ids: &[PCollectionId]) -> String {
    if ids.is_empty() {
        return "nothing".to_owned();
    }
    ids.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `beam:transform:pardo:v1` -> `pardo`.
fn short(urn: &str) -> &str {
    let urn = urn.strip_prefix("beam:transform:").unwrap_or(urn);
    urn.strip_suffix(":v1").unwrap_or(urn)
}

fn coder(text: &str) -> String {
    text.replace("beam:coder:", "").replace(":v1", "")
}
