//! Who owns a run: a keyed hash of the token, never the token.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::TokenKey;

/// The first byte of each hashed message, which tells its kind, so that no token can pass for
/// anything else.
const ANONYMOUS: u8 = 0;
const TOKEN: u8 = 1;
const FINGERPRINT: u8 = 2;

/// The owner of runs and datasets: the first 16 bytes of an HMAC-SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner([u8; 16]);

impl Owner {
    /// The length in bytes.
    pub const SIZE: usize = 16;

    /// The owner with these bytes, as they stand in a key.
    pub(super) fn from_bytes(bytes: [u8; Self::SIZE]) -> Self {
        Self(bytes)
    }

    /// The bytes that stand for the owner in keys.
    pub fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({:032x})", u128::from_be_bytes(self.0))
    }
}

/// Turns tokens into owners (HMAC-SHA-256, RFC 2104, truncated to 16 bytes). Cheap to clone.
#[derive(Clone)]
pub struct TokenHasher {
    // keyed once, cloned for each token
    mac: Hmac<Sha256>,
}

impl TokenHasher {
    /// A hasher with this key.
    pub fn new(key: &TokenKey) -> Self {
        Self {
            mac: Hmac::new_from_slice(key.bytes()).expect("hmac takes keys of any length"),
        }
    }

    /// The owner that a bearer token stands for.
    pub fn owner_of(&self, token: &[u8]) -> Owner {
        Owner(self.hash(TOKEN, token))
    }

    /// The owner of everything on a server that asks for no token. No token hashes to it.
    pub fn anonymous(&self) -> Owner {
        Owner(self.hash(ANONYMOUS, &[]))
    }

    /// Identifies the key without revealing it.
    pub(super) fn fingerprint(&self) -> [u8; 16] {
        self.hash(FINGERPRINT, &[])
    }

    fn hash(&self, domain: u8, message: &[u8]) -> [u8; 16] {
        let mut mac = self.mac.clone();
        mac.update(&[domain]);
        mac.update(message);
        let full = mac.finalize().into_bytes();
        let mut short = [0; 16];
        short.copy_from_slice(&full[..16]);
        short
    }
}

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hasher(byte: u8) -> TokenHasher {
        TokenHasher::new(&TokenKey::from_bytes([byte; 32]))
    }

    #[test]
    fn an_owner_depends_on_the_key_and_the_token_alone() {
        assert_eq!(hasher(1).owner_of(b"a"), hasher(1).owner_of(b"a"));
        assert_ne!(hasher(1).owner_of(b"a"), hasher(1).owner_of(b"b"));
        assert_ne!(hasher(1).owner_of(b"a"), hasher(2).owner_of(b"a"));
    }

    #[test]
    fn no_token_is_anonymous_or_the_fingerprint() {
        let hasher = hasher(1);
        for token in [&b""[..], &[ANONYMOUS], &[FINGERPRINT]] {
            assert_ne!(hasher.owner_of(token), hasher.anonymous());
            assert_ne!(hasher.owner_of(token).as_bytes(), &hasher.fingerprint());
        }
    }

    #[test]
    fn the_hash_is_hmac_sha_256() {
        // computed with Python: hmac.new(b"\x01" * 32, b"\x01secret", "sha256")
        assert_eq!(
            format!("{:?}", hasher(1).owner_of(b"secret")),
            "Owner(9b4448db5e230d3c2adbe64cb2b1eb66)"
        );
    }
}
