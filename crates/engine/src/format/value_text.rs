//! The one place that turns any value into Spark's text: `CAST(x AS STRING)`, `show()`,
//! CSV cells.
//!
//! Works column-wise: one writer is made for a column's type, then called for each row.
//! A null row stays null; a null inside an array, map or struct is written out.

mod number;
mod short_decimal;
mod temporal;
mod text_out;

use std::fmt::Write;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, StringArray, StringBuilder},
    datatypes::{
        ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float32Type,
        Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit,
        IntervalYearMonthType, TimeUnit, TimestampMicrosecondType,
    },
};

use crate::{Result, SparkError};
pub use number::{write_decimal, write_double, write_float};
pub(crate) use short_decimal::eight_digits;
pub use temporal::{
    ZoneOffsets, write_calendar_interval, write_date, write_day_time_interval, write_timestamp,
    write_year_month_interval,
};

pub use text_out::TextOut;

/// Which of Spark's two spellings is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextStyle {
    /// `CAST(x AS STRING)`: nested nulls are `null`, binary is read as UTF-8.
    Cast {
        /// Under ANSI decimals are always plain; otherwise tiny ones are `1E-10`.
        ansi: bool,
    },
    /// `show()`: nested nulls are `NULL`, binary is `[31 32]`, decimals are plain.
    Pretty,
}

impl TextStyle {
    fn null(self) -> &'static str {
        match self {
            TextStyle::Cast { .. } => "null",
            TextStyle::Pretty => "NULL",
        }
    }
}

/// The text of every row of `array`; nulls stay null. Timestamps are shown in `zone`.
///
/// # Errors
/// `UNSUPPORTED_FEATURE.MILLSTREAM` for an Arrow type that no Spark type maps to.
pub fn to_text<Z: ZoneOffsets + ?Sized>(array: &ArrayRef, zone: &Z, style: TextStyle) -> Result<StringArray> {
    // Already text: share it.
    if let Some(strings) = array.as_string_opt::<i32>() {
        return Ok(strings.clone());
    }
    if array.data_type() == &DataType::Null {
        return Ok(StringArray::new_null(array.len()));
    }
    let writer = writer(array, zone, style)?;
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut cell = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
        } else {
            cell.clear();
            writer(row, &mut cell);
            out.append_value(&cell);
        }
    }
    Ok(out.finish())
}

/// Appends the text of one row, which is not null.
pub type CellWriter<'a> = Box<dyn Fn(usize, &mut String) + 'a>;

/// A writer for the rows of `array`; it must not be called for null rows.
///
/// # Errors
/// As [`to_text`].
pub fn writer<'a, Z: ZoneOffsets + ?Sized>(
    array: &'a dyn Array,
    zone: &'a Z,
    style: TextStyle,
) -> Result<CellWriter<'a>> {
    Ok(match array.data_type() {
        DataType::Null => Box::new(move |_, out| out.push_str(style.null())),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(|row, out| out.push_str(if array.value(row) { "true" } else { "false" }))
        }
        DataType::Int8 => integer::<Int8Type>(array),
        DataType::Int16 => integer::<Int16Type>(array),
        DataType::Int32 => integer::<Int32Type>(array),
        DataType::Int64 => integer::<Int64Type>(array),
        DataType::Float32 => primitive::<Float32Type>(array, write_float),
        DataType::Float64 => primitive::<Float64Type>(array, write_double),
        DataType::Decimal128(_, scale) => {
            let scale = i32::from(*scale);
            let plain = style != TextStyle::Cast { ansi: false };
            primitive::<Decimal128Type>(array, move |value, out| write_decimal(value, scale, plain, out))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(|row, out| out.push_str(array.value(row)))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            match style {
                TextStyle::Cast { .. } => {
                    Box::new(|row, out| out.push_str(&String::from_utf8_lossy(array.value(row))))
                }
                TextStyle::Pretty => Box::new(|row, out| write_hex(array.value(row), out)),
            }
        }
        DataType::Date32 => primitive::<Date32Type>(array, |days, out| write_date(i64::from(days), out)),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            primitive::<TimestampMicrosecondType>(array, |micros, out| {
                write_timestamp(micros, &chrono::Utc, out)
            })
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => {
            primitive::<TimestampMicrosecondType>(array, move |micros, out| {
                write_timestamp(micros, zone, out)
            })
        }
        DataType::Interval(IntervalUnit::YearMonth) => {
            primitive::<IntervalYearMonthType>(array, write_year_month_interval)
        }
        DataType::Duration(TimeUnit::Microsecond) => {
            primitive::<DurationMicrosecondType>(array, write_day_time_interval)
        }
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            primitive::<IntervalMonthDayNanoType>(array, |i, out| {
                write_calendar_interval(i.months, i.days, i.nanoseconds / 1000, out);
            })
        }
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let items = nullable(list.values().as_ref(), zone, style)?;
            Box::new(move |row, out| {
                out.push('[');
                for (i, item) in range(list.value_offsets(), row).enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    items(item, out);
                }
                out.push(']');
            })
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let keys = nullable(map.keys().as_ref(), zone, style)?;
            let values = nullable(map.values().as_ref(), zone, style)?;
            Box::new(move |row, out| {
                out.push('{');
                for (i, item) in range(map.value_offsets(), row).enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    keys(item, out);
                    out.push_str(" -> ");
                    values(item, out);
                }
                out.push('}');
            })
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns();
            let fields =
                columns.iter().map(|c| nullable(c.as_ref(), zone, style)).collect::<Result<Vec<_>>>()?;
            Box::new(move |row, out| {
                out.push('{');
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        out.push_str(", ");
                    }
                    field(row, out);
                }
                out.push('}');
            })
        }
        other => return Err(SparkError::unsupported(format!("the text of a value of the type {other}"))),
    })
}

/// As [`writer`], with nulls written out.
fn nullable<'a, Z: ZoneOffsets + ?Sized>(
    array: &'a dyn Array,
    zone: &'a Z,
    style: TextStyle,
) -> Result<CellWriter<'a>> {
    let inner = writer(array, zone, style)?;
    if array.null_count() == 0 {
        return Ok(inner);
    }
    Ok(Box::new(move |row, out| {
        if array.is_null(row) {
            out.push_str(style.null());
        } else {
            inner(row, out);
        }
    }))
}

fn primitive<'a, T: ArrowPrimitiveType>(
    array: &'a dyn Array,
    write: impl Fn(T::Native, &mut String) + 'a,
) -> CellWriter<'a> {
    let values = array.as_primitive::<T>().values();
    Box::new(move |row, out| {
        if let Some(value) = values.get(row) {
            write(*value, out);
        }
    })
}

fn integer<T: ArrowPrimitiveType>(array: &dyn Array) -> CellWriter<'_>
where
    T::Native: itoa::Integer,
{
    primitive::<T>(array, |value, out| out.push_str(itoa::Buffer::new().format(value)))
}

fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |i: usize| offsets.get(i).and_then(|o| usize::try_from(*o).ok()).unwrap_or(0);
    at(row)..at(row + 1)
}

/// `[31 32]`: two upper-case digits a byte.
fn write_hex(bytes: &[u8], out: &mut String) {
    out.push('[');
    for (i, byte) in bytes.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        let _ = write!(out, "{byte:02X}");
    }
    out.push(']');
}

#[cfg(test)]
mod tests;
