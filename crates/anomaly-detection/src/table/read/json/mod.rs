//! JSON: one array of objects, or one object a line.

use super::cells::Kind;
use super::summary::FileSummary;
use super::text_file::{Assembly, Chunk, Cut, Purpose, TextFormat, read_window};
use super::{MAX_COLUMNS, changed};
use crate::error::Result;
use crate::table::{AbsentCell, Column, Table, invalid};

mod block;
mod keys;
mod layout;
mod split;

use self::block::Block;
use self::keys::Keys;
pub(super) use self::layout::Layout;
use self::split::Splitter;

/// Reads a whole file.
pub(super) fn read(content: &[u8], layout: Layout) -> Result<Table> {
    let mut file = JsonFile::new(layout, Purpose::Keep, None);
    read_window(&mut file, content, true)?;
    if file.assembly.n_rows() == 0 {
        return Err(invalid("the records have no rows"));
    }
    let (names, absent, order) = file.columns();
    let mut columns: Vec<Option<Column>> = file.take().into_iter().map(Some).collect();
    let columns = order.iter().filter_map(|&id| columns[id].take()).collect();
    Ok(Table::from_columns(Some(names), columns)?.with_absent(absent))
}

/// A JSON file as far as it has been read.
pub(super) struct JsonFile {
    splitter: Splitter,
    keys: Keys,
    assembly: Assembly,
    /// The first row that did not mention a key.
    first_absent: Vec<Option<u64>>,
    /// Whether the keys are those of a scan, so that there must be no other.
    is_known: bool,
}

impl JsonFile {
    /// A file of which nothing is read yet; `known` is what a scan has found.
    pub(super) fn new(layout: Layout, purpose: Purpose, known: Option<&FileSummary>) -> Self {
        let mut file = Self {
            splitter: Splitter::new(layout),
            keys: Keys::default(),
            assembly: Assembly::new(purpose),
            first_absent: Vec::new(),
            is_known: known.is_some(),
        };
        for column in known.into_iter().flat_map(FileSummary::columns) {
            file.add_key(column.name.clone(), Kind::of(column.column_type));
        }
        file
    }

    pub(super) fn assembly(&self) -> &Assembly {
        &self.assembly
    }

    /// The names sorted by bytes, the first cell of each column that was absent in the order of the rows, and for each
    /// name the place of its column in what [`take`](Self::take) gives.
    pub(super) fn columns(&self) -> (Vec<String>, Vec<AbsentCell>, Vec<usize>) {
        let mut order: Vec<usize> = (0..self.keys.names.len()).collect();
        order.sort_unstable_by(|&a, &b| self.keys.names[a].cmp(&self.keys.names[b]));
        let names = order
            .iter()
            .map(|&id| self.keys.names[id].clone())
            .collect();
        let cells = order.iter().enumerate();
        let mut absent: Vec<AbsentCell> = cells
            .filter_map(|(column, &id)| {
                let row = self.first_absent[id]? as usize;
                Some(AbsentCell { row, column })
            })
            .collect();
        absent.sort_unstable_by_key(|cell| (cell.row, cell.column));
        (names, absent, order)
    }

    /// The rows read since the last call, in the order in which keys were met.
    pub(super) fn take(&mut self) -> Vec<Column> {
        self.assembly.take()
    }

    fn add_key(&mut self, name: String, kind: Kind) -> usize {
        let id = self.keys.names.len();
        self.first_absent
            .push((self.assembly.n_rows() > 0).then_some(0));
        self.keys.ids.insert(name.clone(), id);
        self.keys.names.push(name);
        self.assembly.add_column(kind);
        id
    }

    fn parse_chunk(&self, window: &[u8], chunk: &Chunk) -> Block {
        let kinds: Vec<Kind> = self.assembly.kinds().collect();
        match self.splitter.layout() {
            Layout::Array => {
                let records = chunk.records.iter().map(|record| &window[record.clone()]);
                block::parse(records, &self.keys, &kinds)
            }
            Layout::Lines => {
                let lines = window[chunk.bytes.clone()].split(|&byte| byte == b'\n');
                let lines = lines
                    .map(<[u8]>::trim_ascii)
                    .filter(|line| !line.is_empty());
                block::parse(lines, &self.keys, &kinds)
            }
        }
    }

    /// Whether the block says the same of its columns as the blocks before.
    fn fits(&self, block: &Block) -> bool {
        let n_known = block.n_known;
        let n_new = block
            .new_names
            .iter()
            .filter(|name| !self.keys.ids.contains_key(*name))
            .count();
        block.problem.is_none()
            && self.keys.names.len() + n_new <= MAX_COLUMNS
            && block.columns.iter().enumerate().all(|(column, cells)| {
                let id = match column.checked_sub(n_known) {
                    None => Some(column),
                    Some(new) => self.keys.ids.get(&block.new_names[new]).copied(),
                };
                id.is_none_or(|id| self.assembly.accepts(id, cells.kind()))
            })
    }
}

impl TextFormat for JsonFile {
    type Block = Block;

    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        self.splitter.cut(window, is_last)
    }

    fn is_settled(&self) -> bool {
        self.assembly.n_rows() > 0 && self.assembly.kinds().all(|kind| kind != Kind::Unknown)
    }

    fn parse(&self, window: &[u8], chunk: &Chunk) -> Block {
        self.parse_chunk(window, chunk)
    }

    fn merge(&mut self, mut block: Block, window: &[u8], chunk: &Chunk) -> Result<()> {
        if !self.fits(&block) {
            block = self.parse_chunk(window, chunk);
        }
        if let Some(problem) = block.problem {
            let row = self.assembly.n_rows() + problem.at as u64;
            return Err(problem.placed(&format!("row {row}")));
        }
        if self.is_known && !block.new_names.is_empty() {
            return Err(changed());
        }
        let mut ids: Vec<usize> = (0..block.n_known).collect();
        for name in block.new_names {
            let id = match self.keys.ids.get(&name) {
                Some(&id) => id,
                None => {
                    self.assembly
                        .check_space(block.n_rows, self.keys.names.len() + 1)?;
                    self.add_key(name, Kind::Unknown)
                }
            };
            ids.push(id);
        }
        self.assembly
            .check_space(block.n_rows, self.keys.names.len())?;
        let first_row = self.assembly.n_rows();
        let mut is_in_block = vec![false; self.keys.names.len()];
        for (&id, column) in ids.iter().zip(block.columns) {
            is_in_block[id] = true;
            let (cells, gaps, absent) = column.finish(block.n_rows);
            if let Some(row) = absent {
                self.first_absent[id].get_or_insert(first_row + row as u64);
            }
            self.assembly.append(id, cells, &gaps)?;
        }
        for (id, _) in is_in_block.iter().enumerate().filter(|(_, is_in)| !**is_in) {
            self.first_absent[id].get_or_insert(first_row);
            self.assembly.append_missing(id, block.n_rows);
        }
        self.assembly.add_rows(block.n_rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
