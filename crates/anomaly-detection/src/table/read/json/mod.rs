//! JSON: one array of objects, or one object per line.

use super::cells::Kind;
use super::summary::FileSummary;
use super::text_file::{Assembly, Chunk, Cut, Purpose, TextFormat, read_window};
use super::{MAX_COLUMNS, changed};
use crate::error::Result;
use crate::table::{AbsentCell, Column, Table, invalid};

mod keys;
mod layout;
mod parsed_chunk;
mod split;

use self::keys::Keys;
pub(super) use self::layout::Layout;
use self::parsed_chunk::ParsedChunk;
use self::split::Splitter;

/// Reads a whole file, up to a number of values.
pub(super) fn read(content: &[u8], layout: Layout, max_cells: usize) -> Result<Table> {
    let mut file = JsonFile::new(layout, Purpose::Keep(max_cells), None);
    read_window(&mut file, content, true)?;
    if file.assembly.n_rows() == 0 {
        return Err(invalid("the records have no rows"));
    }
    let (names, absent, order) = file.columns();
    let mut columns: Vec<Option<Column>> = file.take().into_iter().map(Some).collect();
    let columns = order.iter().filter_map(|&id| columns[id].take()).collect();
    Ok(Table::from_columns(Some(names), columns)?.with_absent(absent))
}

/// A JSON file that is being read.
pub(super) struct JsonFile {
    splitter: Splitter,
    keys: Keys,
    assembly: Assembly,
    /// For each key the first row that lacks it.
    first_absent: Vec<Option<u64>>,
    /// Whether the keys are those of a scan, so that there must not be any other.
    is_known: bool,
}

impl JsonFile {
    /// A file before anything is read; `known` is the result of a scan.
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

    /// The names sorted by bytes, the first absent cell of each column in the order of the rows, and for each name the index of
    /// its column among those that [`take`](Self::take) returns.
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

    /// Takes the rows read since the last call, with the columns in the order in which their keys first occurred.
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

    fn parse_chunk(&self, window: &[u8], chunk: &Chunk) -> ParsedChunk {
        let kinds: Vec<Kind> = self.assembly.kinds().collect();
        match self.splitter.layout() {
            Layout::Array => {
                let records = chunk.records.iter().map(|record| &window[record.clone()]);
                parsed_chunk::parse(records, &self.keys, &kinds)
            }
            Layout::Lines => {
                let lines = window[chunk.bytes.clone()].split(|&byte| byte == b'\n');
                let lines = lines
                    .map(<[u8]>::trim_ascii)
                    .filter(|line| !line.is_empty());
                parsed_chunk::parse(lines, &self.keys, &kinds)
            }
        }
    }

    /// Whether the columns of a parsed chunk have the types of those before.
    fn fits(&self, parsed: &ParsedChunk) -> bool {
        let n_known = parsed.n_known;
        let n_new = parsed
            .new_names
            .iter()
            .filter(|name| !self.keys.ids.contains_key(*name))
            .count();
        parsed.problem.is_none()
            && self.keys.names.len() + n_new <= MAX_COLUMNS
            && parsed.columns.iter().enumerate().all(|(column, cells)| {
                let id = match column.checked_sub(n_known) {
                    None => Some(column),
                    Some(new) => self.keys.ids.get(&parsed.new_names[new]).copied(),
                };
                id.is_none_or(|id| self.assembly.accepts(id, cells.kind()))
            })
    }
}

impl TextFormat for JsonFile {
    type Parsed = ParsedChunk;

    fn cut(&mut self, window: &[u8], is_last: bool) -> Cut {
        self.splitter.cut(window, is_last)
    }

    fn is_settled(&self) -> bool {
        self.assembly.n_rows() > 0 && self.assembly.kinds().all(|kind| kind != Kind::Unknown)
    }

    fn parse(&self, window: &[u8], chunk: &Chunk) -> ParsedChunk {
        self.parse_chunk(window, chunk)
    }

    fn merge(&mut self, mut parsed: ParsedChunk, window: &[u8], chunk: &Chunk) -> Result<()> {
        if !self.fits(&parsed) {
            parsed = self.parse_chunk(window, chunk);
        }
        if let Some(problem) = parsed.problem {
            let row = self.assembly.n_rows() + problem.at as u64;
            return Err(problem.placed(&format!("row {row}")));
        }
        if self.is_known && !parsed.new_names.is_empty() {
            return Err(changed());
        }
        let mut ids: Vec<usize> = (0..parsed.n_known).collect();
        for name in parsed.new_names {
            let id = match self.keys.ids.get(&name) {
                Some(&id) => id,
                None => {
                    self.assembly
                        .check_space(parsed.n_rows, self.keys.names.len() + 1)?;
                    self.add_key(name, Kind::Unknown)
                }
            };
            ids.push(id);
        }
        self.assembly
            .check_space(parsed.n_rows, self.keys.names.len())?;
        let first_row = self.assembly.n_rows();
        let mut is_in_chunk = vec![false; self.keys.names.len()];
        for (&id, column) in ids.iter().zip(parsed.columns) {
            is_in_chunk[id] = true;
            let (cells, gaps, absent) = column.finish(parsed.n_rows);
            if let Some(row) = absent {
                self.first_absent[id].get_or_insert(first_row + row as u64);
            }
            self.assembly.append(id, cells, &gaps)?;
        }
        for (id, _) in is_in_chunk.iter().enumerate().filter(|(_, is_in)| !**is_in) {
            self.first_absent[id].get_or_insert(first_row);
            self.assembly.append_missing(id, parsed.n_rows);
        }
        self.assembly.add_rows(parsed.n_rows);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
