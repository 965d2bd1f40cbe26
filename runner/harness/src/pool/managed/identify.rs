//! Telling the SDK that a container image stands for.

use dataflume_proto::pipeline::Environment;
use dataflume_proto::sdk_base;
use dataflume_proto::urn::roles;

/// The language of an SDK harness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Java,
    Go,
}

/// What an image's name says. `apache/beam_python3.11_sdk:2.77.0` says everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sdk {
    pub(crate) language: Language,
    /// Such as `3.11`.
    pub(crate) language_version: Option<String>,
    /// Such as `2.77.0`.
    pub(crate) beam_version: Option<String>,
}

/// The SDK of an environment with the given image.
pub(crate) fn sdk(image: &str, environment: &Environment) -> Option<Sdk> {
    // SDKs declare the image that theirs is based on, even where a custom one is used.
    let base = environment
        .capabilities
        .iter()
        .find_map(|capability| capability.strip_prefix(sdk_base::ANY))
        .and_then(from_image);
    // The base is Beam's own name, the image may be anything.
    let named = base.or_else(|| from_image(image));
    let staged = from_artifacts(environment);
    match (staged, named) {
        (Some(language), Some(sdk)) if sdk.language == language => Some(sdk),
        (Some(language), _) => Some(Sdk {
            language,
            language_version: None,
            beam_version: None,
        }),
        (None, named) => named,
    }
}

/// The role of a Go worker binary leaves no doubt.
fn from_artifacts(environment: &Environment) -> Option<Language> {
    environment
        .dependencies
        .iter()
        .any(|artifact| artifact.role_urn == roles::GO_WORKER_BINARY)
        .then_some(Language::Go)
}

fn from_image(image: &str) -> Option<Sdk> {
    let name = image.split('@').next().unwrap_or(image);
    let name = name.rsplit('/').next().unwrap_or(name);
    let (name, tag) = match name.split_once(':') {
        Some((name, tag)) => (name, Some(tag)),
        None => (name, None),
    };
    let name = name.to_ascii_lowercase();
    let (language, rest) = find_language(&name)?;
    let version: String = rest
        .chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let is_version = |tag: &&str| tag.starts_with(|c: char| c.is_ascii_digit());
    Some(Sdk {
        language,
        language_version: (!version.is_empty()).then_some(version),
        beam_version: tag.filter(is_version).map(str::to_owned),
    })
}

/// The first of the image name's words that is a language, and what follows it.
fn find_language(name: &str) -> Option<(Language, &str)> {
    const NAMES: [(&str, Language); 3] = [
        ("python", Language::Python),
        ("java", Language::Java),
        ("go", Language::Go),
    ];
    name.split(['_', '-']).find_map(|word| {
        NAMES.iter().find_map(|(language_name, language)| {
            let rest = word.strip_prefix(language_name)?;
            let ends = rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_digit());
            ends.then_some((*language, rest))
        })
    })
}

#[cfg(test)]
mod tests {
    use dataflume_proto::pipeline::ArtifactInformation;

    use super::*;

    fn told(image: &str, capabilities: &[&str]) -> Option<Sdk> {
        let environment = Environment {
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            ..Default::default()
        };
        sdk(image, &environment)
    }

    fn expect(language: Language, language_version: &str, beam_version: &str) -> Option<Sdk> {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Some(Sdk {
            language,
            language_version: text(language_version),
            beam_version: text(beam_version),
        })
    }

    #[test]
    fn images_tell_their_sdk() {
        let cases = [
            (
                "apache/beam_python3.11_sdk:2.77.0",
                expect(Language::Python, "3.11", "2.77.0"),
            ),
            (
                "gcr.io/cloud-dataflow/v1beta3/beam_java17_sdk:2.65.0",
                expect(Language::Java, "17", "2.65.0"),
            ),
            (
                "localhost:5000/beam_go_sdk@sha256:00",
                expect(Language::Go, "", ""),
            ),
            (
                "apache/beam_go_sdk:2.77.0",
                expect(Language::Go, "", "2.77.0"),
            ),
            (
                "my/beam_python_sdk:latest",
                expect(Language::Python, "", ""),
            ),
            ("python:3.11", expect(Language::Python, "", "3.11")),
            ("google/javascript:1", None),
            ("", None),
        ];
        for (image, sdk) in cases {
            assert_eq!(told(image, &[]), sdk, "{image}");
        }
    }

    #[test]
    fn a_custom_image_is_known_by_its_base() {
        let base = "beam:version:sdk_base:apache/beam_python3.12_sdk:2.70.0";
        assert_eq!(
            told("example.com/mine:7", &["beam:protocol:x:v1", base]),
            expect(Language::Python, "3.12", "2.70.0")
        );
    }

    #[test]
    fn a_staged_worker_binary_is_go() {
        let environment = Environment {
            dependencies: vec![ArtifactInformation {
                role_urn: roles::GO_WORKER_BINARY.to_owned(),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(sdk("mine:1", &environment), expect(Language::Go, "", ""));
    }
}
