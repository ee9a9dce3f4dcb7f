//! Checks the dependencies between rooms: reads the `use` paths of every source file and fails if they break the rules
//! of ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// For each room, the other rooms that it may name.
type Rules = &'static [(&'static str, &'static [&'static str])];

/// The rooms of the library.
const LIBRARY: Rules = &[
    ("error", &[]),
    ("context", &["error"]),
    ("messagepack", &[]),
    ("envelope", &["error", "messagepack"]),
    ("le_bytes", &[]),
    ("table", &["context", "error"]),
    ("statistics", &["context", "error", "le_bytes"]),
    ("calibration", &["error", "messagepack", "statistics"]),
    (
        "detector",
        &[
            "calibration",
            "context",
            "error",
            "le_bytes",
            "messagepack",
            "statistics",
        ],
    ),
    (
        "features",
        &[
            "context",
            "error",
            "le_bytes",
            "messagepack",
            "statistics",
            "table",
        ],
    ),
    (
        "pipeline",
        &[
            "calibration",
            "context",
            "detector",
            "envelope",
            "error",
            "features",
            "le_bytes",
            "statistics",
            "table",
        ],
    ),
    ("lib", &[]),
];

/// The rooms of the server, which may name those of the library, too.
const SERVER: Rules = &[
    ("error", &["error"]),
    ("proto", &[]),
    ("memory", &["error"]),
    ("compute", &["caller", "context", "error", "store"]),
    ("store", &["error"]),
    ("caller", &["error", "store"]),
    ("operations", &["caller", "context", "error", "store"]),
    (
        "runs",
        &[
            "calibration",
            "caller",
            "compute",
            "context",
            "datasets",
            "envelope",
            "error",
            "features",
            "memory",
            "operations",
            "pipeline",
            "store",
            "table",
        ],
    ),
    (
        "datasets",
        &[
            "caller",
            "compute",
            "context",
            "envelope",
            "error",
            "memory",
            "operations",
            "statistics",
            "store",
            "table",
        ],
    ),
    (
        "service",
        &[
            "calibration",
            "caller",
            "compute",
            "context",
            "datasets",
            "detector",
            "error",
            "features",
            "le_bytes",
            "memory",
            "operations",
            "pipeline",
            "proto",
            "runs",
            "store",
            "table",
            "telemetry",
        ],
    ),
    ("config", &["store"]),
    ("telemetry", &["config"]),
    (
        "server",
        &[
            "caller",
            "compute",
            "config",
            "datasets",
            "error",
            "memory",
            "operations",
            "proto",
            "runs",
            "service",
            "store",
            "telemetry",
        ],
    ),
    (
        "cli",
        &[
            "config",
            "error",
            "proto",
            "runs",
            "server",
            "service",
            "store",
            "table",
            "telemetry",
        ],
    ),
    ("huge_pages", &[]),
    ("main", &["cli", "huge_pages"]),
    ("lib", &[]),
];

/// The source folders, with the rules of their rooms.
const SOURCES: &[(&str, Rules)] = &[
    (
        concat!(env!("CARGO_MANIFEST_DIR"), "/crates/anomaly-detection/src"),
        LIBRARY,
    ),
    (concat!(env!("CARGO_MANIFEST_DIR"), "/src"), SERVER),
];

/// Crates that only some rooms may name.
const CRATES: &[(&[&str], &[&str])] = &[
    (
        &[
            "tonic",
            "tonic_types",
            "tonic_health",
            "tonic_reflection",
            "prost",
            "prost_types",
            "prost_reflect",
        ],
        &["proto", "service", "server", "cli"],
    ),
    (
        &["hyper", "hyper_util", "http", "tower"],
        &["server", "cli", "telemetry"],
    ),
    (&["sled"], &["store"]),
    (&["clap"], &["cli", "config", "main"]),
];

#[test]
fn rooms_name_only_allowed_rooms_and_crates_and_use_all_allowed_rooms() {
    let mut breaches = Vec::new();
    for (folder, rules) in SOURCES {
        let mut unused: BTreeSet<(&str, &str)> = rules
            .iter()
            .flat_map(|(room, allowed)| allowed.iter().map(move |named| (*room, *named)))
            .collect();
        for file in rust_files(Path::new(folder)) {
            let room = room_of(folder, &file);
            let Some((_, allowed)) = rules.iter().find(|(name, _)| *name == room) else {
                breaches.push(format!(
                    "{}: the room {room:?} has no rule here",
                    file.display()
                ));
                continue;
            };
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let code = without_comments(&text);
            let own = if room == "main" {
                "anomalyd::"
            } else {
                "crate::"
            };
            let prefixes = [own, "anomaly_detection::"];
            for named in prefixes
                .iter()
                .flat_map(|prefix| paths_after(&code, prefix))
            {
                unused.retain(|grant| *grant != (room.as_str(), named.as_str()));
                let is_room = [LIBRARY, SERVER]
                    .iter()
                    .copied()
                    .flatten()
                    .any(|(name, _)| *name == named);
                if is_room && named != room && !allowed.contains(&named.as_str()) {
                    breaches.push(format!("{}: {room} may not name {named}", file.display()));
                }
            }
            breaches.extend(named_crates(&file, &room, &code));
        }
        breaches.extend(
            unused
                .iter()
                .map(|(room, named)| format!("{room} may name {named}, but does not")),
        );
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

/// The crates that a file names although its room may not.
fn named_crates(file: &Path, room: &str, code: &str) -> Vec<String> {
    let names = |name: &str| code.contains(&format!("{name}::"));
    let mut breaches = Vec::new();
    for (crates, rooms) in CRATES {
        let refused = crates
            .iter()
            .filter(|name| !rooms.contains(&room) && names(name));
        breaches.extend(
            refused.map(|name| format!("{}: {room} may not name the crate {name}", file.display())),
        );
    }
    let is_sled = file
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("sled"));
    if room == "store" && !is_sled && names("sled") {
        breaches.push(format!(
            "{}: only src/store/sled* may name sled",
            file.display()
        ));
    }
    breaches
}

#[test]
fn files_stay_small() {
    const MOST_LINES: usize = 450;
    let files = SOURCES
        .iter()
        .flat_map(|(folder, _)| rust_files(Path::new(folder)));
    let long: Vec<String> = files
        .filter_map(|file| {
            let text = fs::read_to_string(&file).expect("a source file is readable");
            let lines = text.lines().count();
            (lines > MOST_LINES).then(|| format!("{} has {lines} lines", file.display()))
        })
        .collect();
    assert!(
        long.is_empty(),
        "over {MOST_LINES} lines; split by idea: {long:?}"
    );
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("src is readable") {
        let path = entry.expect("src is readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The room of a file: its folder, or its own name, directly below the sources.
fn room_of(sources: &str, file: &Path) -> String {
    let below = file.strip_prefix(sources).expect("below the sources");
    let first = below
        .iter()
        .next()
        .expect("has a name")
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn without_comments(code: &str) -> String {
    code.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first path segment after each occurrence of `prefix`, with the branches of `{a, b}` one by one.
fn paths_after(code: &str, prefix: &str) -> Vec<String> {
    code.match_indices(prefix)
        .flat_map(|(at, _)| {
            let rest = &code[at + prefix.len()..];
            let segment = |text: &str| -> String {
                text.trim_start()
                    .chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect()
            };
            match rest.strip_prefix('{') {
                Some(group) => group
                    .split('}')
                    .next()
                    .unwrap_or_default()
                    .split(',')
                    .map(segment)
                    .collect(),
                None => vec![segment(rest)],
            }
        })
        .collect()
}
