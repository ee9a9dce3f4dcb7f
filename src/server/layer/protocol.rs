//! Tells gRPC from what else may come over HTTP. The rest is refused in plain HTTP with a text for people, because its clients
//! cannot read the status of gRPC.

use http::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};

const GRPC: &str = "application/grpc";
const GRPC_PROTO: &str = "application/grpc+proto";
const GRPC_WEB: &str = "application/grpc-web";

const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const POST: HeaderValue = HeaderValue::from_static("POST");

/// Why a request is not gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is gRPC-web.
    GrpcWeb,
    /// It came over HTTP/1.
    Http1,
    /// Its content type is another one.
    ContentType,
    /// Its method is not POST.
    Method,
}

impl Refusal {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::GrpcWeb | Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            // not 426, which would have to name an upgrade; there is none
            Self::Http1 => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
        }
    }

    /// What was wrong and what would be right, in one line.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::GrpcWeb => {
                "this port does not speak gRPC-web; send gRPC over HTTP/2, or put a proxy before it that translates\n"
            }
            Self::Http1 => {
                "this port speaks gRPC over HTTP/2 with prior knowledge, not HTTP/1; use a gRPC client\n"
            }
            Self::ContentType => {
                "this port speaks gRPC alone; send the content type application/grpc, with messages of protobuf\n"
            }
            Self::Method => "gRPC is sent with POST\n",
        }
    }

    /// The whole answer.
    pub(crate) fn response<B: From<&'static str>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.text()));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PLAIN_TEXT);
        if self == Self::Method {
            headers.insert(ALLOW, POST);
        }
        response
    }
}

/// Why a request over HTTP/1 is refused.
pub(crate) fn refuse_http1<B>(request: &Request<B>) -> Refusal {
    if content_type(request.headers()).is_some_and(is_grpc_web) {
        Refusal::GrpcWeb
    } else {
        Refusal::Http1
    }
}

/// Why a request over HTTP/2 is refused; `None` for gRPC.
pub(crate) fn refuse_http2<B>(request: &Request<B>) -> Option<Refusal> {
    match content_type(request.headers()) {
        Some(essence) if is_grpc_web(essence) => Some(Refusal::GrpcWeb),
        Some(essence)
            if essence.eq_ignore_ascii_case(GRPC) || essence.eq_ignore_ascii_case(GRPC_PROTO) =>
        {
            (request.method() != Method::POST).then_some(Refusal::Method)
        }
        _ => Some(Refusal::ContentType),
    }
}

/// The content type without its parameters.
fn content_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let (essence, _) = value.split_once(';').unwrap_or((value, ""));
    Some(essence.trim())
}

/// Whether the type is that of gRPC-web in one of its forms, such as `application/grpc-web-text+proto`.
fn is_grpc_web(essence: &str) -> bool {
    essence
        .get(..GRPC_WEB.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(GRPC_WEB))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(method: Method, content_type: &str) -> Option<Refusal> {
        let request = Request::builder()
            .method(method)
            .header(CONTENT_TYPE, content_type);
        refuse_http2(&request.body(()).expect("a request"))
    }

    #[test]
    fn grpc_is_told_from_everything_else() {
        for grpc in [
            "application/grpc",
            "application/grpc+proto",
            "Application/GRPC",
            "application/grpc; charset=utf-8",
        ] {
            assert_eq!(refusal(Method::POST, grpc), None, "{grpc}");
            assert_eq!(refusal(Method::GET, grpc), Some(Refusal::Method), "{grpc}");
        }
        for web in [
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/GRPC-Web-text",
            "application/grpc-web-text+proto; x=1",
        ] {
            assert_eq!(refusal(Method::POST, web), Some(Refusal::GrpcWeb), "{web}");
        }
        for other in [
            "",
            "application/json",
            "application/grpc+json",
            "application/grpcx",
            "application/gr",
        ] {
            assert_eq!(
                refusal(Method::POST, other),
                Some(Refusal::ContentType),
                "{other}"
            );
        }
        assert_eq!(
            refuse_http2(&Request::new(())),
            Some(Refusal::ContentType),
            "none at all"
        );
    }
}
