//! The ids of calls, which connect a response with its log lines: the header `x-request-id`.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

const MAX_LENGTH: usize = 128;

/// The id of one call: the caller's own, or one made here. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallId(HeaderValue);

impl CallId {
    /// The caller's id, if it consists of 1 to 128 letters, digits or `-_.:/+=`.
    pub fn from_caller(value: &HeaderValue) -> Option<Self> {
        let bytes = value.as_bytes();
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=".contains(byte);
        let fits = (1..=MAX_LENGTH).contains(&bytes.len());
        (fits && bytes.iter().all(sane)).then(|| Self(value.clone()))
    }

    /// A new id of 16 hexadecimal digits, unique in this process and, by its random start, unlikely to repeat in
    /// another.
    pub fn generate() -> Self {
        static START: LazyLock<u64> =
            LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mut number = mix(START.wrapping_add(count));
        let mut text = [0; 16];
        for digit in text.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(number & 15) as usize];
            number >>= 4;
        }
        Self(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0")))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        // only visible ASCII gets in
        self.0.to_str().unwrap_or_default()
    }

    /// The id as a header.
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014), a bijection: distinct counts stay distinct.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_ids_differ_and_are_sane() {
        let ids: HashSet<String> = (0..1000).map(|_| CallId::generate().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.len(), 16);
            assert!(CallId::from_caller(&HeaderValue::from_str(&id).expect("header")).is_some());
        }
    }

    #[test]
    fn ids_that_could_forge_log_lines_are_refused() {
        let long = "a".repeat(129);
        for text in ["", "a b", "a\"b", "a\tb", "<script>", long.as_str()] {
            let value = HeaderValue::from_str(text).expect("header");
            assert!(CallId::from_caller(&value).is_none(), "{text:?}");
        }
    }
}
