//! The pages of lists: their sizes, and the tokens that lead from one page to the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::error::{Error, Result};

/// The default page size.
const DEFAULT_SIZE: usize = 50;

/// The largest page size.
const MAX_SIZE: usize = 1000;

/// The page size of a request.
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

/// The token of the page after the entry with this id; empty if there is none.
pub(super) fn next_token(last_id: Option<&str>, more: bool) -> String {
    match last_id {
        Some(last) if more => URL_SAFE_NO_PAD.encode(last),
        _ => String::new(),
    }
}

/// The id after which the page begins; `None` for the first page.
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
            "page_token does not come from this server; send the next_page_token of the previous page, or nothing",
        )),
    }
}
