//! The resident memory of the idle server, before and after a training, and the size of its model. Needs
//! `cargo build --release` first: it starts the program next to it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anomalyd_benchmarks::{RESIDENT, memory_bytes, served};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let program = std::env::current_exe()?.with_file_name("anomalyd");
    let mut server = Command::new(program)
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(folder.path())
        .stderr(Stdio::piped())
        .spawn()?;
    let log = BufReader::new(server.stderr.take().ok_or("no log")?);
    let mut addresses = log
        .lines()
        .filter_map(|line| Some(line.ok()?.split_once("listening on ")?.1.to_owned()));
    let address = addresses
        .next()
        .ok_or("the server does not listen")?
        .trim()
        .parse()?;

    println!("idle: {:.1} MB resident", resident_megabytes(&server)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let model = runtime.block_on(async { served::train(&mut served::client(address).await).await });
    println!(
        "idle, after a training: {:.1} MB resident",
        resident_megabytes(&server)?
    );
    println!(
        "model of 100 trees on 10 features: {} bytes",
        model.size_bytes
    );
    server.kill()?;
    server.wait()?;
    Ok(())
}

fn resident_megabytes(process: &Child) -> Result<f64, Box<dyn std::error::Error>> {
    let bytes = memory_bytes(process.id(), RESIDENT).ok_or("no resident memory is told")?;
    Ok(bytes as f64 / 1e6)
}
