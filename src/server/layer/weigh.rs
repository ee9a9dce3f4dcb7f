//! How much memory a message takes once it is decoded, found in its bytes as they arrive.
//!
//! Without that, a message of many small parts would take far more than it seems to: an empty text has two bytes on the wire and
//! takes ten times as many. The types of the messages are those of the descriptors.

use crate::server::message_types::{Field, MessageType};

/// No message is nested as deeply without being refused by the decoder.
const MAX_LEVELS: usize = 128;

/// Weighs one message after the other.
#[derive(Debug, Default)]
pub(super) struct Weigher {
    /// The messages and groups that the next byte is in.
    levels: Vec<Level>,
    /// How many bytes of the outermost message have been read.
    at: u64,
    state: State,
}

#[derive(Debug)]
struct Level {
    /// Where it ends; `None` for a group, which has an end mark.
    end: Option<u64>,
    /// The type of a message with known fields.
    message: Option<&'static MessageType>,
}

#[derive(Debug, Default)]
enum State {
    /// In a number of variable length.
    Number {
        value: u64,
        shift: u32,
        meaning: Meaning,
    },
    /// In bytes that have no structure, or none that matters.
    Bytes { left: u64, weight: usize },
    /// Nothing more is weighed: the message has ended, or the decoder will refuse it, or its type is not known.
    #[default]
    Done,
}

#[derive(Debug, Clone, Copy)]
enum Meaning {
    /// The number and the kind of a field.
    Key,
    /// The value of a field.
    Value,
    /// The length of a field.
    Length(Field),
}

impl State {
    fn number(meaning: Meaning) -> Self {
        Self::Number {
            value: 0,
            shift: 0,
            meaning,
        }
    }
}

impl Weigher {
    /// Begins a message of this type and length; returns the bytes of memory that it takes without its fields.
    pub(super) fn begin(&mut self, message: Option<&'static MessageType>, length: u64) -> usize {
        self.levels.clear();
        self.at = 0;
        let Some(known) = message.filter(|_| length > 0) else {
            self.state = State::Done;
            return message.map_or(0, |known| known.size);
        };
        self.levels.push(Level {
            end: Some(length),
            message,
        });
        self.state = State::number(Meaning::Key);
        known.size
    }

    /// Reads the next bytes of the message; returns the bytes of memory that they will take.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> usize {
        let mut weight: usize = 0;
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Done => break,
                State::Bytes {
                    left,
                    weight: of_each,
                } => {
                    let n =
                        usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                    weight = weight.saturating_add(n.saturating_mul(*of_each));
                    *left -= n as u64;
                    self.at += n as u64;
                    bytes = &bytes[n..];
                    if *left == 0 {
                        self.end_field();
                    }
                }
                State::Number {
                    value,
                    shift,
                    meaning,
                } => {
                    bytes = rest;
                    self.at += 1;
                    *value |= u64::from(first & 0x7f).checked_shl(*shift).unwrap_or(0);
                    *shift += 7;
                    if first < 0x80 {
                        let (value, meaning) = (*value, *meaning);
                        weight = weight.saturating_add(self.number(value, meaning));
                    } else if *shift >= 70 {
                        self.state = State::Done;
                    }
                }
            }
        }
        weight
    }

    fn number(&mut self, value: u64, meaning: Meaning) -> usize {
        match meaning {
            Meaning::Key => self.key(value),
            Meaning::Value => {
                self.end_field();
                0
            }
            Meaning::Length(field) => self.length(value, field),
        }
    }

    fn key(&mut self, key: u64) -> usize {
        let level = self.levels.last();
        let message = level.and_then(|level| level.message);
        let field = message.map_or(Field::default(), |message| message.field(key >> 3));
        match key & 7 {
            0 => self.state = State::number(Meaning::Value),
            1 => self.state = State::Bytes { left: 8, weight: 0 },
            5 => self.state = State::Bytes { left: 4, weight: 0 },
            2 => {
                self.state = State::number(Meaning::Length(field));
                return 0;
            }
            3 => {
                self.push(None, None);
                return 0;
            }
            4 if self.levels.pop().is_some_and(|level| level.end.is_none()) => {
                self.end_field();
                return 0;
            }
            _ => self.state = State::Done,
        }
        field.number
    }

    fn length(&mut self, length: u64, field: Field) -> usize {
        // prost compares a length with what is left of the whole message, and only afterwards with the message around it
        let limit = self.levels.first().and_then(|whole| whole.end);
        let end = self.at.checked_add(length);
        let Some(end) = end.filter(|end| limit.is_some_and(|limit| *end <= limit)) else {
            self.state = State::Done;
            return 0;
        };
        match field.message {
            _ if length == 0 => self.end_field(),
            Some(message) => self.push(Some(end), Some(message)),
            None => {
                self.state = State::Bytes {
                    left: length,
                    weight: field.byte,
                };
            }
        }
        field.each
    }

    fn push(&mut self, end: Option<u64>, message: Option<&'static MessageType>) {
        self.levels.push(Level { end, message });
        self.state = match self.levels.len() <= MAX_LEVELS {
            true => State::number(Meaning::Key),
            false => State::Done,
        };
    }

    fn end_field(&mut self) {
        self.state = State::number(Meaning::Key);
        while let Some(Level { end: Some(end), .. }) = self.levels.last() {
            if self.at < *end {
                return;
            }
            if self.at > *end {
                break;
            }
            self.levels.pop();
        }
        if !matches!(self.levels.last(), Some(Level { end: None, .. })) {
            // all has been read, or a field goes beyond its message
            self.state = State::Done;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;
    use crate::proto::v1::records::Form;
    use crate::proto::v1::typed_column::Values;
    use crate::proto::v1::{
        Columns, Matrix, NumberValues, PredictRequest, Records, TimeValues, TrainRequest,
        TrainingSpec, TypedColumn,
    };
    use crate::proto::{JsonRows, TextValues};
    use crate::server::methods::method;

    const TRAIN: &str = "/anomaly.v1.AnomalyService/Train";
    const PREDICT: &str = "/anomaly.v1.AnomalyService/Predict";

    fn weight(path: &str, message: &[u8], chunk: usize) -> usize {
        let mut weigher = Weigher::default();
        let request = method(path).and_then(|method| method.request);
        let own = weigher.begin(request, message.len() as u64);
        let parts = message.chunks(chunk).map(|part| weigher.feed(part));
        own + parts.sum::<usize>()
    }

    fn records(form: Form) -> PredictRequest {
        let records = Records {
            form: Some(form),
            ..Records::default()
        };
        PredictRequest {
            records: Some(records),
            ..PredictRequest::default()
        }
    }

    /// The weight of a Predict of these records, without the request itself.
    fn of_records(form: Form) -> usize {
        let none = PredictRequest {
            records: Some(Records::default()),
            ..PredictRequest::default()
        };
        let none = weight(PREDICT, &none.encode_to_vec(), 1);
        weight(PREDICT, &records(form).encode_to_vec(), 7) - none
    }

    #[test]
    fn many_small_parts_weigh_what_they_take() {
        const N: usize = 1000;
        let request = TrainRequest {
            spec: Some(TrainingSpec {
                feature_columns: vec![String::new(); N],
                ..TrainingSpec::default()
            }),
            ..TrainRequest::default()
        };
        let message = request.encode_to_vec();
        assert!(message.len() < 4 * N);
        assert!(weight(TRAIN, &message, 5) >= N * size_of::<String>());

        let columns = vec![TypedColumn::default(); N];
        let columns = of_records(Form::Columns(Columns { columns }));
        assert!(columns >= N * size_of::<TypedColumn>(), "{columns}");

        let column = |values| {
            let column = TypedColumn {
                values: Some(values),
                missing_rows: vec![1; N],
                ..TypedColumn::default()
            };
            of_records(Form::Columns(Columns {
                columns: vec![column],
            }))
        };
        let values = vec![prost_types::Timestamp::default(); N];
        let times = column(Values::Times(TimeValues { values }));
        assert!(times >= N * (size_of::<prost_types::Timestamp>() + size_of::<u32>()));
        let numbers = column(Values::Numbers(NumberValues {
            values: vec![1.0; N],
        }));
        assert!(numbers >= N * (size_of::<f64>() + size_of::<u32>()));
        assert!(numbers < 2 * N * (size_of::<f64>() + size_of::<u32>()));
        let texts = column(Values::Texts(TextValues::from_iter(vec![""; N])));
        assert!(texts >= N * 2 * size_of::<u32>());
    }

    #[test]
    fn packed_values_weigh_no_more_than_their_bytes() {
        let values = vec![1.0; 1000];
        let matrix = of_records(Form::Matrix(Matrix {
            values: values.clone(),
            ..Matrix::default()
        }));
        assert!((8000..8200).contains(&matrix), "{matrix}");
        let bytes = of_records(Form::Matrix(Matrix {
            values_f64le: vec![0; 8000].into(),
            ..Matrix::default()
        }));
        assert!(bytes < 200, "they stay in the message: {bytes}");
        let rows = prost_types::ListValue {
            values: vec![prost_types::Value { kind: None }; 1000],
        };
        let rows = of_records(Form::Rows(JsonRows::from(rows)));
        assert!(
            (4000..4200).contains(&rows),
            "with the row in progress: {rows}"
        );
    }

    #[test]
    fn groups_hide_nothing() {
        // an unknown group with a field and a group in it, before 1000 names
        let mut spec = vec![0xe3, 0x03, 0x08, 0x05, 0x13, 0x14, 0xe4, 0x03];
        let names = TrainingSpec {
            feature_columns: vec![String::new(); 1000],
            ..TrainingSpec::default()
        };
        spec.extend(names.encode_to_vec());
        let mut message = vec![0x12];
        prost::encoding::encode_varint(spec.len() as u64, &mut message);
        message.extend(spec);
        let decoded = TrainRequest::decode(&message[..]).expect("valid");
        assert_eq!(decoded.spec.expect("given").feature_columns.len(), 1000);
        assert!(weight(TRAIN, &message, 3) >= 1000 * size_of::<String>());
    }

    #[test]
    fn a_length_beyond_the_message_around_it_hides_nothing() {
        const N: usize = 1000;
        let columns = [0x0a, 0x00].repeat(N);
        let mut request = PredictRequest::default().encode_to_vec();
        let records = records(Form::Columns(Columns::default())).encode_to_vec();
        let [key_of_records, _, key_of_columns, _] = records[..] else {
            panic!("{records:?}")
        };
        // the records say that they end before the length of the columns
        request.extend([key_of_records, 1, key_of_columns]);
        prost::encoding::encode_varint(columns.len() as u64, &mut request);
        request.extend(columns);
        for chunk in [1, 7, request.len()] {
            assert!(weight(PREDICT, &request, chunk) >= N * size_of::<TypedColumn>());
        }
    }

    #[test]
    fn a_message_of_no_known_type_weighs_nothing() {
        assert_eq!(weight("/x.Y/Z", &[0x0a; 100], 9), 0);
        assert!(weight(PREDICT, &[], 1) >= size_of::<PredictRequest>() / 2);
    }

    proptest! {
        #[test]
        fn the_weight_does_not_depend_on_the_cuts(
            bytes in prop::collection::vec(any::<u8>(), 0..300),
            names in prop::collection::vec("[a-z]{0,5}", 0..20),
            chunk in 1usize..20,
        ) {
            for path in [TRAIN, PREDICT] {
                prop_assert_eq!(weight(path, &bytes, chunk), weight(path, &bytes, 1000));
            }
            let request = TrainRequest {
                spec: Some(TrainingSpec { feature_columns: names, ..TrainingSpec::default() }),
                ..TrainRequest::default()
            };
            let message = request.encode_to_vec();
            prop_assert_eq!(weight(TRAIN, &message, chunk), weight(TRAIN, &message, 1000));
        }
    }
}
