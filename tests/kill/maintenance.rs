//! `anomalyd store` as a program: beside a running server, and without one.

use std::path::Path;
use std::process::{Command, Output};

use anomalyd::proto::v1::ListModelsRequest;

use crate::kill::load;
use crate::kill::process::{self, Process};
use crate::settings::program;

/// Runs `anomalyd store` on a data folder.
fn store(folder: &Path, args: &[&str]) -> Output {
    Command::new(program())
        .arg("store")
        .args(args)
        .arg("--data-dir")
        .arg(folder)
        .env_remove("ANOMALYD_CONFIG")
        .output()
        .expect("the program runs")
}

/// What a successful command prints.
fn printed(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What a command that fails prints as errors.
fn failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn n_runs(server: &mut Process) -> usize {
    let address = server.address();
    let mut client = process::client(address, "alice").await;
    let listed = client.list_models(ListModelsRequest::default()).await;
    listed.expect("lists").into_inner().models.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_checked_copied_and_restored() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let backup_arg = backup.to_str().expect("a plain path");
    let mut server = Process::spawn(&data);
    let address = server.address();
    let mut client = process::client(address, "alice").await;
    for run in ["one", "two"] {
        load::train(&mut client, run, 0).await.expect("trains");
    }
    load::train(&mut client, "one", 1).await.expect("trains");

    let checked = printed(&store(&data, &["check"]));
    assert!(
        checked.contains("records   2") && checked.contains("is there and whole"),
        "{checked}"
    );
    let made = printed(&store(&data, &["backup", backup_arg]));
    assert!(made.contains("runs      2, with 3 versions"), "{made}");
    load::train(&mut client, "three", 0).await.expect("trains");
    let refused = failure(&store(&data, &["accept-loss", "--yes"]));
    assert!(refused.contains("stop it first"), "{refused}");
    server.kill();
    // it left its socket behind
    let checked = printed(&store(&data, &["check"]));
    assert!(checked.contains("records   3"), "{checked}");

    // a disk that fails
    std::fs::write(data.join("meta.mark"), "").expect("writable");
    let mut server = Process::spawn(&data);
    assert_eq!(server.exit().code(), Some(1));
    let said = server.rest_of_log();
    for part in [
        "nobody knows what was acknowledged",
        "store restore",
        "store accept-loss",
    ] {
        assert!(said.contains(part), "{said}");
    }
    let lost = store(&data, &["check"]);
    assert!(failure(&lost).contains("1 part(s)"), "{lost:?}");
    assert!(
        String::from_utf8_lossy(&lost.stdout).contains("lost      the database of the records")
    );

    let asks = store(&folder.path().join("new"), &["restore", backup_arg]);
    assert_eq!(asks.status.code(), Some(2), "without a terminal");
    assert!(!folder.path().join("new").exists());
    let new = folder.path().join("new");
    let restored = printed(&store(&new, &["restore", backup_arg, "--yes"]));
    assert!(
        restored.contains("runs      2, with 3 versions"),
        "{restored}"
    );
    assert!(restored.contains("restored into"), "{restored}");
    let mut server = Process::spawn(&new);
    assert_eq!(n_runs(&mut server).await, 2);
    assert!(server.terminate().success());
    assert!(!new.join("control.sock").exists());

    let accepted = printed(&store(&data, &["accept-loss", "--yes"]));
    assert!(accepted.contains("given up"), "{accepted}");
    let mut server = Process::spawn(&data);
    assert_eq!(n_runs(&mut server).await, 3);
}
