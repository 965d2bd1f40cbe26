//! What has a path of its own below a bucket or an object: policies, access lists, notifications.
//!
//! There is no access control here: whoever reaches the port may do everything. So there are no
//! access lists, as in a bucket with uniform bucket-level access, and every permission that is asked
//! for is granted.

use axum::body::Body;
use axum::response::Response;
use dataflume_storage::{ObjectId, Preconditions, ReadOptions};
use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::answer;
use super::body;
use super::call::Call;
use super::errors::ApiError;
use super::resource;

/// Where a bucket's policy is kept among its attributes, under a name that no resource has.
const POLICY: &str = "$iamPolicy";

/// What only the service has.
const ELSEWHERE: [&str; 11] = [
    "anywhereCaches",
    "channels",
    "folders",
    "iam",
    "lockRetentionPolicy",
    "managedFolders",
    "notificationConfigs",
    "operations",
    "relocate",
    "restore",
    "watch",
];

/// `/b/BUCKET/PART`
pub(super) async fn of_bucket(
    call: &Call,
    body: Body,
    bucket: &str,
    part: &str,
) -> Result<Response, ApiError> {
    call.buckets.use_bucket(bucket).await?;
    let found = call.buckets.store().bucket(bucket).await?;
    match (call.method.as_str(), part) {
        ("GET", "iam") => {
            let policy = found.attributes.get(POLICY).cloned();
            answer::json(call, policy.unwrap_or_else(|| default_policy(bucket)))
        }
        ("PUT", "iam") => set_policy(call, body, bucket).await,
        ("GET", "iam/testPermissions") => {
            let asked: Vec<&str> = call.query.all("permissions").collect();
            let granted = json!({
                "kind": "storage#testIamPermissionsResponse",
                "permissions": asked,
            });
            answer::json(call, granted)
        }
        ("GET", "storageLayout") => {
            let shown = resource::bucket(&found, &call.links);
            let layout = json!({
                "kind": "storage#storageLayout",
                "bucket": bucket,
                "location": shown["location"],
                "locationType": shown["locationType"],
                "hierarchicalNamespace": {"enabled": false},
            });
            answer::json(call, layout)
        }
        ("GET", "notificationConfigs") => {
            answer::json(call, json!({"kind": "storage#notifications"}))
        }
        // There are none, since they can't be made: the folders of `gcloud storage rm -r` are these.
        ("GET", "managedFolders") => answer::json(call, json!({"kind": "storage#managedFolders"})),
        ("GET", part) if part.starts_with("managedFolders/") => Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "notFound",
            "The specified managed folder does not exist.",
        )),
        (_, "acl" | "defaultObjectAcl") => Err(no_access_lists("bucket")),
        (_, part) if part.starts_with("acl/") || part.starts_with("defaultObjectAcl/") => {
            Err(no_access_lists("bucket"))
        }
        ("POST", part) if part.starts_with("notificationConfigs") => Err(unsupported(
            "Notifications need Pub/Sub, which this emulator does not have yet.",
        )),
        _ => Err(not_served(part, "buckets")),
    }
}

/// `/b/BUCKET/o/OBJECT/PART`
pub(super) async fn of_object(
    call: &Call,
    id: &ObjectId,
    part: &str,
) -> Result<Response, ApiError> {
    call.buckets.use_bucket(&id.bucket).await?;
    let store = call.buckets.store();
    store.stat(id, ReadOptions::default()).await?;
    match part {
        "acl" => Err(no_access_lists("object")),
        part if part.starts_with("acl/") => Err(no_access_lists("object")),
        _ => Err(not_served(part, "objects")),
    }
}

/// `/projects/PROJECT/serviceAccount`
pub(super) fn service_account(call: &Call) -> Result<Response, ApiError> {
    if call.method != Method::GET {
        return Err(call.no_such_method());
    }
    let account = json!({
        "kind": "storage#serviceAccount",
        "email_address": "emulator@gs-project-accounts.iam.gserviceaccount.com",
    });
    answer::json(call, account)
}

/// Kept and given back; nothing is decided by it.
async fn set_policy(call: &Call, body: Body, bucket: &str) -> Result<Response, ApiError> {
    let mut policy = body::json(&call.headers, body).await?;
    policy.insert("kind".to_owned(), json!("storage#policy"));
    policy.insert("resourceId".to_owned(), json!(resource_id(bucket)));
    policy.entry("etag").or_insert_with(|| json!("CAE="));
    let policy = Value::Object(policy);
    let change = Map::from_iter([(POLICY.to_owned(), policy.clone())]);
    let store = call.buckets.store();
    let any = Preconditions::default();
    store.patch_bucket(bucket, change, any).await?;
    answer::json(call, policy)
}

fn default_policy(bucket: &str) -> Value {
    json!({
        "kind": "storage#policy",
        "resourceId": resource_id(bucket),
        "version": 1,
        "etag": "CAE=",
        "bindings": [],
    })
}

fn resource_id(bucket: &str) -> String {
    format!("projects/_/buckets/{bucket}")
}

/// What the service says in a bucket with uniform bucket-level access.
fn no_access_lists(of: &str) -> ApiError {
    ApiError::invalid(format!(
        "Cannot use ACL API to update {of} policy when uniform bucket-level access is enabled. \
         Read more at https://cloud.google.com/storage/docs/uniform-bucket-level-access"
    ))
}

/// What the service has and this emulator has not, told from what nobody has.
fn not_served(part: &str, of: &str) -> ApiError {
    let first = part.split('/').next().unwrap_or_default();
    if ELSEWHERE.contains(&first) {
        unsupported(&format!("This emulator does not serve {first} of {of}."))
    } else {
        ApiError::no_such_path(part)
    }
}

fn unsupported(message: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_IMPLEMENTED, "notImplemented", message)
}
