//! Replays the corpus of the fuzzer and valid files of every kind through the same code as the fuzz targets. See `fuzz/README.md`
//! for how to fuzz.

#[path = "../../../../fuzz/src/bodies/mod.rs"]
pub mod bodies;
mod seeds;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use bodies::TARGETS;

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    files.sort();
    files
}

#[test]
fn the_corpus_is_read_without_panic() {
    for (target, run) in TARGETS {
        let corpus = files(&fuzz_folder().join("corpus").join(target));
        assert!(!corpus.is_empty(), "the corpus of {target} is empty");
        for file in corpus {
            let content = fs::read(&file).expect("readable");
            if std::panic::catch_unwind(|| run(&content)).is_err() {
                panic!("{} breaks a promise, as said above", file.display());
            }
        }
    }
}

/// Also writes the seeds to the folder in `FUZZ_SEEDS`, if it is set; `fuzz/run` starts from them.
#[test]
fn every_seed_is_read_to_its_end() {
    let seeds = seeds::all();
    let folder = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from);
    for (target, run) in TARGETS {
        let mut of_target = seeds
            .iter()
            .filter(|seed| seed.target == *target)
            .peekable();
        assert!(of_target.peek().is_some(), "{target} has no seed");
        for seed in of_target {
            assert!(
                run(&seed.content),
                "{target} refuses the seed {}",
                seed.name
            );
            if let Some(folder) = &folder {
                let folder = folder.join(seed.target);
                fs::create_dir_all(&folder).expect("writable");
                fs::write(folder.join(&seed.name), &seed.content).expect("writable");
            }
        }
    }
}

#[test]
fn every_target_is_built_and_has_a_corpus() {
    let listed: BTreeSet<String> = TARGETS
        .iter()
        .map(|(target, _)| (*target).to_owned())
        .collect();
    let names = |folder: &str| -> BTreeSet<String> {
        let files = files(&fuzz_folder().join(folder)).into_iter();
        let stems = files.filter_map(|file| Some(file.file_stem()?.to_str()?.to_owned()));
        stems.collect()
    };
    assert_eq!(names("fuzz_targets"), listed);
    assert_eq!(names("corpus"), listed);
    let manifest = fs::read_to_string(fuzz_folder().join("Cargo.toml")).expect("readable");
    for target in &listed {
        assert!(
            manifest.contains(&format!("name = \"{target}\"")),
            "{target}"
        );
    }
}
