//! The names under which artifacts appear in a worker's folder.

use dataflume_proto::pipeline::{
    ArtifactFilePayload, ArtifactInformation, ArtifactStagingToRolePayload, ArtifactUrlPayload,
};
use dataflume_proto::urn::{roles, types};
use prost::Message;

use super::error::ArtifactError;

/// The name that the artifact's role asks for, if it asks for one.
pub(super) fn staged_name(artifact: &ArtifactInformation) -> Result<Option<String>, ArtifactError> {
    if artifact.role_urn != roles::STAGING_TO {
        return Ok(None);
    }
    let role: ArtifactStagingToRolePayload = decode(&artifact.role_urn, &artifact.role_payload)?;
    check(&role.staged_name)?;
    Ok(Some(role.staged_name))
}

/// What to call the artifact in messages.
pub(super) fn describe(artifact: &ArtifactInformation) -> String {
    match staged_name(artifact) {
        Ok(Some(name)) => format!("{name:?}"),
        _ => format!("of role {}", artifact.role_urn),
    }
}

/// The role that stages an artifact as `name`.
pub(super) fn staging_to(name: &str) -> (String, bytes::Bytes) {
    let payload = ArtifactStagingToRolePayload {
        staged_name: name.to_owned(),
    };
    let payload = payload.encode_to_vec().into();
    (roles::STAGING_TO.to_owned(), payload)
}

/// The last component of where the artifact came from, if that is a legal name.
pub(super) fn base_name(artifact: &ArtifactInformation) -> Option<String> {
    let payload = &artifact.type_payload;
    let origin = match artifact.type_urn.as_str() {
        types::FILE => ArtifactFilePayload::decode(payload.as_ref()).ok()?.path,
        types::URL => {
            let url = ArtifactUrlPayload::decode(payload.as_ref()).ok()?.url;
            url.split(['?', '#']).next().unwrap_or_default().to_owned()
        }
        _ => return None,
    };
    let name = origin.rsplit(['/', '\\']).next()?;
    check(name).ok().map(|()| name.to_owned())
}

pub(super) fn decode<M: Message + Default>(urn: &str, payload: &[u8]) -> Result<M, ArtifactError> {
    M::decode(payload).map_err(|error| ArtifactError::InvalidPayload {
        urn: urn.to_owned(),
        reason: error.to_string(),
    })
}

/// Staged names are relative paths that stay within the folder they are put in.
fn check(name: &str) -> Result<(), ArtifactError> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('/') {
        "it is absolute"
    } else if name.split(['/', '\\']).any(|part| part == "..") {
        "it leads out of the worker's folder"
    } else if name.split('/').any(|part| part.is_empty() || part == ".") {
        "it has an empty component"
    } else if name.chars().any(char::is_control) {
        "it contains a control character"
    } else if name.split('/').any(|part| part.len() > 255) {
        "it has a component of more than 255 bytes"
    } else {
        return Ok(());
    };
    Err(ArtifactError::InvalidName {
        name: name.chars().take(200).collect(),
        reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_table() {
        let long = "x".repeat(256);
        for good in ["a", "a/b.jar", "..a", "a..", "pickled_main_session", "ä b"] {
            check(good).unwrap();
        }
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "..",
            "../x",
            "../../x",
            "a/../../x",
            "a//b",
            "a/",
            "./a",
            "..\\x",
            "a\0b",
            "a\nb",
            &long,
        ] {
            assert!(check(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn base_names() {
        let file = |path: &str| ArtifactInformation {
            type_urn: types::FILE.to_owned(),
            type_payload: ArtifactFilePayload {
                path: path.to_owned(),
                ..Default::default()
            }
            .encode_to_vec()
            .into(),
            ..Default::default()
        };
        assert_eq!(base_name(&file("/tmp/a.jar")).as_deref(), Some("a.jar"));
        assert_eq!(base_name(&file("C:\\tmp\\a.jar")).as_deref(), Some("a.jar"));
        assert_eq!(base_name(&file("/tmp/..")), None);
        assert_eq!(base_name(&ArtifactInformation::default()), None);
    }
}
