//! Random cells, rows, tables and files.

use prost_types::value::Kind as Json;
use prost_types::{ListValue, Struct, Timestamp};
use rand::RngExt as _;

use super::messages::{Generator, MOST_DEPTH};

const FILES: [&str; 7] = [
    "x,y\n1,2\n3,4\n5,6.5\n7,8\n",
    "x,y,shop\n1,2,bar\n3,,kiosk\n",
    "x;y\n1,5;2\n",
    "x,y\n1,\"2\n",
    "{\"x\": 1, \"y\": 2}\n{\"x\": 3, \"y\": null}\n",
    "[{\"x\": 1, \"y\": 2}, {\"x\": 3}]",
    "PAR1PAR1",
];

impl Generator {
    pub(super) fn number(&mut self) -> f64 {
        if let Some((_, number)) = self.planted
            && self.chance(0.3)
        {
            return number;
        }
        match self.below(20) {
            0..=10 => self.rng.random_range(-3.0..3.0),
            11..=14 => self.rng.random_range(0.0..0.5),
            15..=17 => self.one_of(&[0.0, 1.0, 2.0, 5.0, 10.0, -1.0]),
            18 => self.one_of(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            _ => self.one_of(&[1e300, -1e300, f64::MAX, f64::MIN_POSITIVE, 5e-324, -0.0]),
        }
    }

    pub(super) fn cell_text(&mut self) -> String {
        let planted = self.planted;
        match planted {
            Some((text, _)) if self.chance(0.7) => text.to_owned(),
            _ => self
                .one_of(&["bar", "kiosk", "bank", "a", "2024-05-01T10:00:00Z"])
                .to_owned(),
        }
    }

    pub(super) fn file(&mut self) -> Vec<u8> {
        let mut file = self.one_of(&FILES).to_owned();
        if let Some((text, number)) = self.planted {
            file = match self.below(3) {
                0 => format!("x,y\n1,{text}\n{number},2\n"),
                1 => format!("x,y\n{number},2\n3,4\n1,{text}\n"),
                _ => format!("{{\"x\": \"{text}\", \"y\": {number}}}\n{{\"x\": 1}}\n"),
            };
        }
        file.into_bytes()
    }

    pub(super) fn time(&mut self) -> Timestamp {
        Timestamp {
            seconds: match self.chance(0.9) {
                true => self.rng.random_range(0..2_000_000_000),
                false => self.integer() as i64,
            },
            nanos: match self.chance(0.9) {
                true => self.rng.random_range(0..1_000_000_000),
                false => self.integer() as i32,
            },
        }
    }

    /// Rows as objects or arrays, some of them odd.
    pub(super) fn rows(&mut self) -> ListValue {
        let n_rows = self.below(30);
        let by_name = self.chance(0.85);
        let with_text = self.chance(0.3);
        let is_odd = self.chance(0.15);
        let mut values = Vec::new();
        for _ in 0..n_rows {
            if is_odd && self.chance(0.2) {
                values.push(self.json(0));
                continue;
            }
            let mut cells = vec![("x", number(self.number())), ("y", number(self.number()))];
            if with_text {
                cells.push(("shop", text(self.cell_text())));
            }
            values.push(match by_name {
                true => object(cells),
                false => list(cells.into_iter().map(|(_, cell)| cell).collect()),
            });
        }
        ListValue { values }
    }

    pub(super) fn table(&mut self) -> Struct {
        let n_rows = self.below(20);
        let columns = ["x", "y"].map(|name| {
            let n_rows = if self.chance(0.95) {
                n_rows
            } else {
                self.below(9)
            };
            let cells = (0..n_rows).map(|_| match self.chance(0.97) {
                true => number(self.number()),
                false => self.json(0),
            });
            (name, list(cells.collect()))
        });
        match object(columns.to_vec()).kind {
            Some(Json::StructValue(table)) => table,
            _ => Struct::default(),
        }
    }

    pub(super) fn json(&mut self, depth: usize) -> prost_types::Value {
        match self.below(8) {
            0 => prost_types::Value {
                kind: Some(Json::NullValue(0)),
            },
            1 => prost_types::Value {
                kind: Some(Json::BoolValue(true)),
            },
            2 | 3 => number(self.number()),
            4 => text(self.cell_text()),
            5 => prost_types::Value { kind: None },
            _ if depth >= MOST_DEPTH => number(1.0),
            6 => list((0..self.below(3)).map(|_| self.json(depth + 1)).collect()),
            _ => {
                let inner = self.json(depth + 1);
                object(vec![("x", inner)])
            }
        }
    }
}

fn number(number: f64) -> prost_types::Value {
    prost_types::Value {
        kind: Some(Json::NumberValue(number)),
    }
}

fn text(text: String) -> prost_types::Value {
    prost_types::Value {
        kind: Some(Json::StringValue(text)),
    }
}

fn list(values: Vec<prost_types::Value>) -> prost_types::Value {
    prost_types::Value {
        kind: Some(Json::ListValue(ListValue { values })),
    }
}

fn object(fields: Vec<(&str, prost_types::Value)>) -> prost_types::Value {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value));
    prost_types::Value {
        kind: Some(Json::StructValue(Struct {
            fields: fields.collect(),
        })),
    }
}
