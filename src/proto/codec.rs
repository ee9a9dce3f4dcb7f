//! The codec of the generated services: prost's, which holds up nobody else with a large message.

use std::marker::PhantomData;

use prost::Message;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic_prost::{ProstDecoder, ProstEncoder};

/// Messages from this size on, in bytes, can take milliseconds, and larger ones seconds: JSON-like values are small and many.
const LARGE: usize = 256 << 10;

/// How much a buffer for encoded messages grows by, as it does by default.
const BUFFER_BYTES: usize = 8 << 10;

/// From how many encoded bytes on they are handed on before the next message is asked for. Shorter messages that are there already
/// are joined: clients that are slow to read bear a few small frames only (h2 ends the connection).
const HANDED_ON_BYTES: usize = 1 << 10;

/// Encodes messages of one type and decodes those of another.
#[derive(Debug)]
pub(crate) struct MessageCodec<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for MessageCodec<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for MessageCodec<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = Aside<ProstEncoder<T>>;
    type Decoder = Aside<ProstDecoder<U>>;

    fn encoder(&mut self) -> Self::Encoder {
        Aside(ProstEncoder::default())
    }

    fn decoder(&mut self) -> Self::Decoder {
        Aside(ProstDecoder::default())
    }
}

/// Lets another thread take over the other tasks of this one during a large message.
#[derive(Debug)]
pub(crate) struct Aside<C>(C);

impl<T: Message> Encoder for Aside<ProstEncoder<T>> {
    type Item = T;
    type Error = Status;

    fn encode(&mut self, message: T, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        let size = message.encoded_len();
        aside(size, || self.0.encode(message, buffer))
    }

    fn buffer_settings(&self) -> BufferSettings {
        // once the next message is asked for, the memory of this one does not count any more
        BufferSettings::new(BUFFER_BYTES, HANDED_ON_BYTES)
    }
}

impl<U: Message + Default> Decoder for Aside<ProstDecoder<U>> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        let size = bytes::Buf::remaining(buffer);
        aside(size, || self.0.decode(buffer))
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// Does work on this many bytes. On large ones other work of the thread goes to other threads meanwhile.
pub(crate) fn aside<T>(size: usize, work: impl FnOnce() -> T) -> T {
    let has_other_threads = |handle: Handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread;
    match size >= LARGE && Handle::try_current().is_ok_and(has_other_threads) {
        true => block_in_place(work),
        false => work(),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use futures_util::{StreamExt as _, stream};
    use http_body::Body as _;
    use tonic::codec::EncodeBody;

    use super::*;

    /// How many messages of a length are asked for before the first frame.
    fn n_asked(length: usize) -> usize {
        let mut codec = MessageCodec::<String, String>::default();
        let mut n_asked = 0;
        let pages = stream::repeat("x".repeat(length)).map(|page| {
            n_asked += 1;
            Ok(page)
        });
        let mut body = pin!(EncodeBody::new_server(
            codec.encoder(),
            pages,
            None,
            Default::default(),
            None
        ));
        let frame = body
            .as_mut()
            .poll_frame(&mut Context::from_waker(Waker::noop()));
        let Poll::Ready(Some(Ok(frame))) = frame else {
            panic!("no frame");
        };
        assert!(frame.is_data());
        n_asked
    }

    #[test]
    fn a_message_is_handed_on_before_the_next_one_is_asked_for_unless_it_is_short() {
        assert_eq!(n_asked(HANDED_ON_BYTES), 1);
        let in_all = n_asked(20);
        assert!(
            (HANDED_ON_BYTES / 40..=HANDED_ON_BYTES / 20).contains(&in_all),
            "{in_all}"
        );
    }
}
