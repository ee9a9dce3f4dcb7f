//! Clients that send their next request when the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anomalyd::proto::v1::{PredictRequest, PredictResponse, TrainRequest, TrainResponse};
use anomalyd_benchmarks::served::{self, Connection};
use prost::Message;
use prost::bytes::{BufMut as _, Bytes};
use tokio::task::JoinSet;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status};
use tonic_prost::ProstDecoder;

/// How long a client waits after it was refused, as it is told to.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// How many clients share a connection.
const CLIENTS_PER_CONNECTION: usize = 16;

/// A request, encoded once: the client takes as little of the machine as it can.
#[derive(Clone)]
pub(crate) struct Encoded {
    method: &'static str,
    message: Bytes,
}

impl From<&PredictRequest> for Encoded {
    fn from(request: &PredictRequest) -> Self {
        Self {
            method: "/anomaly.v1.AnomalyService/Predict",
            message: request.encode_to_vec().into(),
        }
    }
}

impl From<&TrainRequest> for Encoded {
    fn from(request: &TrainRequest) -> Self {
        Self {
            method: "/anomaly.v1.AnomalyService/Train",
            message: request.encode_to_vec().into(),
        }
    }
}

/// What clients have seen, in seconds.
#[derive(Default)]
pub(crate) struct Seen {
    /// How long each answer took.
    pub(crate) answers: Vec<f64>,
    /// How long each refusal for overload took.
    pub(crate) refusals: Vec<f64>,
    /// How long it all took.
    pub(crate) seconds: f64,
}

impl Seen {
    /// Answers a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers.len() as f64 / self.seconds
    }
}

/// This quantile of some numbers.
pub(crate) fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// Sends a request as one owner until the answer comes.
pub(crate) async fn ask(connection: &Connection, request: &Encoded) -> Result<(), Status> {
    let mut grpc = tonic::client::Grpc::new(connection.clone());
    grpc.ready()
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static(request.method);
    let message = Request::new(request.message.clone());
    // both answers are decoded as what they are, so that the client does what clients do
    match request.method.ends_with("Train") {
        true => grpc
            .unary(message, path, Raw::<TrainResponse>::default())
            .await
            .map(drop),
        false => grpc
            .unary(message, path, Raw::<PredictResponse>::default())
            .await
            .map(drop),
    }
}

/// Lets clients of one owner each send a request again and again for some time.
pub(crate) async fn run(
    address: SocketAddr,
    token: &str,
    requests: Vec<Encoded>,
    time: Duration,
) -> Seen {
    let mut clients = JoinSet::new();
    let mut connections = Vec::new();
    for _ in 0..requests.len().div_ceil(CLIENTS_PER_CONNECTION) {
        connections.push(served::connection(address, token).await);
    }
    let start = Instant::now();
    for (index, request) in requests.into_iter().enumerate() {
        let connection = connections[index % connections.len()].clone();
        clients.spawn(async move {
            let mut seen = Seen::default();
            while start.elapsed() < time {
                let asked = Instant::now();
                let answer = ask(&connection, &request).await;
                let took = asked.elapsed().as_secs_f64();
                match answer {
                    Ok(()) => seen.answers.push(took),
                    Err(status) if status.code() == Code::ResourceExhausted => {
                        seen.refusals.push(took);
                        tokio::time::sleep(RETRY_DELAY).await;
                    }
                    Err(status) => panic!("{status:?}"),
                }
            }
            seen
        });
    }
    let mut all = Seen::default();
    while let Some(seen) = clients.join_next().await {
        let seen = seen.expect("a client panicked");
        all.answers.extend(seen.answers);
        all.refusals.extend(seen.refusals);
    }
    all.seconds = start.elapsed().as_secs_f64();
    all
}

/// Clients that send the same request until they are dropped.
pub(crate) struct Background(Option<JoinSet<()>>);

impl Background {
    /// Starts some clients of one owner, and waits until the server has had time to begin.
    pub(crate) async fn start(
        address: SocketAddr,
        token: &str,
        n: usize,
        request: Arc<Encoded>,
    ) -> Self {
        let mut clients = JoinSet::new();
        for _ in 0..n {
            let connection = served::connection(address, token).await;
            let request = Arc::clone(&request);
            clients.spawn(async move {
                loop {
                    match ask(&connection, &request).await {
                        Err(status) if status.code() == Code::ResourceExhausted => {
                            tokio::time::sleep(RETRY_DELAY).await;
                        }
                        answer => answer.expect("it is answered"),
                    }
                }
            });
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        Self(Some(clients))
    }

    /// Stops them, and waits until the server has noticed.
    pub(crate) async fn stop(mut self) {
        if let Some(mut clients) = self.0.take() {
            // one that has panicked has not kept the server busy
            while let Some(ended) = clients.try_join_next() {
                ended.expect("a client panicked");
            }
            clients.shutdown().await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Sends bytes as they are, and decodes the answer.
struct Raw<T>(std::marker::PhantomData<T>);

impl<T> Default for Raw<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T: Message + Default + Send + 'static> Codec for Raw<T> {
    type Encode = Bytes;
    type Decode = T;
    type Encoder = RawEncoder;
    type Decoder = ProstDecoder<T>;

    fn encoder(&mut self) -> RawEncoder {
        RawEncoder
    }

    fn decoder(&mut self) -> ProstDecoder<T> {
        ProstDecoder::default()
    }
}

struct RawEncoder;

impl Encoder for RawEncoder {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}
