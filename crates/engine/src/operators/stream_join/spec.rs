//! The parts of a join of streams that do not change from batch to batch.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch},
        buffer::NullBuffer,
        compute::cast,
        datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType},
    },
    common::JoinType,
    physical_expr::expressions::Column,
    physical_plan::PhysicalExpr,
};

use super::kept_rows::{Matches, NEVER};
use crate::{
    Result, SparkError,
    plan::ValueBound,
    state::{StateLayout, StateSchema, spark_type_name},
    time::Millis,
};

/// One side of the join.
#[derive(Debug, Clone)]
pub(super) struct SideSpec {
    /// Columns of its rows.
    pub(super) schema: SchemaRef,
    /// What is equal to the other side's.
    pub(super) keys: Vec<Arc<dyn PhysicalExpr>>,
    /// What a row must pass to have a partner at all.
    pub(super) filter: Option<Arc<dyn PhysicalExpr>>,
    /// The event time its rows are late by.
    pub(super) time: Option<usize>,
    /// How its rows age.
    pub(super) age: Option<Age>,
    /// Whether rows without a partner come out when they leave.
    pub(super) outer: bool,
}

/// When kept rows are of no use any more.
#[derive(Debug, Clone)]
pub(super) enum Age {
    /// This key, an event time, is behind the watermark.
    Key(usize),
    /// The event time is behind what the conditions leave possible.
    Value(ValueBound),
}

/// What makes two rows with equal keys partners.
#[derive(Debug, Clone)]
pub(super) struct PairFilter {
    /// Over the columns named below, the left ones first.
    pub(super) predicate: Arc<dyn PhysicalExpr>,
    pub(super) schema: SchemaRef,
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) join_type: JoinType,
    pub(super) key_types: Vec<DataType>,
    /// By key: whether null equals null.
    pub(super) null_meets_null: Vec<bool>,
    pub(super) left: SideSpec,
    pub(super) right: SideSpec,
    pub(super) filter: Option<PairFilter>,
    /// The user's names of the columns, left and right.
    pub(super) column_names: [Vec<String>; 2],
}

/// A side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Spec {
    pub(super) fn side(&self, side: Side) -> &SideSpec {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
        }
    }

    /// What becomes of rows of a side that have had a partner.
    pub(super) fn matches(&self, side: Side) -> Matches {
        use JoinType::{Full, Left, LeftSemi, Right};
        match (side, self.join_type) {
            (Side::Left, LeftSemi) => Matches::Removed,
            (_, Full) | (Side::Left, Left) | (Side::Right, Right) => Matches::Marked,
            _ => Matches::Ignored,
        }
    }

    /// The sides in the order they are read.
    ///
    /// A semi join reads the right side first: left rows that find a partner at once need
    /// not be kept.
    pub(super) fn order(&self) -> [Side; 2] {
        match self.join_type {
            JoinType::LeftSemi => [Side::Right, Side::Left],
            _ => [Side::Left, Side::Right],
        }
    }

    /// Whether watermarks remove anything.
    pub(super) fn ages(&self) -> bool {
        self.left.age.is_some() || self.right.age.is_some()
    }

    /// Rows whose keys are null where that equals nothing; `None`: there are none.
    pub(super) fn lonely(&self, keys: &[ArrayRef]) -> Option<NullBuffer> {
        let strict = keys.iter().zip(&self.null_meets_null).filter(|(_, meets)| !**meets);
        let valid =
            strict.fold(None, |all, (key, _)| NullBuffer::union(all.as_ref(), key.logical_nulls().as_ref()));
        valid.filter(|valid| valid.null_count() > 0)
    }

    /// Columns of a side's stored rows: the number of the row, whether it has had a partner,
    /// its columns.
    pub(super) fn stored_schema(&self, side: Side) -> SchemaRef {
        let mut fields: Vec<Arc<Field>> = vec![Arc::new(Field::new("sequence", DataType::Int64, false))];
        if self.matches(side) != Matches::Ignored {
            fields.push(Arc::new(Field::new("matched", DataType::Boolean, false)));
        }
        // Only that the row was matched is told of a row by its number.
        let columns = self.side(side).schema.fields().iter().enumerate();
        fields
            .extend(columns.map(|(i, f)| Arc::new(Field::new(format!("c{i}"), f.data_type().clone(), true))));
        Arc::new(Schema::new(fields))
    }

    /// What a side's stored rows mean to a reader.
    pub(super) fn layout(&self, side: Side) -> StateLayout {
        let own = self.side(side);
        let matches = self.matches(side);
        let first = 1 + usize::from(matches != Matches::Ignored);
        let place = |key: &Arc<dyn PhysicalExpr>| key.downcast_ref::<Column>().map(Column::index);
        let keys: Vec<Option<usize>> = own.keys.iter().map(place).collect();
        let age = match (&own.age, own.time) {
            (Some(Age::Key(key)), _) => keys.get(*key).copied().flatten(),
            (Some(Age::Value(_)), time) => time,
            (None, _) => None,
        };
        StateLayout::JoinSide {
            age: age.map(|column| first + column),
            keys,
            columns: self.column_names[side as usize].clone(),
            marks: matches != Matches::Ignored,
            removes: matches == Matches::Removed,
        }
    }

    /// What has to stay the same from run to run; the conditions may change, as in Spark.
    pub(super) fn state_schema(&self, side: Side) -> StateSchema {
        let named = |name: String, t: &DataType| (name, spark_type_name(t));
        let keys = self.key_types.iter().enumerate().map(|(i, t)| named(format!("field{i}"), t)).collect();
        let columns = self.side(side).schema.fields().iter().enumerate();
        let mut values: Vec<_> = columns.map(|(i, f)| named(format!("c{i}"), f.data_type())).collect();
        if self.matches(side) != Matches::Ignored {
            values.push(named("matched".to_string(), &DataType::Boolean));
        }
        StateSchema { keys, values }
    }
}

impl SideSpec {
    /// The key columns of rows.
    pub(super) fn key_columns(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        let column = |key: &Arc<dyn PhysicalExpr>| Ok(key.evaluate(rows)?.into_array(rows.num_rows())?);
        self.keys.iter().map(column).collect()
    }

    /// Which rows are not late; `None`: all of them.
    pub(super) fn on_time(&self, rows: &RecordBatch, late: Millis) -> Result<Option<BooleanArray>> {
        let Some(column) = self.time else { return Ok(None) };
        let late = late.as_micros();
        let times = event_times(rows.column(column))?;
        if times.iter().all(|time| *time > late) {
            return Ok(None);
        }
        Ok(Some(times.iter().map(|time| Some(*time > late)).collect()))
    }

    /// Which rows can have a partner; `None`: all of them.
    pub(super) fn passes(&self, rows: &RecordBatch) -> Result<Option<BooleanArray>> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mask = truth(&filter.evaluate(rows)?.into_array(rows.num_rows())?)?;
        Ok((mask.true_count() < rows.num_rows()).then_some(mask))
    }

    /// When rows age, in microseconds; empty when they do not.
    pub(super) fn ages_at(&self, rows: &RecordBatch, keys: &[ArrayRef]) -> Result<Vec<i64>> {
        let column = match (&self.age, self.time) {
            (Some(Age::Key(key)), _) => keys.get(*key),
            (Some(Age::Value(_)), Some(time)) => Some(rows.column(time)),
            _ => None,
        };
        column.map_or(Ok(vec![]), event_times)
    }

    /// The time up to which rows have aged, in milliseconds.
    pub(super) fn aged(&self, watermark: Millis) -> Option<Millis> {
        self.age.as_ref().map(|age| match age {
            Age::Key(_) => watermark,
            Age::Value(bound) => bound.at(watermark),
        })
    }
}

/// Event times in microseconds: timestamps or the ends of windows; nulls never pass.
fn event_times(column: &ArrayRef) -> Result<Vec<i64>> {
    let wrong = || SparkError::internal(format!("event time of type {}", column.data_type()));
    let times = match column.data_type() {
        DataType::Struct(_) => column.as_struct().column_by_name("end").cloned().ok_or_else(wrong)?,
        _ => Arc::clone(column),
    };
    let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(wrong)?;
    if times.null_count() == 0 && column.null_count() == 0 {
        return Ok(times.values().to_vec());
    }
    let known = |row| times.is_valid(row) && column.is_valid(row);
    Ok((0..times.len()).map(|row| if known(row) { times.value(row) } else { NEVER }).collect())
}

/// A condition's column with null as false.
pub(super) fn truth(mask: &ArrayRef) -> Result<BooleanArray> {
    let mask = match mask.data_type() {
        DataType::Null => cast(mask, &DataType::Boolean)?,
        _ => Arc::clone(mask),
    };
    let Some(mask) = mask.as_boolean_opt() else {
        return Err(SparkError::internal("a join condition is not boolean"));
    };
    Ok(match mask.nulls() {
        None => mask.clone(),
        Some(valid) => BooleanArray::new(mask.values() & valid.inner(), None),
    })
}
