//! Deadlines: turns a request's `grpc-timeout` into the [`Deadline`] in its extensions, and answers with
//! DEADLINE_EXCEEDED if it passes before the response.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};
use tower::Service;

use crate::caller::Deadline;
use crate::error::{Error, Result, reason};
use crate::service::status;

/// Longer timeouts are cut to this, so that clocks stay far from their limits. No request takes so long.
const MAX_TIMEOUT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Ends requests at their `grpc-timeout`.
#[derive(Clone)]
pub(crate) struct Deadlines<S> {
    inner: S,
}

impl<S> Deadlines<S> {
    pub(crate) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, A, B> Service<Request<A>> for Deadlines<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Bounded<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let timeout = match request.headers().get("grpc-timeout").map(parse).transpose() {
            Ok(timeout) => timeout,
            Err(error) => {
                return Bounded::Refused { error: Some(error) };
            }
        };
        let sleep = timeout.map(|timeout| {
            let deadline = Instant::now() + timeout;
            request
                .extensions_mut()
                .insert(Deadline(deadline.into_std()));
            Box::pin(sleep_until(deadline))
        });
        Bounded::Running {
            inner: self.inner.call(request),
            sleep,
        }
    }
}

pin_project! {
    /// A response, or DEADLINE_EXCEEDED.
    #[project = BoundedProj]
    pub(crate) enum Bounded<F> {
        Refused { error: Option<Error> },
        Running { #[pin] inner: F, sleep: Option<Pin<Box<Sleep>>> },
    }
}

impl<F, B> Future for Bounded<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Default,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let error = match self.project() {
            BoundedProj::Refused { error } => error.take(),
            BoundedProj::Running { inner, sleep } => {
                if let Poll::Ready(response) = inner.poll(cx) {
                    return Poll::Ready(response);
                }
                match sleep {
                    Some(sleep) => ready!(sleep.as_mut().poll(cx)),
                    None => return Poll::Pending,
                }
                None
            }
        };
        let error = error.unwrap_or_else(|| {
            Error::new(
                reason::DEADLINE_EXCEEDED,
                "the deadline of `grpc-timeout` passed before the work was done; allow more time or send less at once",
            )
        });
        Poll::Ready(Ok(status::of(error).into_http()))
    }
}

/// Parses a timeout as gRPC over HTTP/2 defines it: 1 to 8 digits and a unit.
fn parse(value: &HeaderValue) -> Result<Duration> {
    let malformed = || {
        Error::field(
            "grpc-timeout",
            "the metadata `grpc-timeout` is malformed; send 1 to 8 digits and one of the units H, M, S, m, u, n, such as 500m",
        )
    };
    let (unit, digits) = value.as_bytes().split_last().ok_or_else(malformed)?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    let count = digits
        .iter()
        .fold(0u64, |count, digit| count * 10 + u64::from(digit - b'0'));
    let timeout = match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return Err(malformed()),
    };
    Ok(timeout.min(MAX_TIMEOUT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_with_every_unit_and_capped() {
        for (text, timeout) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("0m", Duration::ZERO),
            ("00000500m", Duration::from_millis(500)),
            ("6u", Duration::from_micros(6)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", MAX_TIMEOUT),
        ] {
            assert_eq!(parse(&HeaderValue::from_static(text)).expect(text), timeout);
        }
    }

    #[test]
    fn malformed_timeouts_are_refused() {
        for text in [
            "",
            "S",
            "1",
            "1s",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            " 1S",
            "1 S",
            "1SS",
        ] {
            let error = parse(&HeaderValue::from_static(text)).expect_err(text);
            assert_eq!(error.field_path(), Some("grpc-timeout"));
        }
    }
}
