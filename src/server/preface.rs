//! Detects when a client has sent its HTTP/2 preface.
//!
//! Until then hyper applies neither keep-alive nor graceful shutdown to a connection, so a silent client could hold it open
//! for ever.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;

/// The length of the client's preface (RFC 9113, section 3.4), without the settings after it.
const PREFACE_BYTES: usize = 24;

pin_project! {
    /// A socket whose first bytes are counted.
    pub(super) struct Prefaced<IO> {
        #[pin]
        inner: IO,
        missing: usize,
        complete: Option<oneshot::Sender<()>>,
    }
}

impl<IO> Prefaced<IO> {
    /// Wraps a socket; the receiver fires once the preface has arrived.
    pub(super) fn new(inner: IO) -> (Self, oneshot::Receiver<()>) {
        let (complete, completed) = oneshot::channel();
        let this = Self {
            inner,
            missing: PREFACE_BYTES,
            complete: Some(complete),
        };
        (this, completed)
    }
}

impl<IO: AsyncRead> AsyncRead for Prefaced<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buffer.filled().len();
        ready!(this.inner.poll_read(cx, buffer))?;
        if *this.missing > 0 {
            let read = buffer.filled().len() - before;
            *this.missing = this.missing.saturating_sub(read);
            if *this.missing == 0
                && let Some(complete) = this.complete.take()
            {
                // without a receiver the connection is over
                let _ = complete.send(());
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite> AsyncWrite for Prefaced<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
