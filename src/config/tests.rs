use std::io::Write as _;

use clap::{CommandFactory as _, Parser};
use tempfile::NamedTempFile;

use super::options::{DEFAULTS, NAMES};
use super::*;
use crate::store::TokenKey;

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    flags: Flags,
}

fn load(args: &[&str]) -> Result<Config, ConfigError> {
    let args = std::iter::once("anomalyd").chain(args.iter().copied());
    Config::load(&Command::try_parse_from(args).expect("flags").flags)
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("temporary file");
    file.write_all(text.as_bytes()).expect("write");
    file
}

fn load_file(text: &str, args: &[&str]) -> Result<Config, ConfigError> {
    let file = file(text);
    let path = file.path().to_str().expect("utf-8 path");
    load(&[&["--config", path], args].concat())
}

fn refusal(result: Result<Config, ConfigError>) -> String {
    result.expect_err("refused").to_string()
}

#[test]
fn defaults_are_valid_and_as_documented() {
    let config = load(&[]).expect("defaults");
    assert_eq!(config.max_message_bytes.as_u64(), 64 << 20);
    assert_eq!(config.drain_timeout.as_secs(), 20);
    assert!(!config.allow_anonymous);
    assert!(config.reflection);

    let command = Command::command();
    for (name, default) in DEFAULTS {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_id() == name)
            .expect("a flag for each option");
        let help = arg
            .get_long_help()
            .or(arg.get_help())
            .expect("help")
            .to_string();
        let default = if default.is_empty() { "none" } else { default };
        assert!(
            help.contains(&format!("Default: {default}")),
            "help of {name} does not say its default {default}: {help}"
        );
        let env = arg
            .get_env()
            .and_then(|env| env.to_str())
            .expect("environment");
        assert_eq!(env, format!("ANOMALYD_{}", name.to_uppercase()));
    }
}

#[test]
fn flags_win_over_the_file_and_the_file_over_defaults() {
    let text = "max_message_bytes = \"1MiB\"\ndrain_timeout = '5s'\ncompute_threads = 3\nallow_anonymous = true";
    let config = load_file(text, &["--max-message-bytes", "2MiB"]).expect("valid");
    assert_eq!(config.max_message_bytes.as_u64(), 2 << 20);
    assert_eq!(config.drain_timeout.as_secs(), 5);
    assert_eq!(config.compute_threads, 3);
    assert!(config.allow_anonymous);
    assert_eq!(config.compute_queue, 64);
}

#[test]
fn switches_work_bare_and_with_a_value() {
    assert!(load(&["--allow-anonymous"]).expect("valid").allow_anonymous);
    assert!(!load(&["--reflection=off"]).expect("valid").reflection);
    assert!(refusal(load(&["--reflection=perhaps"])).contains("neither true nor false"));
}

#[test]
fn lists_come_as_text_and_as_arrays() {
    let config = load_file("listen = ['127.0.0.1:0', '[::1]:0']", &[]).expect("valid");
    assert_eq!(config.listen.len(), 2);
    let config = load(&["--listen", "0.0.0.0:1,[::]:2"]).expect("valid");
    assert_eq!(config.listen[1].port(), 2);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    let text = refusal(load_file("max_mesage_bytes = 1", &[]));
    assert!(
        text.contains("unknown option `max_mesage_bytes`; did you mean `max_message_bytes`?"),
        "{text}"
    );
    let text = refusal(load_file("data-dir = 'x'", &[]));
    assert!(text.contains("did you mean `data_dir`?"), "{text}");
    let text = refusal(load_file("qqqq = 1", &[]));
    assert!(text.contains("the options are listen"), "{text}");
}

#[test]
fn refusals_name_the_option_its_origin_and_what_is_right() {
    let text = refusal(load(&["--max-message-bytes", "12 potatoes"]));
    assert_eq!(
        text,
        "`max_message_bytes` (flag or environment): `12 potatoes` is not a size; give a number of bytes or one with a unit, such as 64MiB"
    );
    let text = refusal(load_file("drain_delay = 5", &[]));
    assert!(text.starts_with("`drain_delay` (in "), "{text}");
    assert!(text.contains("such as 20s"), "{text}");
    for (args, part) in [
        (["--listen", "localhost:1"], "give an IP address and a port"),
        (["--listen", ""], "`unix_socket`"),
        (["--max-message-bytes", "1KiB"], "64KiB to 2GiB"),
        (
            ["--request-memory-bytes", "1MiB"],
            "less than `max_message_bytes`, 64MiB",
        ),
        (["--answer-memory-bytes", "1MiB"], "64MiB to 1024GiB"),
        (["--dataset-memory-bytes", "63MiB"], "64MiB to 1024GiB"),
        (["--answer-stall-timeout", "0s"], "at least 1s"),
        (["--max-concurrent-streams", "0"], "at least 1"),
        (["--max-concurrent-streams", "-3"], "not a count"),
        (["--max-concurrent-streams", "9999999999"], "too large"),
        (["--compute-threads", "5000"], "at most 1024"),
        (["--quarantine-days", "4000"], "at most 3650"),
        (["--keepalive-timeout", "1ms"], "at least 1s"),
        (["--max-connection-idle", "1ms"], "at least 1s"),
        (["--arrival-timeout", "0s"], "at least 1s"),
        (["--max-connections", "0"], "at least 1"),
        (["--max-total-streams", "0"], "at least 1"),
        (["--log-level", "anomalyd=loud"], "is not a filter"),
        (["--log-format", "xml"], "text or json"),
        (["--data-dir", ""], "give a path"),
        (["--token-key", "abcx"], "other characters"),
        (["--token-key", "abcd"], "prints, not 4"),
        (
            ["--config", "/no/such/file"],
            "`config` must name a readable file",
        ),
    ] {
        let text = refusal(load(&args));
        assert!(text.contains(part), "{args:?}: {text}");
    }
    assert!(refusal(load_file("drain_delay = { a = 1 }", &[])).contains("is a table"));
    assert!(refusal(load_file("a = 1\nlisten = [", &[])).contains("is not valid TOML: line 2"));
}

#[test]
fn keys_are_read_from_a_file_and_never_shown() {
    let key = "00112233445566778899aabbccddeeff".repeat(2);
    let key_file = file(&format!("{key}\n"));
    let path = key_file.path().to_str().expect("utf-8 path");

    let config = load(&["--token-key-file", path]).expect("valid");
    assert_eq!(
        config.token_key,
        Some(TokenKey::from_hex(&key).expect("a key"))
    );
    for shown in [config.to_string(), format!("{config:?}")] {
        assert!(
            !shown.contains("0011") && !shown.contains("17, 34"),
            "{shown}"
        );
        assert!(shown.contains("<redacted>"), "{shown}");
    }

    let flags = Command::try_parse_from(["anomalyd", "--token-key", &key]).expect("flags");
    let shown = format!("{flags:?}");
    assert!(
        !shown.contains("0011") && shown.contains("token_key"),
        "{shown}"
    );

    let text = refusal(load(&["--token-key-file", path, "--token-key", &key]));
    assert!(text.contains("only one of them"), "{text}");
    let text = refusal(load(&["--token-key", &format!("{key}xyz")]));
    assert!(!text.contains("0011"), "{text}");
    let text = refusal(load_file(&format!("token_key = \"{key}"), &[]));
    assert!(!text.contains("0011"), "{text}");
}

#[test]
fn a_shown_configuration_can_be_read_back() {
    let config =
        load(&["--max-message-bytes", "1000001", "--drain-timeout", "90s"]).expect("valid");
    let shown = config.shown();
    assert_eq!(shown.len(), NAMES.len());
    let text: String = shown
        .iter()
        .filter(|(_, value)| value != "(none)")
        .map(|(name, value)| format!("{name} = '{value}'\n"))
        .collect();
    assert_eq!(load_file(&text, &[]).expect("valid").shown(), shown);
}
