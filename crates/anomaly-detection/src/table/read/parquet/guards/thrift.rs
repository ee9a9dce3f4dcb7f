//! Thrift's compact protocol, as far as the metadata of Parquet needs it.
//!
//! Readers differ in how they handle a field of an unexpected type. Metadata that passes this check has the expected types, and
//! takes a reader no more steps than it has bytes.

/// The type of a field.
#[derive(Debug)]
pub(super) enum Type {
    Bool,
    Byte,
    /// An integer of any width; all are encoded in the same way.
    Int,
    Double,
    /// Bytes or a text.
    Binary,
    List(&'static Type),
    /// Fields by their numbers.
    Struct(&'static [(i16, Type)]),
}

/// The codes of types.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

/// The deepest nesting of structs and lists.
const MAX_DEPTH: usize = 16;

/// Why bytes cannot be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// They end too early.
    Ended,
    Damaged,
}

pub(super) type Read<T> = std::result::Result<T, Unread>;

/// Bytes that are being read.
#[derive(Debug)]
pub(super) struct Thrift<'a> {
    bytes: &'a [u8],
    /// How many have been read.
    pub(super) at: usize,
}

impl<'a> Thrift<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Reads a struct and checks that known fields have their types, each at most once and in ascending order, and that unknown
    /// fields are complete.
    pub(super) fn check(&mut self, fields: &'static [(i16, Type)]) -> Read<()> {
        self.check_struct(Some(fields), 0)
    }

    fn check_struct(&mut self, fields: Option<&'static [(i16, Type)]>, depth: usize) -> Read<()> {
        let mut number = 0;
        loop {
            let before = number;
            let Some(code) = self.field(&mut number)? else {
                return Ok(());
            };
            if fields.is_some() && number <= before {
                return Err(Unread::Damaged);
            }
            let known = fields.and_then(|fields| fields.iter().find(|field| field.0 == number));
            self.check_value(code, known.map(|field| &field.1), depth + 1)?;
        }
    }

    fn check_value(&mut self, code: u8, known: Option<&'static Type>, depth: usize) -> Read<()> {
        if depth > MAX_DEPTH {
            return Err(Unread::Damaged);
        }
        match (code, known) {
            (TRUE | FALSE, None | Some(Type::Bool)) => Ok(()),
            (BYTE, None | Some(Type::Byte)) => self.skip_bytes(1),
            (I16..=I64, None | Some(Type::Int)) => self.varint().map(drop),
            (DOUBLE, None | Some(Type::Double)) => self.skip_bytes(8),
            (BINARY, None | Some(Type::Binary)) => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            (LIST, Some(Type::List(of))) => self.check_list(Some(of), depth),
            (LIST | SET, None) => self.check_list(None, depth),
            (STRUCT, None) => self.check_struct(None, depth),
            (STRUCT, Some(Type::Struct(fields))) => self.check_struct(Some(fields), depth),
            // metadata has no maps
            _ => Err(Unread::Damaged),
        }
    }

    fn check_list(&mut self, of: Option<&'static Type>, depth: usize) -> Read<()> {
        let (n, code) = self.list()?;
        // each member of a list must take bytes; those of booleans may not, but metadata has no lists of booleans
        if n > 0 && matches!(code, TRUE | FALSE) {
            return Err(Unread::Damaged);
        }
        for _ in 0..n {
            self.check_value(code, of, depth + 1)?;
        }
        Ok(())
    }

    /// The number of members of a list, and the code of their type.
    pub(super) fn list(&mut self) -> Read<(u64, u8)> {
        let header = self.byte()?;
        let n = match header >> 4 {
            15 => self.varint()?,
            n => u64::from(n),
        };
        Ok((n, header & 0x0f))
    }

    /// The type code of the next field of a struct, whose number is written to `number`; `None` at the end of the struct.
    pub(super) fn field(&mut self, number: &mut i16) -> Read<Option<u8>> {
        let byte = self.byte()?;
        let code = byte & 0x0f;
        if code == 0 {
            return Ok(None);
        }
        *number = match byte >> 4 {
            0 => self.zigzag()? as i16,
            delta => number
                .checked_add(i16::from(delta))
                .ok_or(Unread::Damaged)?,
        };
        Ok(Some(code))
    }

    /// Skips a value of the type with this code.
    pub(super) fn skip(&mut self, code: u8) -> Read<()> {
        self.check_value(code, None, 0)
    }

    fn skip_bytes(&mut self, n: u64) -> Read<()> {
        let left = self.bytes.len() - self.at;
        let n = usize::try_from(n).unwrap_or(usize::MAX);
        if n > left {
            return Err(Unread::Ended);
        }
        self.at += n;
        Ok(())
    }

    fn byte(&mut self) -> Read<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Unread::Ended)?;
        self.at += 1;
        Ok(byte)
    }

    fn varint(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Unread::Damaged)
    }

    pub(super) fn zigzag(&mut self) -> Read<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[(i16, Type)] = &[
        (1, Type::Int),
        (2, Type::List(&Type::Binary)),
        (4, Type::Struct(&[(1, Type::Bool)])),
    ];

    #[test]
    fn the_types_of_known_fields_are_checked() {
        let sound: [&[u8]; 6] = [
            &[0],
            &[0x15, 8, 0],
            &[0x15, 8, 0x19, 0x28, 1, b'x', 0, 0],
            &[0x4c, 0x11, 0, 0],
            // field 3 is not known: a struct, a list of integers, a double
            &[0x3c, 0x15, 2, 0x19, 0x25, 1, 2, 0, 0],
            &[0x37, 1, 2, 3, 4, 5, 6, 7, 8, 0],
        ];
        for bytes in sound {
            let mut thrift = Thrift::new(bytes);
            assert!(thrift.check(FIELDS).is_ok(), "{bytes:?}");
            assert_eq!(thrift.at, bytes.len(), "{bytes:?}");
            for n in 0..bytes.len() {
                let cut = Thrift::new(&bytes[..n]).check(FIELDS);
                assert!(matches!(cut, Err(Unread::Ended)), "{bytes:?} cut at {n}");
            }
        }
        let damaged: [&[u8]; 7] = [
            // another type
            &[0x18, 1, b'x', 0],
            &[0x29, 0x15, 2, 0],
            // twice, by its number
            &[0x15, 8, 5, 2, 8, 0],
            // lists of booleans, in a known field and in an unknown one
            &[0x29, 0x11, 0],
            &[0x39, 0x12, 0],
            // a map
            &[0x3b, 1, 0x11, 0],
            // a number without end
            &[
                0x15, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0,
            ],
        ];
        for bytes in damaged {
            let read = Thrift::new(bytes).check(FIELDS);
            assert!(matches!(read, Err(Unread::Damaged)), "{bytes:?}");
        }
    }
}
