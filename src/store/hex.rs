//! Bytes as lower-case hexadecimal digits.

/// Writes bytes.
pub(super) fn encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads as many bytes as there must be; `None` if the text is anything else.
pub(super) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_text_and_other_text_is_refused() {
        let bytes = [0, 9, 10, 0xff];
        assert_eq!(encode(&bytes), "00090aff");
        assert_eq!(decode("00090aff"), Some(bytes));
        for text in [
            "",
            "00090af",
            "00090aff0",
            "00090a+f",
            "00090agf",
            "0009ß1f",
        ] {
            assert_eq!(decode::<4>(text), None, "{text}");
        }
    }
}
