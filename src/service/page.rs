//! Lists come in pages: their sizes, and the tokens that lead from one to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// The page size of a request that names none.
const DEFAULT_SIZE: usize = 50;

/// The largest page size.
const MAX_SIZE: usize = 1000;

/// How many entries a request asks for.
pub(super) fn size(page_size: u32) -> Result<usize> {
    match page_size as usize {
        0 => Ok(DEFAULT_SIZE),
        size if size <= MAX_SIZE => Ok(size),
        size => {
            let message = format!("page_size is {size}; it must be at most {MAX_SIZE}");
            Err(Error::field("page_size", message))
        }
    }
}

/// The token of the page behind the entry of this id; empty when there is none.
pub(super) fn next_token(last_id: Option<&str>, more: bool) -> String {
    match last_id {
        Some(last) if more => URL_SAFE_NO_PAD.encode(last),
        _ => String::new(),
    }
}

/// The id that a token says the page comes after; `None` for the first page.
pub(super) fn read_token<T>(
    token: &str,
    parse: impl FnOnce(String) -> Result<T>,
) -> Result<Option<T>> {
    if token.is_empty() {
        return Ok(None);
    }
    let last = URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    match last.map(parse) {
        Some(Ok(id)) => Ok(Some(id)),
        _ => Err(Error::field(
            "page_token",
            "page_token is not one that this server gave; send the next_page_token of the page before, or nothing",
        )),
    }
}
