//! Compiles the protos with protox (no `protoc` needed) and writes their descriptor set for reflection.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use prost::Message as _;

const PROTO_ROOT: &str = "proto";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // protox reads the files itself, so cargo has to be told what to watch
    println!("cargo:rerun-if-changed={PROTO_ROOT}");
    let mut files = Vec::new();
    collect_protos(Path::new(PROTO_ROOT), &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [PROTO_ROOT])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    // byte fields share the buffer that the message arrived in, and messages of many values are packed
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::proto::codec::MessageCodec")
        .extern_path(".google.protobuf.ListValue", "crate::proto::JsonRows")
        .extern_path(".google.protobuf.Struct", "crate::proto::JsonTable")
        .extern_path(".anomaly.v1.TextValues", "crate::proto::TextValues")
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect_protos(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_protos(&path, files)?;
        } else if path.extension().is_some_and(|e| e == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
