//! `stddev`, `variance`, `skewness`, `kurtosis`: central moments, kept as Spark keeps them.

use std::sync::Arc;

use datafusion::arrow::{
    array::{ArrayRef, Float64Array},
    datatypes::Float64Type,
};

use super::{AggregateBuffer, Arrival, columns};
use crate::Result;

/// What is computed from the moments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    StddevPop,
    StddevSamp,
    VarPop,
    VarSamp,
    Skewness,
    Kurtosis,
}

/// Count, mean and sums of powers of differences from the mean.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    #[inline]
    fn add(&mut self, x: f64, order: usize) {
        let n = self.n + 1.0;
        let delta = x - self.mean;
        let delta_n = delta / n;
        self.n = n;
        self.mean += delta_n;
        self.m2 += delta * (delta - delta_n);
        if order >= 3 {
            let (delta2, delta_n2) = (delta * delta, delta_n * delta_n);
            self.m3 += -3.0 * delta_n * self.m2 + delta * (delta2 - delta_n2);
            if order >= 4 {
                self.m4 += -4.0 * delta_n * self.m3 - 6.0 * delta_n2 * self.m2
                    + delta * (delta * delta2 - delta_n * delta_n2);
            }
        }
    }

    /// Merging into nothing is a copy, so that a restart changes no bit.
    fn merge(&mut self, other: &Self) {
        if other.n == 0.0 {
            return;
        }
        if self.n == 0.0 {
            *self = *other;
            return;
        }
        let (n1, n2) = (self.n, other.n);
        let n = n1 + n2;
        let delta = other.mean - self.mean;
        let delta_n = delta / n;
        let m4 = self.m4
            + other.m4
            + delta_n * delta_n * delta_n * delta * n1 * n2 * (n1 * n1 - n1 * n2 + n2 * n2)
            + 6.0 * delta_n * delta_n * (n1 * n1 * other.m2 + n2 * n2 * self.m2)
            + 4.0 * delta_n * (n1 * other.m3 - n2 * self.m3);
        let m3 = self.m3
            + other.m3
            + delta_n * delta_n * delta * n1 * n2 * (n1 - n2)
            + 3.0 * delta_n * (n1 * other.m2 - n2 * self.m2);
        let m2 = self.m2 + other.m2 + delta * delta_n * n1 * n2;
        *self = Self { n, mean: self.mean + delta_n * n2, m2, m3, m4 };
    }

    /// `None` where Spark gives null: no values, one value for a sample, no variance.
    fn value(&self, moment: Moment) -> Option<f64> {
        let Self { n, m2, m3, m4, .. } = *self;
        if n == 0.0 {
            return None;
        }
        match moment {
            Moment::StddevPop => Some((m2 / n).sqrt()),
            Moment::VarPop => Some(m2 / n),
            Moment::StddevSamp | Moment::VarSamp if n == 1.0 => None,
            Moment::StddevSamp => Some((m2 / (n - 1.0)).sqrt()),
            Moment::VarSamp => Some(m2 / (n - 1.0)),
            Moment::Skewness | Moment::Kurtosis if m2 == 0.0 => None,
            Moment::Skewness => Some(n.sqrt() * m3 / (m2 * m2 * m2).sqrt()),
            Moment::Kurtosis => Some(n * m4 / (m2 * m2) - 3.0),
        }
    }
}

/// Buffer: `n`, `avg`, `m2` and, as far as needed, `m3`, `m4`, all double.
#[derive(Debug)]
pub(super) struct CentralMoments {
    moments: Vec<Moments>,
    moment: Moment,
    order: usize,
}

impl CentralMoments {
    pub(super) fn new(moment: Moment) -> Self {
        let order = match moment {
            Moment::Kurtosis => 4,
            Moment::Skewness => 3,
            _ => 2,
        };
        Self { moments: vec![], moment, order }
    }
}

impl AggregateBuffer for CentralMoments {
    fn grow(&mut self, slots: usize) {
        self.moments.resize(slots.max(self.moments.len()), Moments::default());
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        let order = self.order;
        let values = columns::primitive(args, 0)?;
        columns::each::<Float64Type>(slots, values, |slot, value| self.moments[slot].add(value, order));
        Ok(())
    }

    fn merge_slots(&mut self, steps: &[(u32, u32)]) -> Result<()> {
        for (from, to) in steps {
            let other = self.moments[*from as usize];
            self.moments[*to as usize].merge(&other);
        }
        Ok(())
    }

    fn merge_columns(&mut self, slots: &[u32], columns: &[ArrayRef]) -> Result<()> {
        let stored = (0..=self.order).map(|i| columns::primitive::<Float64Type>(columns, i));
        let stored = stored.collect::<Result<Vec<_>>>()?;
        for (row, slot) in slots.iter().enumerate() {
            let at = |i: usize| stored.get(i).map_or(0.0, |column| column.value(row));
            let other = Moments { n: at(0), mean: at(1), m2: at(2), m3: at(3), m4: at(4) };
            self.moments[*slot as usize].merge(&other);
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let values = slots.iter().map(|slot| self.moments[*slot as usize].value(self.moment));
        Ok(Arc::new(values.collect::<Float64Array>()))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let column = |i: usize| -> ArrayRef {
            let field = |m: &Moments| [m.n, m.mean, m.m2, m.m3, m.m4][i];
            Arc::new(slots.iter().map(|slot| field(&self.moments[*slot as usize])).collect::<Float64Array>())
        };
        Ok((0..=self.order).map(column).collect())
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.moments[*slot as usize] = Moments::default());
    }

    fn memory(&self) -> usize {
        self.moments.capacity() * size_of::<Moments>()
    }
}
