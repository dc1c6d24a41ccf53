//! The rows of a store at a version, put together from its files.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array},
    compute::interleave_record_batch,
    datatypes::{Int64Type, SchemaRef},
    row::{RowConverter, SortField},
};

use crate::{
    Result, SparkError,
    operators::{PaneGrid, event_times},
    state::{FileKind, Header, StateFile, StateFileName, StateLayout, StateLog, normalize_floats},
    time::WindowSpec,
};

/// A store being put together: rows by what tells them apart.
#[derive(Debug)]
pub(super) struct Rows {
    layout: StateLayout,
    /// Of the last file.
    pub(super) header: Header,
    /// Places of a key's rows: of sessions there are several.
    rows: BTreeMap<Box<[u8]>, Vec<(usize, usize)>>,
    batches: Vec<RecordBatch>,
    identity: Vec<usize>,
    converter: RowConverter,
    /// Numbers of rows of a join that have had a partner.
    matched: HashSet<i64>,
}

/// Rows that a batch changed, and rows that left in it.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) updated: RecordBatch,
    pub(super) removed: RecordBatch,
}

fn wrong(what: &str) -> SparkError {
    SparkError::internal(format!("reading state: {what}"))
}

/// The layout of a file, which those of older versions of the engine do not have.
pub(super) fn layout_of(header: &Header) -> Result<StateLayout> {
    header
        .layout
        .clone()
        .ok_or_else(|| SparkError::unsupported("reading state that does not describe itself"))
}

impl Rows {
    /// The store at `version`, which must be at least 1.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub(super) fn read(log: &StateLog, version: i64) -> Result<Self> {
        let (files, _) = log.files_of(version)?;
        Self::of_files(log, files)
    }

    /// The store that these files lead to, of which there must be one.
    ///
    /// # Errors
    /// Files that are missing or damaged.
    pub(super) fn of_files(log: &StateLog, files: Vec<StateFileName>) -> Result<Self> {
        let mut all: Option<Self> = None;
        for name in files {
            let file = log.read_any(&name)?;
            let rows = match &mut all {
                Some(rows) => rows,
                None => all.insert(Self::new(&file.header, file.schema(&log.path(&name))?)?),
            };
            rows.apply(log, &name, &file)?;
        }
        all.ok_or_else(|| wrong("a version without files"))
    }

    /// Nothing yet, in the form of a file with this header and these columns.
    pub(super) fn new(header: &Header, schema: SchemaRef) -> Result<Self> {
        let layout = layout_of(header)?;
        let keys = header.schema.keys.len();
        let identity: Vec<usize> = match &layout {
            StateLayout::Groups { .. } | StateLayout::Seen { .. } => (0..keys).collect(),
            // The pane and the key; the window stands first among the keys.
            StateLayout::Windows { .. } => (0..keys).collect(),
            StateLayout::Sessions { .. } => (2..keys + 1).collect(),
            StateLayout::Limit => vec![],
            StateLayout::JoinSide { .. } => vec![0],
        };
        let fields = identity.iter().map(|i| SortField::new(schema.field(*i).data_type().clone())).collect();
        Ok(Self {
            layout,
            header: header.clone(),
            rows: BTreeMap::new(),
            batches: vec![RecordBatch::new_empty(schema)],
            identity,
            converter: RowConverter::new(fields)?,
            matched: HashSet::new(),
        })
    }

    pub(super) fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// Takes the rows of a file; those of a change, without rows known by number alone.
    fn apply(
        &mut self,
        log: &StateLog,
        name: &StateFileName,
        file: &StateFile,
    ) -> Result<Vec<(usize, usize)>> {
        let path = log.path(name);
        let schema = file.schema(&path)?;
        let evicted = self.header.evicted.max(file.header.evicted);
        self.header = Header { evicted, ..file.header.clone() };
        let mut places = vec![];
        file.rows(&path, &schema, |mut batch| {
            if let (StateLayout::JoinSide { .. }, FileKind::Change) = (&self.layout, name.kind()) {
                let numbers = batch.column(0).as_primitive::<Int64Type>().clone();
                let old = numbers.values().partition_point(|n| *n < (name.version - 1) << 32);
                self.matched.extend(numbers.values().iter().take(old));
                batch = batch.slice(old, batch.num_rows() - old);
            }
            let at = self.batches.len();
            let len = batch.num_rows();
            let names = self.identities(&batch)?;
            self.batches.push(batch);
            let mut before: Option<&[u8]> = None;
            for (row, own) in names.iter().enumerate() {
                // Rows of one key together replace what it had.
                let kept = self.rows.entry(own.clone()).or_default();
                if before != Some(own.as_ref()) {
                    kept.clear();
                }
                kept.push((at, row));
                before = Some(own.as_ref());
            }
            places.extend((0..len).map(|row| (at, row)));
            Ok(())
        })?;
        Ok(places)
    }

    fn identities(&self, batch: &RecordBatch) -> Result<Vec<Box<[u8]>>> {
        if self.identity.is_empty() {
            return Ok(vec![Box::default(); batch.num_rows()]);
        }
        let columns = self.identity.iter().map(|i| normalize_floats(batch.column(*i)));
        let encoded = self.converter.convert_columns(&columns.collect::<Result<Vec<_>>>()?)?;
        Ok(encoded.iter().map(|row| row.as_ref().into()).collect())
    }

    /// Goes on to the next version: what its batch changed and what left.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub(super) fn advance(&mut self, log: &StateLog, version: i64) -> Result<Change> {
        let updated = self.take_change(log, version)?;
        Ok(Change { updated, removed: self.evict()? })
    }

    /// What the batch of the next version changed. What left in it is still there.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub(super) fn take_change(&mut self, log: &StateLog, version: i64) -> Result<RecordBatch> {
        let name = StateFileName::change(version);
        let places = self.apply(log, &name, &log.read_any(&name)?)?;
        self.gather(&places)
    }

    /// The rows there are after what has left is gone, in the order of their keys.
    pub(super) fn live(&mut self) -> Result<RecordBatch> {
        self.evict()?;
        self.all()
    }

    /// The rows there are, in the order of their keys.
    pub(super) fn all(&self) -> Result<RecordBatch> {
        let places: Vec<(usize, usize)> = self.rows.values().flatten().copied().collect();
        self.gather(&places)
    }

    fn gather(&self, places: &[(usize, usize)]) -> Result<RecordBatch> {
        if places.is_empty() {
            return Ok(self.batches[0].slice(0, 0));
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        Ok(interleave_record_batch(&batches, places)?)
    }

    /// Takes out what the watermark has reached, and what a semi join has no more use for.
    pub(super) fn evict(&mut self) -> Result<RecordBatch> {
        let gone: Vec<BooleanArray> =
            self.batches.iter().map(|batch| self.is_gone(batch)).collect::<Result<_>>()?;
        let mut removed = vec![];
        self.rows.retain(|_, places| {
            places.retain(|(batch, row)| {
                let leaves = gone[*batch].value(*row);
                if leaves {
                    removed.push((*batch, *row));
                }
                !leaves
            });
            !places.is_empty()
        });
        self.gather(&removed)
    }

    fn is_gone(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let none = || BooleanArray::from(vec![false; batch.num_rows()]);
        if let StateLayout::JoinSide { removes: true, .. } = &self.layout {
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let aged = self.aged(batch)?.unwrap_or_else(none);
            let gone = numbers.values().iter().zip(aged.values());
            return Ok(gone.map(|(number, aged)| Some(aged || self.matched.contains(number))).collect());
        }
        Ok(self.aged(batch)?.unwrap_or_else(none))
    }

    fn aged(&self, batch: &RecordBatch) -> Result<Option<BooleanArray>> {
        if let StateLayout::Windows { .. } = &self.layout {
            let (grid, Some(ended)) = self.grid()? else { return Ok(None) };
            let first = grid.first_needed_after(ended);
            let panes = batch.column(0).as_primitive::<Int64Type>();
            return Ok(Some(panes.values().iter().map(|pane| Some(*pane < first)).collect()));
        }
        let limit = match &self.layout {
            StateLayout::JoinSide { .. } => self.header.aged,
            _ => self.header.evicted,
        };
        let column = match &self.layout {
            StateLayout::Groups { final_by } | StateLayout::Seen { final_by, .. } => *final_by,
            StateLayout::Sessions { finals: true, .. } => Some(1),
            StateLayout::JoinSide { age, .. } => *age,
            _ => None,
        };
        let (Some(limit), Some(column)) = (limit, column) else { return Ok(None) };
        let column = batch.column(column);
        let due: BooleanArray = match column.as_primitive_opt::<Int64Type>() {
            Some(times) => times.iter().map(|t| Some(t.is_some_and(|t| t <= limit))).collect(),
            None => event_times(column)?.iter().map(|t| Some(t.is_some_and(|t| t <= limit))).collect(),
        };
        Ok(Some(due))
    }

    /// The grid of a store of windows, and the last window that has become final and left.
    ///
    /// # Errors
    /// Internal: it is no store of windows.
    pub(super) fn grid(&self) -> Result<(PaneGrid, Option<i64>)> {
        let StateLayout::Windows { duration, slide, start, finals, .. } = &self.layout else {
            return Err(wrong("no windows"));
        };
        let spec =
            WindowSpec::new(*duration, *slide, *start).ok_or_else(|| wrong("a window of no length"))?;
        let grid = PaneGrid::new(spec);
        let ended = self.header.evicted.filter(|_| *finals).map(|evicted| grid.last_ended(evicted));
        Ok((grid, ended))
    }

    /// The keys of panes, without the pane.
    pub(super) fn keys_of(&self, stored: &RecordBatch) -> Result<Vec<Box<[u8]>>> {
        let columns: Vec<ArrayRef> = (1..self.identity.len()).map(|i| Arc::clone(stored.column(i))).collect();
        if columns.is_empty() {
            return Ok(vec![Box::default(); stored.num_rows()]);
        }
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let encoded = RowConverter::new(fields)?.convert_columns(&columns)?;
        Ok(encoded.iter().map(|row| row.as_ref().into()).collect())
    }
}

/// Rows of `column` by index.
pub(super) fn taken(column: &ArrayRef, rows: &[u32]) -> Result<ArrayRef> {
    Ok(datafusion::arrow::compute::take(column, &UInt32Array::from(rows.to_vec()), None)?)
}

/// Columns by name.
pub(super) type Columns = Vec<(String, Arc<dyn Array>)>;
