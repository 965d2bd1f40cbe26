//! What one job stages: kept together or removed together.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256 as Sha256Hasher};
use tokio::runtime::Handle;
use tokio::sync::Mutex as AsyncMutex;
use tracing::warn;

use super::{Sha256, StagedArtifact, Staging, StagingWriter};
use crate::error::Result;
use crate::metadata::Preconditions;
use crate::store::BlobWriter;
use crate::store::locks::Table;

/// Artifacts that are staged together. Dropped without [`keep`](Self::keep), it removes from the
/// bucket what it brought there and no other session relies on.
pub struct StagingSession {
    membership: Arc<Membership>,
}

/// What a session and its writers share; the last one to go settles the session.
pub(super) struct Membership {
    staging: Staging,
    digests: Mutex<BTreeSet<Sha256>>,
    kept: AtomicBool,
}

/// Which content open sessions rely on.
#[derive(Default)]
pub(super) struct Claims {
    by_digest: Mutex<HashMap<Sha256, Claim>>,
    /// Held while content with this digest is looked for, made or removed.
    changing: Table<Sha256, AsyncMutex<()>>,
}

#[derive(Default)]
struct Claim {
    sessions: usize,
    /// Open sessions brought it, and none of them was kept so far.
    removable: bool,
}

impl StagingSession {
    pub(super) fn new(staging: Staging) -> Self {
        Self {
            membership: Arc::new(Membership {
                staging,
                digests: Mutex::default(),
                kept: AtomicBool::new(false),
            }),
        }
    }

    /// Begins to stage content. A claimed digest is checked at the end.
    #[must_use]
    pub fn writer(&self, claimed: Option<Sha256>) -> StagingWriter {
        let staging = &self.membership.staging.inner;
        StagingWriter {
            blob: BlobWriter::new(Arc::clone(&staging.store.inner), &staging.bucket),
            session: Arc::clone(&self.membership),
            hasher: Sha256Hasher::new(),
            claimed,
        }
    }

    /// Stages content that is at hand.
    ///
    /// # Errors
    /// Those of [`StagingWriter::finish`].
    pub async fn put(
        &self,
        content: impl Into<Bytes>,
        claimed: Option<Sha256>,
    ) -> Result<StagedArtifact> {
        let mut writer = self.writer(claimed);
        writer.write(content.into()).await?;
        writer.finish().await
    }

    /// Stages what the bucket has already, without its content being sent again; `None` if it has
    /// nothing with this digest.
    ///
    /// # Errors
    /// Where the backend fails.
    pub async fn reuse(&self, sha256: Sha256) -> Result<Option<StagedArtifact>> {
        let claims = &self.membership.staging.inner.claims;
        let _changing = claims.changing.entry(&sha256).lock_owned().await;
        let found = self.membership.staging.find(sha256).await?;
        if found.is_some() {
            self.membership.claim(sha256, false);
        }
        Ok(found)
    }

    /// Ends the session; what it staged stays in the bucket.
    pub fn keep(self) {
        self.membership.kept.store(true, Ordering::Release);
    }

    /// Ends the session and waits until what it alone brought is removed.
    pub async fn discard(self) {
        if let Some(mut membership) = Arc::into_inner(self.membership) {
            let digests = std::mem::take(
                membership
                    .digests
                    .get_mut()
                    .unwrap_or_else(PoisonError::into_inner),
            );
            membership.staging.release_all(digests).await;
        }
    }
}

impl Membership {
    pub(super) async fn add(
        self: &Arc<Self>,
        sha256: Sha256,
        blob: BlobWriter,
    ) -> Result<StagedArtifact> {
        let member = Arc::clone(self);
        let adding = tokio::spawn(async move {
            let claims = &member.staging.inner.claims;
            let _changing = claims.changing.entry(&sha256).lock_owned().await;
            let (artifact, made) = member.staging.store_once(sha256, blob).await?;
            member.claim(sha256, made);
            Ok(artifact)
        });
        adding.await.map_err(crate::error::Error::backend)?
    }

    fn claim(&self, sha256: Sha256, made: bool) {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let mut claims = self.staging.inner.claims.lock();
        let claim = claims.entry(sha256).or_default();
        claim.removable |= made;
        claim.sessions += usize::from(digests.insert(sha256));
    }
}

impl Claims {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Sha256, Claim>> {
        self.by_digest
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, sha256: Sha256) {
        let mut claims = self.lock();
        if let Some(claim) = claims.get_mut(&sha256) {
            claim.removable = false;
        }
        Self::leave(&mut claims, sha256);
    }

    /// Gives the claim up; returns whether the content is nobody's now.
    fn release(&self, sha256: Sha256) -> bool {
        Self::leave(&mut self.lock(), sha256)
    }

    fn leave(claims: &mut HashMap<Sha256, Claim>, sha256: Sha256) -> bool {
        let Some(claim) = claims.get_mut(&sha256) else {
            return false;
        };
        claim.sessions = claim.sessions.saturating_sub(1);
        let (unused, removable) = (claim.sessions == 0, claim.removable);
        if unused {
            claims.remove(&sha256);
        }
        unused && removable
    }
}

impl Staging {
    async fn release_all(&self, digests: BTreeSet<Sha256>) {
        let claims = &self.inner.claims;
        for sha256 in digests {
            let _changing = claims.changing.entry(&sha256).lock_owned().await;
            if !claims.release(sha256) {
                continue;
            }
            let object = self.location(sha256);
            let store = &self.inner.store;
            if let Err(error) = store.delete(&object, None, Preconditions::default()).await {
                warn!(%object, %error, "an abandoned artifact could not be removed");
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let digests = self
            .digests
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        let digests = std::mem::take(digests);
        if *self.kept.get_mut() {
            for sha256 in digests {
                self.staging.inner.claims.keep(sha256);
            }
        } else if let (false, Ok(runtime)) = (digests.is_empty(), Handle::try_current()) {
            let staging = self.staging.clone();
            runtime.spawn(async move { staging.release_all(digests).await });
        }
    }
}
