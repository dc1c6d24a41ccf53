//! Rows as plain cells, so that results of different origin can be compared.
//!
//! A cell forgets how Arrow stored a value (offsets, dictionary, width of an integer) and keeps what it
//! means. It does not forget meaning: a decimal is never a float, a timestamp never an integer.

use std::fmt;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, IntervalYearMonthType, TimeUnit,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

/// One row: its cells in column order.
pub type Row = Vec<Cell>;

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// SQL NULL, of whatever type.
    Null,
    /// A boolean.
    Boolean(bool),
    /// An integer of any width.
    Integer(i128),
    /// An exact decimal: unscaled value and scale. `1.0` and `1.00` differ.
    Decimal(i128, i8),
    /// A float or a double.
    Float(f64),
    /// A string.
    Text(String),
    /// Binary.
    Bytes(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since the epoch (`timestamp`), or on the wall clock (`timestamp_ntz`).
    Timestamp(i64),
    /// A day-time interval in microseconds.
    DayTime(i64),
    /// A year-month interval in months.
    YearMonth(i32),
    /// A calendar interval: months, days, nanoseconds.
    Calendar(i32, i32, i64),
    /// An array.
    List(Vec<Cell>),
    /// A struct: the field values in order.
    Struct(Vec<Cell>),
    /// A map: the entries in the order of the result.
    Map(Vec<(Cell, Cell)>),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open, cells: &[Cell], close| {
            f.write_str(open)?;
            for (i, cell) in cells.iter().enumerate() {
                if i > 0 {
                    f.write_str(", ")?;
                }
                write!(f, "{cell}")?;
            }
            f.write_str(close)
        };
        match self {
            Cell::Null => f.write_str("NULL"),
            Cell::Boolean(v) => write!(f, "{v}"),
            Cell::Integer(v) => write!(f, "{v}"),
            Cell::Decimal(v, scale) => write!(f, "{v}e-{scale}"),
            Cell::Float(v) => write!(f, "{v:?}"),
            Cell::Text(v) => write!(f, "{v:?}"),
            Cell::Bytes(v) => write!(f, "X{v:02x?}"),
            Cell::Date(v) => write!(f, "date {v}"),
            Cell::Timestamp(v) => write!(f, "ts {v}"),
            Cell::DayTime(v) => write!(f, "{v} us"),
            Cell::YearMonth(v) => write!(f, "{v} months"),
            Cell::Calendar(m, d, n) => write!(f, "{m} months {d} days {n} ns"),
            Cell::List(v) => list(f, "[", v, "]"),
            Cell::Struct(v) => list(f, "{", v, "}"),
            Cell::Map(v) => {
                f.write_str("{")?;
                for (i, (key, value)) in v.iter().enumerate() {
                    write!(f, "{}{key} -> {value}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Every row of `batches`, in order.
///
/// Panics on a type that has no [`Cell`]: a result of such a type is itself a bug.
#[must_use]
pub fn rows_of(batches: &[RecordBatch]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(batches.iter().map(RecordBatch::num_rows).sum());
    for batch in batches {
        for row in 0..batch.num_rows() {
            rows.push(batch.columns().iter().map(|column| cell_of(column, row)).collect());
        }
    }
    rows
}

/// The value of `column` at `row`; panics as [`rows_of`] does.
#[must_use]
pub fn cell_of(column: &ArrayRef, row: usize) -> Cell {
    if column.is_null(row) || *column.data_type() == DataType::Null {
        return Cell::Null;
    }
    let all = |values: &ArrayRef| (0..values.len()).map(|i| cell_of(values, i)).collect::<Vec<_>>();
    match column.data_type() {
        DataType::Boolean => Cell::Boolean(column.as_boolean().value(row)),
        DataType::Int8 => Cell::Integer(column.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Cell::Integer(column.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Cell::Integer(column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Cell::Integer(column.as_primitive::<Int64Type>().value(row).into()),
        DataType::UInt8 => Cell::Integer(column.as_primitive::<UInt8Type>().value(row).into()),
        DataType::UInt16 => Cell::Integer(column.as_primitive::<UInt16Type>().value(row).into()),
        DataType::UInt32 => Cell::Integer(column.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => Cell::Integer(column.as_primitive::<UInt64Type>().value(row).into()),
        DataType::Float32 => Cell::Float(column.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            Cell::Decimal(column.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Cell::Text(column.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Cell::Text(column.as_string_view().value(row).to_owned()),
        DataType::Binary => Cell::Bytes(column.as_binary::<i32>().value(row).to_vec()),
        DataType::LargeBinary => Cell::Bytes(column.as_binary::<i64>().value(row).to_vec()),
        DataType::BinaryView => Cell::Bytes(column.as_binary_view().value(row).to_vec()),
        DataType::Date32 => Cell::Date(column.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            Cell::Timestamp(column.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            Cell::DayTime(column.as_primitive::<DurationMicrosecondType>().value(row))
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            Cell::YearMonth(column.as_primitive::<IntervalYearMonthType>().value(row))
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            let v = column.as_primitive::<IntervalMonthDayNanoType>().value(row);
            Cell::Calendar(v.months, v.days, v.nanoseconds)
        }
        DataType::List(_) => Cell::List(all(&column.as_list::<i32>().value(row))),
        DataType::LargeList(_) => Cell::List(all(&column.as_list::<i64>().value(row))),
        DataType::Struct(_) => {
            Cell::Struct(column.as_struct().columns().iter().map(|child| cell_of(child, row)).collect())
        }
        DataType::Map(_, _) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (all(entries.column(0)), all(entries.column(1)));
            Cell::Map(keys.into_iter().zip(values).collect())
        }
        other => unsupported(other),
    }
}

#[expect(clippy::panic, reason = "test support: a type without a cell is a bug in the code under test")]
fn unsupported(data_type: &DataType) -> ! {
    panic!("a result column has the type {data_type}, which no Spark type maps to")
}

impl From<bool> for Cell {
    fn from(v: bool) -> Self {
        Cell::Boolean(v)
    }
}
impl From<i32> for Cell {
    fn from(v: i32) -> Self {
        Cell::Integer(v.into())
    }
}
impl From<i64> for Cell {
    fn from(v: i64) -> Self {
        Cell::Integer(v.into())
    }
}
impl From<f64> for Cell {
    fn from(v: f64) -> Self {
        Cell::Float(v)
    }
}
impl From<&str> for Cell {
    fn from(v: &str) -> Self {
        Cell::Text(v.to_owned())
    }
}
impl From<String> for Cell {
    fn from(v: String) -> Self {
        Cell::Text(v)
    }
}
impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(v: Option<T>) -> Self {
        v.map_or(Cell::Null, Into::into)
    }
}
