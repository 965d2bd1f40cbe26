//! The pure crates stay pure: no runtime, clock, socket, randomness or file reaches them through a
//! dependency, and their sources name none.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const PURE: &[&str] = &["dataflume-model", "dataflume-graph", "dataflume-engine"];

/// Everything that the pure crates depend on. Adding to this list is a decision.
const ALLOWED: &[&str] = &[
    "anyhow",
    "bytes",
    "dataflume-engine",
    "dataflume-graph",
    "dataflume-model",
    "dataflume-proto",
    "either",
    "equivalent",
    "hashbrown",
    "indexmap",
    "itertools",
    "itoa",
    "memchr",
    "proc-macro2",
    "prost",
    "prost-derive",
    "prost-types",
    "quote",
    "rustc-hash",
    "ryu",
    "serde",
    "serde_core",
    "serde_json",
    "smallvec",
    "syn",
    "thiserror",
    "thiserror-impl",
    "unicode-ident",
    "zmij",
];

/// The wire crate compiles gRPC stubs, whose crates come with it; the pure crates use its messages.
const WIRE: &str = "dataflume-proto";

const FORBIDDEN_IN_SOURCES: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::time::Instant",
    "SystemTime",
    "std::env",
    "tokio",
    "rand::",
];

#[test]
fn dependencies_are_pure() {
    for package in PURE {
        let wire = tree(WIRE);
        for name in tree(package) {
            assert!(
                ALLOWED.contains(&name.as_str()) || wire.contains(&name),
                "{package} depends on {name}, which is not known to be pure"
            );
        }
        let direct = tree_to_depth(package, 1);
        for name in direct {
            assert!(
                ALLOWED.contains(&name.as_str()),
                "{package} depends directly on {name}"
            );
        }
    }
}

#[test]
fn sources_are_pure() {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the runner folder");
    for room in ["model", "graph", "engine"] {
        for file in rust_files(&runner.join(room).join("src")) {
            let source = std::fs::read_to_string(&file).expect("readable");
            for name in FORBIDDEN_IN_SOURCES {
                assert!(!source.contains(name), "{} uses {name}", file.display());
            }
        }
    }
}

fn tree(package: &str) -> BTreeSet<String> {
    names(&[
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}",
    ])
}

fn tree_to_depth(package: &str, depth: u32) -> BTreeSet<String> {
    let depth = depth.to_string();
    let arguments = [
        "tree", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}", "--depth",
        &depth,
    ];
    names(&arguments)
}

fn names(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("names are text");
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
