//! The peak of the server's resident memory: for one large request in each form of rows, for nine in parallel under a budget, and
//! for answers that nobody reads. Needs `cargo build --release` first: it starts the program next to it, a new one for each
//! measurement. Exits with 1 if a peak is above its limit.

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anomalyd::proto::v1::dataset_service_client::DatasetServiceClient;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::upload_dataset_request::Part;
use anomalyd::proto::v1::{
    AnswerOptions, AnswerRows, Columns, FileContent, Matrix, NumberValues, PredictRequest, Records,
    TrainRequest, TypedColumn, UploadDatasetChunk, UploadDatasetEnd, UploadDatasetHeader,
    UploadDatasetRequest,
};
use anomalyd_benchmarks::served::{self, Client};
use anomalyd_benchmarks::{PEAK_RESIDENT, RESIDENT, memory_bytes, normal_rows};
use clap::Parser;
use http_body_util::Full;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};
use sha2::{Digest as _, Sha256};
use tonic::Code;
use tonic::codegen::{Service as _, http};
use tonic::transport::Channel;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// The bytes of a large request, less than the server receives by default.
const REQUEST_BYTES: usize = 65_000_000;

/// The bytes of the rows that the run is trained on.
const TRAINING_BYTES: usize = 100_000;

/// A peak may be as many times the bytes of the only request.
const MOST_OF_ONE: f64 = 4.0;

/// How many large requests are sent at once, and the budget of the server for them.
const N_PARALLEL: usize = 9;
const REQUEST_BUDGET: usize = 512 << 20;

/// A peak may be as many times the budget.
const MOST_OF_BUDGET: f64 = 1.3;

/// How many answers are not read, of how many rows each, and the budget of the server for them.
const N_UNREAD: usize = 84;
const UNREAD_ROWS: usize = 6_000_000;
const ANSWER_BUDGET: usize = 256 << 20;

/// Measures the peak memory of the server.
#[derive(Parser)]
struct Arguments {
    /// Where to write the table.
    #[arg(long)]
    csv: Option<PathBuf>,
    /// Divide the sizes of requests and datasets by this, to try the program.
    #[arg(long, default_value_t = 1)]
    shrink: usize,
}

/// A line of the table: bytes, and a limit of bytes.
struct Line {
    work: String,
    ours: f64,
    peer: f64,
}

/// The release server while it runs.
struct Server {
    process: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(options: &[String]) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let program = std::env::current_exe()?.with_file_name("anomalyd");
        let mut process = Command::new(program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(folder.path())
            .args(options)
            .stderr(Stdio::piped())
            .spawn()?;
        let mut log = BufReader::new(process.stderr.take().ok_or("no log")?).lines();
        let address = log
            .find_map(|line| Some(line.ok()?.split_once("listening on ")?.1.trim().to_owned()))
            .ok_or("the server does not listen")?
            .parse()?;
        // somebody has to read the rest
        std::thread::spawn(move || log.for_each(drop));
        Ok(Self {
            process,
            address,
            _folder: folder,
        })
    }

    fn bytes(&self, kind: &str) -> Outcome<f64> {
        let bytes = memory_bytes(self.process.id(), kind).ok_or("no resident memory is told")?;
        Ok(bytes as f64)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn main() -> Outcome<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let lines = runtime.block_on(measured(arguments.shrink.max(1)))?;
    if let Some(path) = arguments.csv {
        let mut file = File::create(path)?;
        writeln!(file, "work,ours,peer,ratio,wanted")?;
        for Line { work, ours, peer } in &lines {
            writeln!(file, "\"{work}\",{ours},{peer},{},1", peer / ours)?;
        }
    }
    let is_short = lines.iter().any(|line| line.ours > line.peer);
    Ok(ExitCode::from(u8::from(is_short)))
}

async fn measured(shrink: usize) -> Outcome<Vec<Line>> {
    let mut lines = Vec::new();
    let mut note = |work: String, ours: f64, peer: f64| {
        println!(
            "{work}: {:.0} MB, limit {:.0} MB, ratio {:.2}",
            ours / 1e6,
            peer / 1e6,
            peer / ours
        );
        lines.push(Line { work, ours, peer });
    };
    for (form, of_size) in forms() {
        let records = of_size(REQUEST_BYTES / shrink);
        let n_bytes = records.encoded_len() as f64;
        for work in ["Predict", "Train"] {
            let server = Server::start(&[])?;
            let mut client = trained(&server, of_size).await?;
            match work {
                "Train" => train(&mut client, "other", records.clone()).await?,
                _ => predict(&mut client, records.clone()).await?,
            }
            let peak = server.bytes(PEAK_RESIDENT)?;
            let work = format!(
                "{work} of {:.0} MB of {form} / {MOST_OF_ONE}x",
                n_bytes / 1e6
            );
            note(work, peak, MOST_OF_ONE * n_bytes);
        }
    }
    let records = objects(REQUEST_BYTES / shrink);
    let budget = REQUEST_BUDGET / shrink;
    let server = Server::start(&[
        format!("--request-memory-bytes={budget}"),
        format!("--max-message-bytes={}", (64 << 20) / shrink),
    ])?;
    trained(&server, objects).await?;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..N_PARALLEL {
        let (mut client, records) = (served::client(server.address).await, records.clone());
        tasks.spawn(async move { predict_at_last(&mut client, records).await });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let work = format!("{N_PARALLEL} Predicts in parallel / {MOST_OF_BUDGET}x the budget");
    note(
        work,
        server.bytes(PEAK_RESIDENT)?,
        MOST_OF_BUDGET * budget as f64,
    );
    drop(server);

    let (peak, before) = unread(UNREAD_ROWS / shrink).await?;
    let work = format!("{N_UNREAD} answers that nobody reads / {MOST_OF_BUDGET}x the budget");
    note(work, peak - before, MOST_OF_BUDGET * ANSWER_BUDGET as f64);
    Ok(lines)
}

/// Makes rows of about so many encoded bytes.
type OfSize = fn(usize) -> Records;

fn forms() -> [(&'static str, OfSize); 8] {
    [
        ("rows of small objects", objects),
        ("rows of arrays", arrays),
        ("rows of texts", texts_in_rows),
        ("table", table),
        ("matrix", matrix),
        ("matrix as bytes", matrix_as_bytes),
        ("columns of numbers and texts", columns),
        ("CSV file", csv),
    ]
}

fn in_form(form: Form) -> Records {
    Records {
        form: Some(form),
        ..Records::default()
    }
}

fn value(kind: Kind) -> Value {
    Value { kind: Some(kind) }
}

fn number(index: usize) -> f64 {
    // varied, and neither sorted nor alike
    ((index * 7919) % 10_007) as f64 / 7.0
}

/// As many rows as make so many bytes, each made of its index.
fn rows(n_bytes: usize, row: impl Fn(usize) -> Value) -> Records {
    let one = ListValue {
        values: vec![row(0)],
    };
    let n_rows = n_bytes / one.encoded_len();
    // a part at a time: the values of all take many gigabytes
    let mut wire = Vec::new();
    for first in (0..n_rows).step_by(10_000) {
        let values = (first..n_rows.min(first + 10_000)).map(&row).collect();
        ListValue { values }
            .encode(&mut wire)
            .expect("memory has room");
    }
    in_form(Form::Rows(
        anomalyd::proto::JsonRows::decode(&wire[..]).expect("rows"),
    ))
}

fn objects(n_bytes: usize) -> Records {
    rows(n_bytes, |index| {
        let fields = [("a".to_owned(), value(Kind::NumberValue(number(index))))];
        value(Kind::StructValue(Struct {
            fields: fields.into(),
        }))
    })
}

fn arrays(n_bytes: usize) -> Records {
    rows(n_bytes, |index| {
        let values = (0..4).map(|column| value(Kind::NumberValue(number(index + column))));
        value(Kind::ListValue(ListValue {
            values: values.collect(),
        }))
    })
}

fn texts_in_rows(n_bytes: usize) -> Records {
    rows(n_bytes, |index| {
        let shop = format!("shop {}", index % 100);
        let fields = [
            ("amount".to_owned(), value(Kind::NumberValue(number(index)))),
            ("shop".to_owned(), value(Kind::StringValue(shop))),
        ];
        value(Kind::StructValue(Struct {
            fields: fields.into(),
        }))
    })
}

fn table(n_bytes: usize) -> Records {
    let column = |first: usize| {
        let values = (0..n_bytes / 2 / 11).map(|row| value(Kind::NumberValue(number(row + first))));
        value(Kind::ListValue(ListValue {
            values: values.collect(),
        }))
    };
    let fields = ["a", "b"].map(|name| (name.to_owned(), column(name.len())));
    let fields = Struct {
        fields: fields.into(),
    };
    in_form(Form::Table(fields.into()))
}

fn matrix(n_bytes: usize) -> Records {
    in_form(Form::Matrix(Matrix {
        n_columns: 4,
        values: (0..n_bytes / 32 * 4).map(number).collect(),
        ..Matrix::default()
    }))
}

fn matrix_as_bytes(n_bytes: usize) -> Records {
    let values = (0..n_bytes / 32 * 4).map(number);
    let bytes: Vec<u8> = values.flat_map(f64::to_le_bytes).collect();
    in_form(Form::Matrix(Matrix {
        n_columns: 4,
        values_f64le: bytes.into(),
        ..Matrix::default()
    }))
}

fn columns(n_bytes: usize) -> Records {
    let n_rows = n_bytes / 17;
    let named = |name: &str, values| TypedColumn {
        name: name.to_owned(),
        values: Some(values),
        ..TypedColumn::default()
    };
    let amounts = NumberValues {
        values: (0..n_rows).map(number).collect(),
    };
    let shops = (0..n_rows).map(|row| format!("shop {}", row % 100));
    in_form(Form::Columns(Columns {
        columns: vec![
            named("amount", Values::Numbers(amounts)),
            named("shop", Values::Texts(shops.collect())),
        ],
    }))
}

fn csv(n_bytes: usize) -> Records {
    in_form(Form::File(FileContent {
        content: csv_of(n_bytes / 20).into(),
        ..FileContent::default()
    }))
}

fn csv_of(n_rows: usize) -> Vec<u8> {
    let lines = (0..n_rows).map(|row| format!("{:.6},{:.6}\n", number(row), number(row + 1)));
    let header = std::iter::once("a,b\n".to_owned());
    header.chain(lines).collect::<String>().into_bytes()
}

/// A client of a server that has learned some rows of a form.
async fn trained(server: &Server, of_size: OfSize) -> Outcome<Client> {
    let mut client = served::client(server.address).await;
    train(&mut client, served::RUN, of_size(TRAINING_BYTES)).await?;
    Ok(client)
}

async fn train(client: &mut Client, run_id: &str, records: Records) -> Outcome<()> {
    let request = TrainRequest {
        run_id: run_id.to_owned(),
        records: Some(records),
        ..TrainRequest::default()
    };
    client.train(request).await?;
    Ok(())
}

fn request(records: Records, rows: AnswerRows) -> PredictRequest {
    PredictRequest {
        run_id: served::RUN.to_owned(),
        records: Some(records),
        answer: Some(AnswerOptions {
            rows: rows.into(),
            max_bytes: Some(64 << 20),
            ..AnswerOptions::default()
        }),
        ..PredictRequest::default()
    }
}

async fn predict(client: &mut Client, records: Records) -> Outcome<()> {
    client.predict(request(records, AnswerRows::None)).await?;
    Ok(())
}

/// Tries again as long as the server has no room.
async fn predict_at_last(client: &mut Client, records: Records) -> Result<(), tonic::Status> {
    loop {
        let request = request(records.clone(), AnswerRows::None);
        match client.predict(request).await {
            Ok(_) => return Ok(()),
            Err(status) if status.code() == Code::ResourceExhausted => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(status) => return Err(status),
        }
    }
}

/// The peak of a server with many answers that nobody reads, all on one connection, and its memory before.
async fn unread(n_rows: usize) -> Outcome<(f64, f64)> {
    let server = Server::start(&[format!("--answer-memory-bytes={ANSWER_BUDGET}")])?;
    let mut client = served::client(server.address).await;
    let rows = Matrix {
        feature_names: vec!["a".to_owned(), "b".to_owned()],
        values: normal_rows(1000, 2),
        ..Matrix::default()
    };
    train(&mut client, served::RUN, in_form(Form::Matrix(rows))).await?;
    upload(server.address, "large", csv_of(n_rows)).await?;
    let before = server.bytes(RESIDENT)?;

    let channel = Channel::from_shared(format!("http://{}", server.address))?
        .initial_stream_window_size(64 << 10)
        .connect()
        .await?;
    let scores = request(
        in_form(Form::DatasetId("large".to_owned())),
        AnswerRows::All,
    );
    let message = scores.encode_to_vec();
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len())?.to_be_bytes());
    body.extend_from_slice(&message);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..N_UNREAD {
        let (mut channel, body) = (channel.clone(), body.clone());
        let uri = format!(
            "http://{}/anomaly.v1.AnomalyService/Predict",
            server.address
        );
        tasks.spawn(async move {
            let request = http::Request::post(uri)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header("authorization", "Bearer bench")
                .body(tonic::body::Body::new(Full::from(body)))
                .expect("a request");
            std::future::poll_fn(|cx| channel.poll_ready(cx)).await?;
            channel.call(request).await
        });
    }
    let mut unread = Vec::new();
    while let Some(answer) = tasks.join_next().await {
        unread.push(answer??);
    }
    // whatever is still made
    tokio::time::sleep(Duration::from_secs(2)).await;
    let peak = server.bytes(PEAK_RESIDENT)?;
    drop(unread);
    Ok((peak, before))
}

async fn upload(address: SocketAddr, dataset_id: &str, content: Vec<u8>) -> Outcome<()> {
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    let mut datasets =
        DatasetServiceClient::with_interceptor(channel, |mut request: tonic::Request<()>| {
            let token = tonic::metadata::MetadataValue::from_static("Bearer bench");
            request.metadata_mut().insert("authorization", token);
            Ok(request)
        });
    let header = Part::Header(UploadDatasetHeader {
        dataset_id: dataset_id.to_owned(),
        ..UploadDatasetHeader::default()
    });
    let end = Part::End(UploadDatasetEnd {
        sha256: Sha256::digest(&content).to_vec().into(),
        size_bytes: Some(content.len() as u64),
    });
    let chunks: Vec<Part> = content
        .chunks(1 << 20)
        .enumerate()
        .map(|(index, data)| {
            Part::Chunk(UploadDatasetChunk {
                offset: (index << 20) as u64,
                data: data.to_vec().into(),
            })
        })
        .collect();
    let parts = std::iter::once(header).chain(chunks).chain([end]);
    let messages: Vec<_> = parts
        .map(|part| UploadDatasetRequest { part: Some(part) })
        .collect();
    datasets
        .upload_dataset(tokio_stream::iter(messages))
        .await?;
    Ok(())
}
