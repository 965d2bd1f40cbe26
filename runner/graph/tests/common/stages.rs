//! A plan as a text of a line a stage.

use dataflume_graph::plan::{Plan, StageKind};
use expect_test::Expect;

use super::builder::Builder;

/// One line a stage.
pub(crate) fn stages(plan: &Plan) -> String {
    let lines = plan.stages.iter().map(|stage| {
        let kind = match &stage.kind {
            StageKind::Impulse => "impulse".to_owned(),
            StageKind::TestStream(_) => "test stream".to_owned(),
            StageKind::GroupByKey(group) if group.at_end_of_input => "group at end".to_owned(),
            StageKind::GroupByKey(_) => "group".to_owned(),
            StageKind::Redistribute { by_key: true } => "redistribute by key".to_owned(),
            StageKind::Redistribute { by_key: false } => "redistribute".to_owned(),
            StageKind::Identity => "identity".to_owned(),
            StageKind::Executable(executable) => plan.environments[executable.environment.index()]
                .name
                .clone(),
        };
        let names = |ids: &[dataflume_model::ids::PCollectionId]| {
            ids.iter()
                .map(|id| plan.pcollection(*id).name.as_str())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let sides: Vec<String> = stage
            .side_inputs
            .iter()
            .map(|side| format!(" | {}", names(&side.pcollections)))
            .collect();
        format!(
            "{kind}: {} ({}{}) -> {}",
            stage.name,
            names(&stage.inputs),
            sides.concat(),
            names(&stage.outputs)
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

pub(crate) fn check(builder: &Builder, expected: &Expect) {
    expected.assert_eq(&stages(&builder.plan()));
}
