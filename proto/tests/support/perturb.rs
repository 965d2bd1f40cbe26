//! Proof that the comparison can fail: each kind of difference, made on purpose, is named.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    FileDescriptorSet, ServiceDescriptorProto,
};

use crate::compare::differences;

const FN: &str = "org.apache.beam.model.fn_execution.v1";
const PIPELINE: &str = "org.apache.beam.model.pipeline.v1";

fn files<'a>(
    set: &'a mut FileDescriptorSet,
    package: &'a str,
) -> impl Iterator<Item = &'a mut FileDescriptorProto> {
    set.file
        .iter_mut()
        .filter(move |file| file.package() == package)
}

fn message<'a>(
    set: &'a mut FileDescriptorSet,
    package: &'a str,
    name: &str,
) -> &'a mut DescriptorProto {
    let mut messages = files(set, package).flat_map(|file| &mut file.message_type);
    messages
        .find(|message| message.name() == name)
        .expect("declared")
}

fn field<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut FieldDescriptorProto {
    let message = message(set, FN, "StateRequest");
    message
        .field
        .iter_mut()
        .find(|field| field.name() == name)
        .expect("declared")
}

fn service<'a>(set: &'a mut FileDescriptorSet, name: &str) -> &'a mut ServiceDescriptorProto {
    let mut services = files(set, FN).flat_map(|file| &mut file.service);
    services
        .find(|service| service.name() == name)
        .expect("declared")
}

fn time_domain(set: &mut FileDescriptorSet) -> &mut EnumDescriptorProto {
    let outer = message(set, PIPELINE, "TimeDomain");
    outer.enum_type.first_mut().expect("declared")
}

/// What one change of the wheel's descriptors would be reported as.
fn reported(change: impl FnOnce(&mut FileDescriptorSet)) -> Vec<String> {
    let ours = crate::ours();
    let mut theirs = ours.clone();
    change(&mut theirs);
    differences(&ours, &theirs)
}

#[test]
fn nothing_is_reported_of_what_is_the_same() {
    assert_eq!(reported(|_| {}), [""; 0]);
}

#[test]
fn every_kind_of_difference_is_named() {
    type Change = fn(&mut FileDescriptorSet);
    let cases: [(&str, Change); 14] = [
        ("StateRequest.id: declared", |set| {
            field(set, "id").number = Some(77)
        }),
        ("StateRequest.id: declared", |set| {
            field(set, "id").r#type = Some(12)
        }),
        ("StateRequest.id: declared", |set| {
            field(set, "id").label = Some(3)
        }),
        ("StateRequest.id: declared", |set| {
            field(set, "id").proto3_optional = Some(true)
        }),
        ("StateRequest.state_key: declared", |set| {
            field(set, "state_key").type_name = Some(".other".to_owned());
        }),
        ("StateRequest.get: declared", |set| {
            field(set, "get").oneof_index = None
        }),
        ("StateRequest.id is not theirs", |set| {
            field(set, "id").name = Some("other".to_owned())
        }),
        ("StateRequest.new is not ours", |set| {
            let new = FieldDescriptorProto {
                name: Some("new".to_owned()),
                ..Default::default()
            };
            message(set, FN, "StateRequest").field.push(new);
        }),
        (
            "message org.apache.beam.model.fn_execution.v1.StateRequest is not theirs",
            |set| {
                message(set, FN, "StateRequest").name = Some("Other".to_owned());
            },
        ),
        ("TimeDomain.Enum.EVENT_TIME: declared", |set| {
            let values = &mut time_domain(set).value;
            let value = values.iter_mut().find(|value| value.name() == "EVENT_TIME");
            value.expect("declared").number = Some(9);
        }),
        ("TimeDomain.Enum.PROCESSING_TIME is not theirs", |set| {
            time_domain(set)
                .value
                .retain(|value| value.name() != "PROCESSING_TIME");
        }),
        ("BeamFnState.State: declared", |set| {
            service(set, "BeamFnState").method[0].server_streaming = Some(false);
        }),
        ("BeamFnState.New is not ours", |set| {
            let state = service(set, "BeamFnState");
            let mut new = state.method[0].clone();
            new.name = Some("New".to_owned());
            state.method.push(new);
        }),
        (
            "service org.apache.beam.model.fn_execution.v1.New is not ours",
            |set| {
                let mut new = service(set, "BeamFnState").clone();
                new.name = Some("New".to_owned());
                files(set, FN).next().expect("declared").service.push(new);
            },
        ),
    ];
    for (expected, change) in cases {
        let reported = reported(change);
        assert!(
            reported
                .iter()
                .any(|difference| difference.contains(expected)),
            "{expected} is not among {reported:?}"
        );
    }
}
