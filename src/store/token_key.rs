//! The key under which tokens are hashed, and the file that keeps it.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use super::{StoreError, TokenHasher, files, hex};

/// The name of the key's file in the store's folder.
pub(super) const FILE: &str = "token.key";

/// The key under which tokens are hashed: 32 secret bytes. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey([u8; 32]);

impl TokenKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads a key from 64 hexadecimal digits; white space around them is ignored. The error does not repeat them.
    pub fn from_hex(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits: Option<Vec<u8>> = text
            .chars()
            .map(|digit| digit.to_digit(16).and_then(|digit| digit.try_into().ok()))
            .collect();
        let digits = digits.ok_or("a token key is 64 hexadecimal digits, such as `openssl rand -hex 32` prints, but this one has other characters")?;
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(format!(
                "a token key is 64 hexadecimal digits, such as `openssl rand -hex 32` prints, not {}",
                digits.len()
            ));
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Self(bytes))
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn random() -> io::Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(bytes))
    }

    fn to_hex(&self) -> String {
        hex::encode(&self.0)
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

/// Finds the key of a store: the configured one, else the one in the file, else, in a store without a fingerprint, a
/// new one that is written to the file. Refuses a key that the fingerprint does not fit.
///
/// A crash between the two leaves a file without a fingerprint; the key in it was never used, and is used now.
pub(super) fn find(
    folder: &Path,
    configured: Option<TokenKey>,
    fingerprint: Option<[u8; 16]>,
) -> Result<TokenKey, StoreError> {
    let (key, source) = match configured {
        Some(key) => (key, "configured"),
        None => match read(folder)? {
            Some(key) => (key, FILE),
            None if fingerprint.is_some() => {
                return Err(StoreError::Refused(format!(
                    "{} is missing, and without it nobody would find their runs: put it back from a backup, or \
                     configure the key that this store was made with",
                    folder.join(FILE).display()
                )));
            }
            None => (write_new(folder)?, FILE),
        },
    };
    compare(&key, source, folder, fingerprint)?;
    Ok(key)
}

/// Refuses a key in the folder that is damaged, or that the fingerprint does not fit. There need not be one.
pub(super) fn check(folder: &Path, fingerprint: Option<[u8; 16]>) -> Result<(), StoreError> {
    match read(folder)? {
        Some(key) => compare(&key, FILE, folder, fingerprint),
        None => Ok(()),
    }
}

fn compare(
    key: &TokenKey,
    source: &str,
    folder: &Path,
    fingerprint: Option<[u8; 16]>,
) -> Result<(), StoreError> {
    let found = TokenHasher::new(key).fingerprint();
    if fingerprint.is_some_and(|fingerprint| fingerprint != found) {
        return Err(StoreError::Refused(format!(
            "the token key ({source}) is not the one that the store in {} was made with, and nobody would find their \
             runs: put the right key back, or give this server a folder of its own",
            folder.display()
        )));
    }
    Ok(())
}

fn read(folder: &Path) -> Result<Option<TokenKey>, StoreError> {
    let path = folder.join(FILE);
    let mut text = String::new();
    match File::open(&path).and_then(|file| file.take(1024).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(StoreError::io("read the token key")(error)),
    }
    TokenKey::from_hex(&text).map(Some).map_err(|error| {
        StoreError::Refused(format!(
            "{} is damaged: {error}; put it back from a backup",
            path.display()
        ))
    })
}

fn write_new(folder: &Path) -> Result<TokenKey, StoreError> {
    TokenKey::random()
        .and_then(|key| {
            files::write_whole(folder, FILE, |file| {
                writeln!(file, "{}", key.to_hex()).map(|()| key)
            })
        })
        .map_err(StoreError::io("write a new token key"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_and_is_never_printed() {
        let key = TokenKey::random().expect("randomness");
        assert!(TokenKey::from_hex(&format!("{}\n", key.to_hex())).as_ref() == Ok(&key));
        assert_eq!(format!("{key:?}"), "<redacted>");
    }

    #[test]
    fn other_text_is_not_a_key() {
        for text in ["", "ab", &"g".repeat(64), &"a".repeat(63), &"+a".repeat(32)] {
            let error = TokenKey::from_hex(text).expect_err("no key");
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }
}
