//! The footer of a Parquet file: which fields its structs have, from `parquet.thrift` of the Parquet format 2.12, and a check
//! that they hold what they should.

use super::limits::GuardLimits;
use super::thrift::Type::{Binary, Bool, Byte, Double, Int, List, Struct};
use super::thrift::{Read, Thrift, Type, Unread};
use crate::error::Result;
use crate::table::invalid;
use crate::table::read::source::Source;

type Fields = &'static [(i16, Type)];

/// The header of a page.
pub(super) const PAGE_HEADER: Fields = &[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Int),
    (
        5,
        Struct(&[
            (1, Int),
            (2, Int),
            (3, Int),
            (4, Int),
            (5, Struct(STATISTICS)),
        ]),
    ),
    (6, EMPTY),
    (7, Struct(&[(1, Int), (2, Int), (3, Bool)])),
    (
        8,
        Struct(&[
            (1, Int),
            (2, Int),
            (3, Int),
            (4, Int),
            (5, Int),
            (6, Int),
            (7, Bool),
            (8, Struct(STATISTICS)),
        ]),
    ),
];

const FILE: Fields = &[
    (1, Int),
    (2, List(&Struct(SCHEMA_ELEMENT))),
    (3, Int),
    (4, List(&Struct(ROW_GROUP))),
    (5, List(&Struct(KEY_VALUE))),
    (6, Binary),
    (7, List(&Struct(&[(1, EMPTY), (2, EMPTY)]))),
    (8, Struct(&[(1, Struct(CIPHER)), (2, Struct(CIPHER))])),
    (9, Binary),
];

const EMPTY: Type = Struct(&[]);

const CIPHER: Fields = &[(1, Binary), (2, Binary), (3, Bool)];

const KEY_VALUE: Fields = &[(1, Binary), (2, Binary)];

const SCHEMA_ELEMENT: Fields = &[
    (1, Int),
    (2, Int),
    (3, Int),
    (4, Binary),
    (5, Int),
    (6, Int),
    (7, Int),
    (8, Int),
    (9, Int),
    (10, Struct(LOGICAL_TYPE)),
];

const LOGICAL_TYPE: Fields = &[
    (1, EMPTY),
    (2, EMPTY),
    (3, EMPTY),
    (4, EMPTY),
    (5, Struct(&[(1, Int), (2, Int)])),
    (6, EMPTY),
    (7, Struct(TIME)),
    (8, Struct(TIME)),
    (10, Struct(&[(1, Byte), (2, Bool)])),
    (11, EMPTY),
    (12, EMPTY),
    (13, EMPTY),
    (14, EMPTY),
    (15, EMPTY),
    (16, Struct(&[(1, Byte)])),
    (17, Struct(&[(1, Binary)])),
    (18, Struct(&[(1, Binary), (2, Int)])),
];

const TIME: Fields = &[
    (1, Bool),
    (2, Struct(&[(1, EMPTY), (2, EMPTY), (3, EMPTY)])),
];

const ROW_GROUP: Fields = &[
    (1, List(&Struct(COLUMN_CHUNK))),
    (2, Int),
    (3, Int),
    (4, List(&Struct(&[(1, Int), (2, Bool), (3, Bool)]))),
    (5, Int),
    (6, Int),
    (7, Int),
];

const COLUMN_CHUNK: Fields = &[
    (1, Binary),
    (2, Int),
    (3, Struct(COLUMN)),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (
        8,
        Struct(&[(1, EMPTY), (2, Struct(&[(1, List(&Binary)), (2, Binary)]))]),
    ),
    (9, Binary),
];

const COLUMN: Fields = &[
    (1, Int),
    (2, List(&Int)),
    (3, List(&Binary)),
    (4, Int),
    (5, Int),
    (6, Int),
    (7, Int),
    (8, List(&Struct(KEY_VALUE))),
    (9, Int),
    (10, Int),
    (11, Int),
    (12, Struct(STATISTICS)),
    (13, List(&Struct(&[(1, Int), (2, Int), (3, Int)]))),
    (14, Int),
    (15, Int),
    (16, Struct(&[(1, Int), (2, List(&Int)), (3, List(&Int))])),
    (17, Struct(&[(1, Struct(BOUNDING_BOX)), (2, List(&Int))])),
];

const STATISTICS: Fields = &[
    (1, Binary),
    (2, Binary),
    (3, Int),
    (4, Int),
    (5, Binary),
    (6, Binary),
    (7, Bool),
    (8, Bool),
    (9, Int),
];

const BOUNDING_BOX: Fields = &[
    (1, Double),
    (2, Double),
    (3, Double),
    (4, Double),
    (5, Double),
    (6, Double),
    (7, Double),
    (8, Double),
];

/// Checks the footer of a file. If there is none, that is left to the library.
pub(in crate::table::read::parquet) fn check(source: &Source, limits: GuardLimits) -> Result<()> {
    /// The length of the footer and the magic.
    const TAIL_BYTES: u64 = 8;
    let Some(start) = source.len().checked_sub(TAIL_BYTES) else {
        return Ok(());
    };
    let Ok(tail) = source.bytes(start, TAIL_BYTES as usize) else {
        return Ok(());
    };
    let length = u64::from(u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]));
    let Some(start) = start.checked_sub(length) else {
        return Ok(());
    };
    if length > limits.footer_bytes {
        return Err(invalid(format!(
            "the footer has {length} bytes; at most {} can be read",
            limits.footer_bytes
        )));
    }
    match source.bytes(start, length as usize) {
        Ok(footer) if &tail[4..] == b"PAR1" => check_fields(&footer, limits).map_err(|_| {
            invalid("the file is no valid Parquet: its metadata is damaged, or nested too deeply")
        }),
        _ => Ok(()),
    }
}

fn check_fields(footer: &[u8], limits: GuardLimits) -> Read<()> {
    Thrift::new(footer).check(FILE)?;
    let mut thrift = Thrift::new(footer);
    let mut field = 0;
    while let Some(code) = thrift.field(&mut field)? {
        match field {
            2 => check_tree(&children_of_schema(&mut thrift)?, limits.groups)?,
            _ => thrift.skip(code)?,
        }
    }
    Ok(())
}

/// How many children each element of a schema claims.
fn children_of_schema(thrift: &mut Thrift<'_>) -> Read<Vec<i32>> {
    let (n, _) = thrift.list()?;
    (0..n).map(|_| children_of_element(thrift)).collect()
}

fn children_of_element(thrift: &mut Thrift<'_>) -> Read<i32> {
    let (mut n_children, mut field) = (0, 0);
    while let Some(code) = thrift.field(&mut field)? {
        match field {
            5 => n_children = thrift.zigzag()? as i32,
            _ => thrift.skip(code)?,
        }
    }
    Ok(n_children)
}

/// Checks that no element has more children than there are elements, and that groups are nested at most `max_groups` deep. Each
/// group comes before its children.
fn check_tree(n_children: &[i32], max_groups: usize) -> Read<()> {
    // the number of children still to come for each open group
    let mut open: Vec<i32> = Vec::new();
    for &n in n_children {
        if n > 0 {
            if n as usize > n_children.len() || open.len() >= max_groups {
                return Err(Unread::Damaged);
            }
            open.push(n);
            continue;
        }
        while let Some(left) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            open.pop();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_as_many_children_as_can_be_there_and_end_in_time() {
        for sound in [&[0][..], &[2, 0, 0], &[2, 1, 0, 0], &[1, 1, 1, 0]] {
            assert!(check_tree(sound, 3).is_ok(), "{sound:?}");
        }
        for wrong in [&[2][..], &[4, 0, 0], &[1, 1, 1, 1, 0]] {
            assert!(check_tree(wrong, 3).is_err(), "{wrong:?}");
        }
        // after a group has ended, the next one is no deeper
        assert!(check_tree(&[3, 1, 0, 1, 0, 0], 2).is_ok());
    }
}
