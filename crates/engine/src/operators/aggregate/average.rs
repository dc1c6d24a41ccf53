//! `avg` (`mean`) and `try_avg`: double and decimal.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, Decimal128Array, PrimitiveArray},
    buffer::NullBuffer,
    datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, i256},
};

use super::{
    AggregateBuffer, Arrival, columns,
    sum::{DecimalSums, Overflow, overflow_error},
};
use crate::{Result, SparkError};

/// Average of doubles (integers are cast first). Buffer: `sum` double, `count` bigint.
#[derive(Debug, Default)]
pub(super) struct DoubleAverage {
    sums: Vec<f64>,
    counts: Vec<i64>,
}

impl AggregateBuffer for DoubleAverage {
    fn grow(&mut self, slots: usize) {
        if slots > self.sums.len() {
            self.sums.resize(slots, 0.0);
            self.counts.resize(slots, 0);
        }
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::each::<Float64Type>(slots, columns::primitive(args, 0)?, |slot, value| {
            self.sums[slot] += value;
            self.counts[slot] += 1;
        });
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            self.sums[*to as usize] += self.sums[*from as usize];
            self.counts[*to as usize] += self.counts[*from as usize];
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        columns::each::<Float64Type>(slots, columns::primitive(columns, 0)?, |slot, sum| {
            self.sums[slot] += sum
        });
        columns::each::<Int64Type>(slots, columns::primitive(columns, 1)?, |slot, n| self.counts[slot] += n);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "Spark divides by the count as a double")]
    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let nulls: NullBuffer = slots.iter().map(|s| self.counts[*s as usize] > 0).collect();
        let values = slots.iter().map(|s| self.sums[*s as usize] / self.counts[*s as usize] as f64).collect();
        Ok(Arc::new(PrimitiveArray::<Float64Type>::new(values, Some(nulls))))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        Ok(vec![
            Arc::new(columns::gather_all::<Float64Type>(slots, &self.sums)),
            Arc::new(columns::gather_all::<Int64Type>(slots, &self.counts)),
        ])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            self.sums[*slot as usize] = 0.0;
            self.counts[*slot as usize] = 0;
        }
    }

    fn memory(&self) -> usize {
        self.sums.capacity() * size_of::<f64>() + self.counts.capacity() * size_of::<i64>()
    }
}

/// Average of decimals. Buffer: `sum` (null once out of range), `count` bigint.
#[derive(Debug)]
pub(super) struct DecimalAverage {
    sums: DecimalSums,
    counts: Vec<i64>,
    sum_type: (u8, i8),
    result: (u8, i8),
    overflow: Overflow,
}

impl DecimalAverage {
    /// Sums are `decimal` of `sum_type`, results of `result` (precision, scale).
    pub(super) fn new(sum_type: (u8, i8), result: (u8, i8), overflow: Overflow) -> Self {
        Self { sums: DecimalSums::new(sum_type.0), counts: vec![], sum_type, result, overflow }
    }

    /// `sum / count` rounded half up to the result's scale; `None` when it does not fit.
    fn quotient(&self, slot: usize) -> Option<i128> {
        if self.sums.out_of_range[slot] {
            return None;
        }
        let shift = u32::try_from(self.result.1 - self.sum_type.1).ok()?;
        let numerator =
            i256::from_i128(self.sums.sums[slot]).checked_mul(i256::from_i128(10).checked_pow(shift)?)?;
        let count = i256::from_i128(i128::from(self.counts[slot]));
        let whole = numerator.checked_div(count)?;
        let rest = numerator.checked_rem(count)?;
        let twice = rest.checked_mul(i256::from_i128(2))?;
        let away = if twice >= count {
            i256::ONE
        } else if twice <= count.checked_neg()? {
            i256::MINUS_ONE
        } else {
            i256::ZERO
        };
        let value = whole.checked_add(away)?.to_i128()?;
        (value.unsigned_abs() < 10_u128.pow(u32::from(self.result.0))).then_some(value)
    }
}

impl AggregateBuffer for DecimalAverage {
    fn grow(&mut self, slots: usize) {
        self.sums.grow(slots);
        self.counts.resize(slots.max(self.counts.len()), 0);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        columns::each::<Decimal128Type>(slots, columns::primitive(args, 0)?, |slot, value| {
            self.sums.add(slot, value);
            self.counts[slot] += 1;
        });
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            self.sums.merge(*from as usize, *to as usize);
            self.counts[*to as usize] += self.counts[*from as usize];
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let sums = columns::primitive::<Decimal128Type>(columns, 0)?;
        for (row, slot) in slots.iter().enumerate() {
            if sums.is_null(row) {
                self.sums.out_of_range[*slot as usize] = true;
            } else {
                self.sums.add(*slot as usize, sums.value(row));
            }
        }
        columns::each::<Int64Type>(slots, columns::primitive(columns, 1)?, |slot, n| self.counts[slot] += n);
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let (precision, scale) = self.result;
        let mut values = Vec::with_capacity(slots.len());
        for slot in slots {
            let slot = *slot as usize;
            let value = if self.counts[slot] == 0 { None } else { self.quotient(slot) };
            if value.is_none() && self.counts[slot] > 0 && self.overflow == Overflow::Fail {
                if self.sums.out_of_range[slot] {
                    return Err(overflow_error("Overflow in sum of decimals", "try_avg"));
                }
                return Err(SparkError::new("NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION")
                    .with("value", format!("{}/{}", self.sums.sums[slot], self.counts[slot]))
                    .with("precision", precision.to_string())
                    .with("scale", scale.to_string())
                    .with("config", "\"spark.sql.ansi.enabled\""));
            }
            values.push(value);
        }
        let array = Decimal128Array::from(values).with_data_type(DataType::Decimal128(precision, scale));
        Ok(Arc::new(array))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let (precision, scale) = self.sum_type;
        let sums: Decimal128Array = slots
            .iter()
            .map(|s| *s as usize)
            .map(|slot| (!self.sums.out_of_range[slot]).then_some(self.sums.sums[slot]))
            .collect();
        Ok(vec![
            Arc::new(sums.with_data_type(DataType::Decimal128(precision, scale))),
            Arc::new(columns::gather_all::<Int64Type>(slots, &self.counts)),
        ])
    }

    fn clear(&mut self, slots: &[u32]) {
        for slot in slots {
            self.sums.clear(*slot as usize);
            self.counts[*slot as usize] = 0;
        }
    }

    fn memory(&self) -> usize {
        self.sums.memory() + self.counts.capacity() * size_of::<i64>()
    }
}
