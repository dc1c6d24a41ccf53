//! `max_by(x, y)`, `min_by(x, y)`: the value at the greatest or least ordering.
//!
//! Of equal orderings the one that arrived last wins, as in Spark. Rows with a null ordering
//! do not count.

use std::{fmt, sync::Arc};

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, Int64Array},
        compute::SortOptions,
        datatypes::{DataType, Int64Type},
        row::{OwnedRow, RowConverter, SortField},
    },
    common::ScalarValue,
};

use super::{AggregateBuffer, Arrival, columns, extremum::End, positional::scalars_to_array};
use crate::{Result, SparkError, state::normalize_floats};

#[derive(Debug, Clone)]
struct Best {
    order: OwnedRow,
    at: (i64, i64),
    value: ScalarValue,
}

/// Buffer: the value, its ordering, and batch and row of its arrival (null when empty).
pub(super) struct ExtremumBy {
    best: Vec<Option<Best>>,
    converter: RowConverter,
    end: End,
    value_type: DataType,
    order_type: DataType,
}

impl fmt::Debug for ExtremumBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtremumBy").field("end", &self.end).field("order", &self.order_type).finish()
    }
}

impl ExtremumBy {
    pub(super) fn new(end: End, value_type: DataType, order_type: DataType) -> Result<Self> {
        let ascending = SortOptions { descending: false, nulls_first: true };
        let field = SortField::new_with_options(order_type.clone(), ascending);
        if !RowConverter::supports_fields(std::slice::from_ref(&field)) {
            return Err(SparkError::unsupported(format!("ordering by the type {order_type}")));
        }
        Ok(Self { best: vec![], converter: RowConverter::new(vec![field])?, end, value_type, order_type })
    }

    fn offer(best: &mut Option<Best>, end: End, new: Best) {
        let replaces = best.as_ref().is_none_or(|best| {
            let order = new.order.row().cmp(&best.order.row());
            end.replaces(order) || (order == std::cmp::Ordering::Equal && new.at > best.at)
        });
        if replaces {
            *best = Some(new);
        }
    }

    fn take(
        &mut self,
        slots: &[u32],
        args: &[ArrayRef],
        at: impl Fn(usize) -> Option<(i64, i64)>,
    ) -> Result<()> {
        let (values, orders) = (columns::column(args, 0)?, columns::column(args, 1)?);
        let orders = normalize_floats(orders)?;
        let nulls = orders.logical_nulls();
        let encoded = self.converter.convert_columns(&[Arc::clone(&orders)])?;
        for (row, slot) in slots.iter().enumerate() {
            let Some(at) = at(row) else { continue };
            if nulls.as_ref().is_some_and(|n| n.is_null(row)) {
                continue;
            }
            let best = &mut self.best[*slot as usize];
            let order = encoded.row(row);
            // Rows arrive in order: an equal ordering replaces, a worse one is not copied.
            let worse = best.as_ref().is_some_and(|best| {
                let compared = order.cmp(&best.order.row());
                compared != std::cmp::Ordering::Equal && !self.end.replaces(compared)
            });
            if !worse {
                let value = ScalarValue::try_from_array(values, row)?;
                Self::offer(best, self.end, Best { order: order.owned(), at, value });
            }
        }
        Ok(())
    }

    fn merge(&mut self, slots: &[u32], columns: &[ArrayRef], as_batch: Option<i64>) -> Result<()> {
        let batches = columns::primitive::<Int64Type>(columns, 2)?;
        let rows = columns::primitive::<Int64Type>(columns, 3)?;
        let at = |row: usize| {
            batches.is_valid(row).then(|| (as_batch.unwrap_or(batches.value(row)), rows.value(row)))
        };
        self.take(slots, columns, at)
    }
}

impl AggregateBuffer for ExtremumBy {
    fn grow(&mut self, slots: usize) {
        self.best.resize(slots.max(self.best.len()), None);
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], arrival: Arrival) -> Result<()> {
        self.take(slots, args, |row| Some((arrival.batch, arrival.row + row as i64)))
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if let Some(best) = self.best[*from as usize].clone() {
                Self::offer(&mut self.best[*to as usize], self.end, best);
            }
        }
        Ok(())
    }

    fn append_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            if let Some(mut new) = self.best[*from as usize].clone() {
                let best = &mut self.best[*to as usize];
                if let Some(best) = best {
                    new.at = new.at.max((best.at.0, best.at.1 + 1));
                }
                Self::offer(best, self.end, new);
            }
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        self.merge(slots, columns, None)
    }

    fn merge_arrived(&mut self, slots: &[u32], columns: &[ArrayRef], batch: i64) -> Result<()> {
        self.merge(slots, columns, Some(batch))
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let null = ScalarValue::try_from(&self.value_type)?;
        let best = slots.iter().map(|slot| &self.best[*slot as usize]);
        let values = best.map(|best| best.as_ref().map_or_else(|| null.clone(), |best| best.value.clone()));
        scalars_to_array(values, &self.value_type)
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let null = ScalarValue::try_from(&self.order_type)?;
        let mut orders = Vec::with_capacity(slots.len());
        for slot in slots {
            orders.push(match &self.best[*slot as usize] {
                None => null.clone(),
                Some(best) => {
                    let column = self.converter.convert_rows([best.order.row()])?.remove(0);
                    ScalarValue::try_from_array(&column, 0)?
                }
            });
        }
        let at = |f: fn(&Best) -> i64| -> ArrayRef {
            Arc::new(
                slots.iter().map(|slot| self.best[*slot as usize].as_ref().map(f)).collect::<Int64Array>(),
            )
        };
        let orders = scalars_to_array(orders, &self.order_type)?;
        Ok(vec![self.evaluate(slots)?, orders, at(|best| best.at.0), at(|best| best.at.1)])
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.best[*slot as usize] = None);
    }

    fn memory(&self) -> usize {
        let held = |best: &Best| best.value.size() + best.order.as_ref().len();
        self.best.capacity() * size_of::<Option<Best>>() + self.best.iter().flatten().map(held).sum::<usize>()
    }
}
