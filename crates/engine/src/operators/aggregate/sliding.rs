//! Aggregates over frames whose start moves, in batch queries: `ROWS BETWEEN 2 PRECEDING AND ..`.
//!
//! The rows of the frame are kept and aggregated anew for each result, as Spark does: sums of
//! doubles are then the same to the last bit. Cost: the rows of each frame.

use std::fmt;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef},
        compute::concat,
    },
    common::{Result as DataFusionResult, ScalarValue},
    logical_expr::Accumulator,
};

use super::{AggregateBuffer, AggregateCall, Arrival};
use crate::{Result, SparkError};

/// One aggregate call over a frame.
///
/// # Invariants
/// Rows leave in the order in which they came.
pub(super) struct Sliding {
    call: AggregateCall,
    buffer: Box<dyn AggregateBuffer>,
    /// Argument columns; the first `left` rows are no longer in the frame.
    rows: Vec<ArrayRef>,
    left: usize,
}

impl fmt::Debug for Sliding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sliding").field("call", &self.call.name()).field("rows", &self.len()).finish()
    }
}

impl Sliding {
    pub(super) fn new(call: AggregateCall) -> Result<Self> {
        let mut buffer = call.create()?;
        buffer.grow(1);
        Ok(Self { call, buffer, rows: Vec::new(), left: 0 })
    }

    /// Rows in the frame.
    fn len(&self) -> usize {
        self.rows.first().map_or(0, |column| column.len() - self.left)
    }

    fn aggregated(&mut self) -> Result<ScalarValue> {
        self.buffer.clear(&[0]);
        let frame: Vec<ArrayRef> =
            self.rows.iter().map(|column| column.slice(self.left, column.len() - self.left)).collect();
        self.buffer.update(&vec![0; self.len()], &frame, Arrival::default())?;
        Ok(ScalarValue::try_from_array(&self.buffer.evaluate(&[0])?, 0)?)
    }
}

impl Accumulator for Sliding {
    fn update_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let new = self.call.cast_arguments(values.to_vec())?;
        if self.len() == 0 {
            self.rows = new;
        } else {
            let both = |(old, new): (&ArrayRef, &ArrayRef)| {
                concat(&[&old.slice(self.left, old.len() - self.left), new])
            };
            self.rows = self.rows.iter().zip(&new).map(both).collect::<Result<_, _>>()?;
        }
        self.left = 0;
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> DataFusionResult<()> {
        let leaving = values.first().map_or(0, |v| v.len());
        if leaving > self.len() {
            return Err(SparkError::internal("more rows leave a frame than are in it").into());
        }
        self.left += leaving;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> DataFusionResult<ScalarValue> {
        Ok(self.aggregated()?)
    }

    fn size(&self) -> usize {
        let rows: usize = self.rows.iter().map(|column| column.get_array_memory_size()).sum();
        size_of_val(self) + self.buffer.memory() + rows
    }

    fn state(&mut self) -> DataFusionResult<Vec<ScalarValue>> {
        Err(SparkError::internal("an aggregate over a frame has no partial result").into())
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> DataFusionResult<()> {
        Err(SparkError::internal("an aggregate over a frame has no partial result").into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{array::Int64Array, datatypes::DataType};

    use super::*;
    use crate::operators::aggregate::AggregateOptions;

    fn rows(values: &[i64]) -> Vec<ArrayRef> {
        vec![Arc::new(Int64Array::from(values.to_vec()))]
    }

    #[test]
    fn the_result_is_that_of_the_rows_in_the_frame() {
        for (name, expected) in [("sum", [3, 7, 7]), ("first", [1, 2, 4]), ("max", [2, 4, 4])] {
            let call = AggregateCall::resolve(name, &[DataType::Int64], AggregateOptions::default()).unwrap();
            let mut sliding = Sliding::new(call).unwrap();
            let mut results = Vec::new();
            sliding.update_batch(&rows(&[1, 2])).unwrap();
            results.push(sliding.evaluate().unwrap());
            sliding.update_batch(&rows(&[4, 1])).unwrap();
            sliding.retract_batch(&rows(&[1])).unwrap();
            results.push(sliding.evaluate().unwrap());
            sliding.update_batch(&rows(&[2])).unwrap();
            sliding.retract_batch(&rows(&[2])).unwrap();
            results.push(sliding.evaluate().unwrap());
            let expected = expected.map(|v| ScalarValue::Int64(Some(v)));
            assert_eq!(results, expected, "{name}");
            assert!(sliding.retract_batch(&rows(&[0; 4])).is_err());
        }
    }
}
