//! Fetches lists that the server sends in pages.

use super::error::{Error, Result};

/// The requested number of items per page.
pub(super) const PAGE_SIZE: u32 = 1000;

/// The items of all pages. `page` returns the items of the page with a token, and the token of the next page. The token is
/// empty for the first page and after the last.
///
/// Fails when a page does, and when the same token comes twice.
pub(super) async fn all<T>(
    mut page: impl AsyncFnMut(String) -> Result<(Vec<T>, String)>,
) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let mut token = String::new();
    loop {
        let (found, next) = page(token.clone()).await?;
        items.extend(found);
        if next.is_empty() {
            return Ok(items);
        }
        if next == token {
            return Err(Error::failed(
                "the server answered the same page token twice",
            ));
        }
        token = next;
    }
}
