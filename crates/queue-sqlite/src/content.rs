//! Body and annotations between memory and table `content`.

use bytes::Bytes;
use hookaido_model::{Content, JsonMap};
use rusqlite::Row;

/// Bytes of a content, as limits count them.
pub(crate) fn size(content: &Content) -> usize {
    content.payload.len() + content.headers.as_bytes().len() + content.trace.as_bytes().len()
}

/// Reads columns headers, trace, payload from `first` on. One allocation holds all three.
pub(crate) fn from_row(row: &Row<'_>, first: usize) -> rusqlite::Result<Content> {
    let blob = |at: usize| row.get_ref(first + at).and_then(|value| Ok(value.as_blob()?));
    let (headers, trace, payload) = (blob(0)?, blob(1)?, blob(2)?);
    let whole: Vec<u8> = [headers, trace, payload].concat();
    let mut whole = Bytes::from(whole);
    let headers = JsonMap::from_stored(whole.split_to(headers.len()));
    let trace = JsonMap::from_stored(whole.split_to(trace.len()));
    Ok(Content { payload: whole, headers, trace })
}
