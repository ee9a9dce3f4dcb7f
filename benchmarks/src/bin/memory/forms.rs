//! Records of a size, in each form.

use anomalyd::proto::JsonRows;
use anomalyd::proto::v1::records::Form;
use anomalyd::proto::v1::typed_column::Values;
use anomalyd::proto::v1::{Columns, FileContent, Matrix, NumberValues, Records, TypedColumn};
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct, Value};

/// Makes rows of about so many encoded bytes.
pub(crate) type OfSize = fn(usize) -> Records;

/// All forms, by name.
pub(crate) fn forms() -> [(&'static str, OfSize); 8] {
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

/// Records in a form.
pub(crate) fn in_form(form: Form) -> Records {
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
    in_form(Form::Rows(JsonRows::decode(&wire[..]).expect("rows")))
}

/// Small objects, of a number each.
pub(crate) fn objects(n_bytes: usize) -> Records {
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
    let bytes_of_row = csv_of(1000).len().div_ceil(1000);
    in_form(Form::File(FileContent {
        content: csv_of(n_bytes / bytes_of_row).into(),
        ..FileContent::default()
    }))
}

/// A CSV file of so many rows.
pub(crate) fn csv_of(n_rows: usize) -> Vec<u8> {
    let lines = (0..n_rows).map(|row| format!("{:.6},{:.6}\n", number(row), number(row + 1)));
    let header = std::iter::once("a,b\n".to_owned());
    header.chain(lines).collect::<String>().into_bytes()
}
