//! Lists that the server answers page by page.

use super::error::{Error, Result};

/// How many items a page is asked to have.
pub(super) const PAGE_SIZE: u32 = 1000;

/// The items of all pages. `page` answers those of the page of a token, which is empty for the first one, and the token of the
/// next page, empty after the last.
///
/// Fails when a page does, and when a server would go round in circles.
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
