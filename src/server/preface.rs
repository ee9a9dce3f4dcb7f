//! Reads the first bytes of a connection, which tell HTTP/2 from other protocols.
//!
//! Until it has them, hyper applies neither keep-alive nor graceful shutdown to a connection. And it would answer everything
//! with frames of HTTP/2, which clients of other protocols cannot read.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection whose protocol is known.
pub(super) enum Opened<IO> {
    /// HTTP/2.
    Http2(Rewound<IO>),
    /// Another protocol.
    Other(Rewound<IO>),
}

/// Reads as much as is needed to tell the protocol. What was read can be read again.
pub(super) async fn read<IO: AsyncRead + Unpin>(mut io: IO) -> io::Result<Opened<IO>> {
    let mut first = Vec::with_capacity(PREFACE.len());
    while first.len() < PREFACE.len() {
        let missing = (PREFACE.len() - first.len()) as u64;
        if (&mut io).take(missing).read_buf(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if !PREFACE.starts_with(&first) {
            return Ok(Opened::Other(Rewound::new(io, first)));
        }
    }
    Ok(Opened::Http2(Rewound::new(io, first)))
}

pin_project! {
    /// A socket from which the first bytes are read again.
    pub(super) struct Rewound<IO> {
        #[pin]
        inner: IO,
        first: Vec<u8>,
    }
}

impl<IO> Rewound<IO> {
    fn new(inner: IO, first: Vec<u8>) -> Self {
        Self { inner, first }
    }
}

impl<IO: AsyncRead> AsyncRead for Rewound<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        if this.first.is_empty() {
            return this.inner.poll_read(cx, buffer);
        }
        let n = buffer.remaining().min(this.first.len());
        buffer.put_slice(&this.first[..n]);
        this.first.drain(..n);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite> AsyncWrite for Rewound<IO> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn protocols_are_told_apart_and_all_bytes_are_read_again() {
        let http2 = [&PREFACE[..], b"more"].concat();
        let cases: [(&[u8], bool); 5] = [
            (&http2, true),
            (PREFACE, true),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", false),
            (b"\x16\x03\x01", false),
        ];
        for (sent, is_http2) in cases {
            let opened = read(sent).await.expect("told apart");
            assert_eq!(matches!(opened, Opened::Http2(_)), is_http2, "{sent:?}");
            let (Opened::Http2(mut io) | Opened::Other(mut io)) = opened;
            let mut received = Vec::new();
            io.read_to_end(&mut received).await.expect("readable");
            assert_eq!(received, sent);
        }
        for sent in [&b""[..], &PREFACE[..23]] {
            assert!(read(sent).await.is_err(), "too short to tell: {sent:?}");
        }
    }
}
