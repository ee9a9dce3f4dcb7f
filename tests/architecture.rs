//! Who may name whom. Reads the `use` paths of every source file and fails on a breach of the rules that ARCHITECTURE.md
//! states.

use std::fs;
use std::path::{Path, PathBuf};

/// For each room of `src/`, the rooms that it may name beside itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("context", &["error"]),
    ("envelope", &["error"]),
    ("le_bytes", &[]),
    ("proto", &[]),
    ("table", &["context", "error"]),
    ("statistics", &["context", "error", "le_bytes"]),
    ("calibration", &["error", "statistics"]),
    (
        "detector",
        &["calibration", "context", "error", "le_bytes", "statistics"],
    ),
    (
        "features",
        &[
            "calibration",
            "context",
            "detector",
            "error",
            "le_bytes",
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
    ("compute", &["context", "error"]),
    ("store", &["error"]),
    ("caller", &["error", "store"]),
    (
        "runs",
        &[
            "calibration",
            "caller",
            "compute",
            "error",
            "features",
            "pipeline",
            "store",
            "table",
            "context",
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
            "pipeline",
            "proto",
            "runs",
            "store",
            "table",
            "telemetry",
        ],
    ),
    ("config", &["error", "store"]),
    ("telemetry", &["config", "error"]),
    (
        "server",
        &[
            "compute",
            "config",
            "context",
            "datasets",
            "error",
            "proto",
            "runs",
            "service",
            "store",
            "telemetry",
        ],
    ),
    (
        "cli",
        &["config", "error", "proto", "server", "service", "telemetry"],
    ),
    ("huge_pages", &[]),
    ("main", &["cli", "huge_pages"]),
    ("lib", &[]),
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
fn rooms_name_only_the_rooms_and_crates_that_they_may() {
    let mut breaches = Vec::new();
    for file in rust_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))) {
        let room = room_of(&file);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            breaches.push(format!(
                "{}: the room {room:?} has no rule in tests/architecture.rs",
                file.display()
            ));
            continue;
        };
        let code = without_comments(&fs::read_to_string(&file).expect("a source file is readable"));
        for named in paths_after(&code, "crate::") {
            let known = ROOMS.iter().any(|(name, _)| *name == named);
            if known && named != room && !allowed.contains(&named.as_str()) && room != "lib" {
                breaches.push(format!("{}: {room} may not name {named}", file.display()));
            }
        }
        for (crates, rooms) in CRATES {
            for name in crates.iter().filter(|_| !rooms.contains(&room.as_str())) {
                if code.contains(&format!("{name}::")) {
                    breaches.push(format!(
                        "{}: {room} may not name the crate {name}",
                        file.display()
                    ));
                }
            }
        }
        let in_store = file
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("sled"));
        if room == "store" && !in_store && code.contains("sled::") {
            breaches.push(format!(
                "{}: only src/store/sled* may name sled",
                file.display()
            ));
        }
    }
    assert!(breaches.is_empty(), "{}", breaches.join("\n"));
}

#[test]
fn files_stay_small() {
    const MOST_LINES: usize = 450;
    let long: Vec<String> = rust_files(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")))
        .into_iter()
        .filter_map(|file| {
            let lines = fs::read_to_string(&file)
                .expect("a source file is readable")
                .lines()
                .count();
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

/// The room of a file: its folder, or its own name, directly below `src`.
fn room_of(file: &Path) -> String {
    let below = file
        .strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
        .expect("below src");
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
