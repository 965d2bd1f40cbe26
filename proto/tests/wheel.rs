//! What this crate declares is what the installed apache-beam declares: messages, fields, enums,
//! services, URNs.
//!
//! `cargo xtask test` says which interpreter has apache-beam; by hand, set `DATAFLUME_PYTHON`.

#[path = "support/compare.rs"]
mod compare;
#[path = "support/perturb.rs"]
mod perturb;
#[path = "support/urns.rs"]
mod urns;

use std::path::Path;
use std::process::Command;

use prost::Message;
use prost_types::FileDescriptorSet;

/// What `descriptors.py` prints.
fn ask_wheel(what: &str) -> Vec<u8> {
    let python = std::env::var_os("DATAFLUME_PYTHON").unwrap_or_else(|| {
        panic!(
            "DATAFLUME_PYTHON is not set: it must name a Python interpreter with \
             apache-beam 2.77.0. `cargo xtask test` installs one and sets it"
        )
    });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/descriptors.py");
    let output = Command::new(&python)
        .arg(script)
        .arg(what)
        .output()
        .unwrap_or_else(|error| panic!("can't run {}: {error}", python.display()));
    assert!(
        output.status.success(),
        "{} could not tell apache-beam's {what}:\n{}",
        python.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

fn ours() -> FileDescriptorSet {
    FileDescriptorSet::decode(dataflume_proto::FILE_DESCRIPTOR_SET)
        .unwrap_or_else(|error| panic!("our own descriptors can't be read: {error}"))
}

#[test]
fn descriptors_are_those_of_the_wheel() {
    let theirs = FileDescriptorSet::decode(&ask_wheel("descriptors")[..]).unwrap();
    let differences = compare::differences(&ours(), &theirs);
    assert!(
        differences.is_empty(),
        "apache-beam declares it differently:\n{}",
        differences.join("\n")
    );
}

#[test]
fn urns_are_those_of_the_wheel() {
    let theirs = String::from_utf8(ask_wheel("urns")).unwrap();
    let differences = urns::differences(include_str!("../src/urn.rs"), &theirs);
    assert!(
        differences.is_empty(),
        "apache-beam's URNs are others:\n{}",
        differences.join("\n")
    );
}
