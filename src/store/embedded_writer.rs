//! Streams blobs into the embedded store: bytes are gathered, then written on threads for blocking work.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use super::committer::Committer;
use super::embedded::Inner;
use super::growing_blob::GrowingBlob;
use super::{BlobRef, BlobWriter, StoreError};

/// Bytes gathered before they are written.
const GATHERED: usize = 1 << 18;

/// A blob that is being written to an [`EmbeddedStore`](super::EmbeddedStore). Buffers at most 256 KiB, and 4 bytes for
/// each 16 KiB of the blob.
pub struct EmbeddedBlobWriter {
    committer: Arc<Committer>,
    gathered: Vec<u8>,
    /// `None` during a write, and for good after one that failed or whose future was dropped.
    open: Option<Open>,
}

/// The blob, and what keeps the folder locked. Fields are dropped in this order: the lock is released last.
struct Open {
    blob: GrowingBlob,
    inner: Arc<Inner>,
}

impl EmbeddedBlobWriter {
    pub(super) fn new(committer: Arc<Committer>, inner: Arc<Inner>, blob: GrowingBlob) -> Self {
        Self {
            committer,
            gathered: Vec::new(),
            open: Some(Open { blob, inner }),
        }
    }

    /// Runs blocking work on the blob. The blob is moved into it, so a future that is dropped leaves nothing behind.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(Open) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.committer.check()?;
        let open = self.open.take().ok_or_else(|| {
            StoreError::io("write a blob")(io::Error::other("an earlier write of it failed"))
        })?;
        let worked = spawn_blocking(move || work(open)).await;
        worked.map_err(StoreError::panicked)?
    }

    async fn append(&mut self, bytes: impl AsRef<[u8]> + Send + 'static) -> Result<(), StoreError> {
        let open = self.blocking(move |mut open| {
            open.blob.write(bytes.as_ref())?;
            Ok(open)
        });
        self.open = Some(open.await?);
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), StoreError> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let gathered = std::mem::take(&mut self.gathered);
        self.append(gathered).await
    }
}

impl BlobWriter for EmbeddedBlobWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.flush().await?;
        }
        if bytes.len() > GATHERED {
            return self.append(bytes).await;
        }
        if self.gathered.capacity() == 0 && bytes.len() < GATHERED {
            self.gathered.reserve_exact(GATHERED);
        }
        self.gathered.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(mut self) -> Result<BlobRef, StoreError> {
        self.flush().await?;
        // the lock of the folder is held until the blob is finished
        let finished = self.blocking(|Open { blob, inner }| Ok((blob.finish()?, inner)));
        let (unclaimed, _inner) = finished.await?;
        Ok(unclaimed.claim())
    }
}

impl Drop for EmbeddedBlobWriter {
    fn drop(&mut self) {
        // deleting a large file takes a while, so another thread does it if there is a runtime
        if let Some(open) = self.open.take()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}

impl fmt::Debug for EmbeddedBlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedBlobWriter").finish_non_exhaustive()
    }
}
