//! The resident memory of the idle server, before and after a training, and the size of its model. Needs
//! `cargo build --release` first: it starts the program next to it.

use anomalyd_benchmarks::{RESIDENT, ReleaseServer, served};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = ReleaseServer::start(&[])?;
    println!("idle: {:.1} MB resident", resident_megabytes(&server)?);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let model = runtime
        .block_on(async { served::train(&mut served::client(server.address()).await).await });
    println!(
        "idle, after a training: {:.1} MB resident",
        resident_megabytes(&server)?
    );
    println!(
        "model of 100 trees on 10 features: {} bytes",
        model.size_bytes
    );
    Ok(())
}

fn resident_megabytes(server: &ReleaseServer) -> Result<f64, Box<dyn std::error::Error>> {
    Ok(server.memory_bytes(RESIDENT)? / 1e6)
}
