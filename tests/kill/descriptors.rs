//! Connections do not take the file descriptors that writes need.

use std::io::Write as _;
use std::net::TcpStream;

use crate::kill::load;
use crate::kill::process::{self, Process};

/// What a client of HTTP/2 begins with: the preface, and a frame of settings without any.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn writes_go_on_among_more_idle_connections_than_the_process_may_have_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Process::spawn_after("ulimit -n 128", folder.path());
    let limited = server.logged("at most ");
    assert!(limited.starts_with("64 connections"), "{limited}");
    let address = server.address();

    let mut writers = Vec::new();
    for run in ["first", "second"] {
        let mut client = process::client(address, "alice").await;
        // a connection that was never used would be the first to make room
        load::train(&mut client, run, 0).await.expect("trains");
        writers.push(tokio::spawn(async move {
            for seed in 1..30 {
                load::train(&mut client, run, seed).await.expect("trains");
            }
        }));
    }
    let idle: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut socket = TcpStream::connect(address).expect("connects");
            if number % 2 == 0 {
                // it may have been closed already
                socket.write_all(BEGINNING).ok();
            }
            socket
        })
        .collect();
    for writer in writers {
        writer.await.expect("every write succeeds");
    }
    // who comes later gets in, too
    let mut late = process::client(address, "bob").await;
    load::train(&mut late, "third", 1).await.expect("trains");
    drop(idle);
    let status = server.terminate();
    assert!(status.success(), "{status}: {}", server.rest_of_log());
}
