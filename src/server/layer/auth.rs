//! Authentication: turns the bearer token in a request's `authorization` metadata into the [`Owner`] in its
//! extensions.
//!
//! The token goes no further than this file.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use tonic::Status;
use tower::Service;

use crate::error::{Error, Result, reason};
use crate::server::open_connections::InProgress;
use crate::service::status;
use crate::store::{Owner, TokenHasher};

use super::is_public;

const MAX_TOKEN_BYTES: usize = 4096;
const SCHEME: &[u8] = b"bearer";

/// Finds the owner of a request.
pub(crate) struct Gate {
    hasher: Arc<TokenHasher>,
    anonymous: Option<Owner>,
}

impl Gate {
    /// With `allow_anonymous`, requests without a token pass as one shared owner.
    pub(crate) fn new(hasher: Arc<TokenHasher>, allow_anonymous: bool) -> Self {
        let anonymous = allow_anonymous.then(|| hasher.anonymous());
        Self { hasher, anonymous }
    }

    fn owner(&self, headers: &HeaderMap) -> Result<Owner> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(value) = values.next() else {
            return self
                .anonymous
                .ok_or_else(|| refusal("the request has no `authorization` metadata"));
        };
        if values.next().is_some() {
            return Err(refusal(
                "there is more than one `authorization` entry in the metadata",
            ));
        }
        let token = bearer_token(value.as_bytes())?;
        Ok(self.hasher.owner_of(token))
    }
}

fn bearer_token(value: &[u8]) -> Result<&[u8]> {
    let Some((scheme, token)) = value.split_at_checked(SCHEME.len()) else {
        return Err(refusal("`authorization` is not of the scheme Bearer"));
    };
    if !scheme.eq_ignore_ascii_case(SCHEME) || token.first().is_some_and(|byte| *byte != b' ') {
        return Err(refusal("`authorization` is not of the scheme Bearer"));
    }
    let token = token.trim_ascii();
    if token.is_empty() {
        return Err(refusal("the bearer token is empty"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(refusal("the bearer token is longer than 4096 bytes"));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(refusal(
            "the bearer token has characters other than visible ASCII",
        ));
    }
    Ok(token)
}

fn refusal(problem: &str) -> Error {
    Error::new(
        reason::MISSING_TOKEN,
        format!("{problem}; send `authorization: Bearer <token>`"),
    )
}

/// Refuses requests without a usable token, and puts the [`Owner`] into the extensions of all others.
#[derive(Clone)]
pub(crate) struct Auth<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> Auth<S> {
    pub(crate) fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S, A, B> Service<Request<A>> for Auth<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
    B: Default,
{
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Gated<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        if !is_public(&request) {
            match self.gate.owner(request.headers()) {
                Ok(owner) => {
                    let [a, b, c, d, ..] = owner.as_bytes();
                    tracing::Span::current().record(
                        "owner",
                        tracing::field::display(format_args!("{a:02x}{b:02x}{c:02x}{d:02x}")),
                    );
                    if let Some(in_progress) = request.extensions().get::<Arc<InProgress>>() {
                        in_progress.has_owner();
                    }
                    request.extensions_mut().insert(owner);
                }
                Err(error) => {
                    return Gated::Refused {
                        status: Some(status::of(error)),
                    };
                }
            }
        }
        // no handler needs the token, and without it none can leak it
        request.headers_mut().remove(AUTHORIZATION);
        Gated::Passed {
            inner: self.inner.call(request),
        }
    }
}

pin_project! {
    /// A response, or UNAUTHENTICATED.
    #[project = GatedProj]
    pub(crate) enum Gated<F> {
        Refused { status: Option<Status> },
        Passed { #[pin] inner: F },
    }
}

impl<F, B> Future for Gated<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
    B: Default,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            GatedProj::Refused { status } => {
                let status = status.take().unwrap_or_else(|| Status::unauthenticated(""));
                Poll::Ready(Ok(status.into_http()))
            }
            GatedProj::Passed { inner } => inner.poll(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for value in ["Bearer secret", "bearer secret", "BEARER   secret "] {
            assert_eq!(bearer_token(value.as_bytes()).expect(value), b"secret");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES + 1));
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer\tx",
            "Bearersecret",
            "Basic abc",
            "secret",
            "Bearer a b",
            "Bearer \u{e4}",
            long.as_str(),
        ] {
            let error = bearer_token(value.as_bytes()).expect_err(value);
            assert_eq!(error.reason(), reason::MISSING_TOKEN);
            assert!(error.message().contains("Bearer <token>"));
            assert!(!error.message().contains("abc"));
        }
        let fits = format!("Bearer {}", "a".repeat(MAX_TOKEN_BYTES));
        assert!(bearer_token(fits.as_bytes()).is_ok());
    }
}
