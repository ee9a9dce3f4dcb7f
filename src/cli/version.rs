//! `--version` and `--like-version`: parses the selector of a version.

use crate::proto::v1::VersionSelector;
use crate::proto::v1::version_selector::Choice;

/// A version by its number, or else by its alias.
pub(super) fn selector(text: &str) -> Result<VersionSelector, String> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let choice = match is_number {
        false if text.is_empty() => return Err("expected a number or an alias".to_owned()),
        false => Choice::Alias(text.to_owned()),
        true => match text.parse() {
            Ok(number) if number > 0 => Choice::Number(number),
            Ok(_) => return Err("versions are counted from 1".to_owned()),
            Err(_) => return Err("no version has such a number".to_owned()),
        },
    };
    Ok(VersionSelector {
        choice: Some(choice),
    })
}

/// The version with a number that the server has returned.
pub(super) fn of_number(number: u64) -> VersionSelector {
    VersionSelector {
        choice: Some(Choice::Number(number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_aliases_are_distinguished() {
        assert_eq!(selector("12"), Ok(of_number(12)));
        let alias = |name: &str| VersionSelector {
            choice: Some(Choice::Alias(name.to_owned())),
        };
        assert_eq!(selector("active"), Ok(alias("active")));
        assert_eq!(selector("v2"), Ok(alias("v2")));
        for wrong in ["", "0", "18446744073709551616"] {
            assert!(selector(wrong).is_err(), "{wrong:?}");
        }
    }
}
