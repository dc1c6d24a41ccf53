//! `corr`, `covar_pop`, `covar_samp` and linear regression over rows where both values are there.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, Float64Array},
    datatypes::Float64Type,
};

use super::{AggregateBuffer, Arrival, columns};
use crate::Result;

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    CovarPop,
    CovarSamp,
    Corr,
    Regression(Regression),
}

/// Of the line `y = slope * x + intercept` nearest to the rows, for the arguments `(y, x)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Regression {
    AvgX,
    AvgY,
    Intercept,
    R2,
    Slope,
    Sxx,
    Sxy,
    Syy,
}

/// Spark's buffer columns in order: `n`, `xAvg`, `yAvg`, `ck`, `xMk`, `yMk`.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    x: f64,
    y: f64,
    ck: f64,
    xm: f64,
    ym: f64,
}

impl Moments {
    fn add(&mut self, x: f64, y: f64) {
        let n = self.n + 1.0;
        let (dx, dy) = (x - self.x, y - self.y);
        let mean_x = self.x + dx / n;
        let mean_y = self.y + dy / n;
        self.ck += dx * (y - mean_y);
        self.xm += dx * (x - mean_x);
        self.ym += dy * (y - mean_y);
        (self.n, self.x, self.y) = (n, mean_x, mean_y);
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
        let (dx, dy) = (other.x - self.x, other.y - self.y);
        let (dx_n, dy_n) = (dx / n, dy / n);
        *self = Self {
            n,
            x: self.x + dx_n * n2,
            y: self.y + dy_n * n2,
            ck: self.ck + other.ck + dx * dy_n * n1 * n2,
            xm: self.xm + other.xm + dx * dx_n * n1 * n2,
            ym: self.ym + other.ym + dy * dy_n * n1 * n2,
        };
    }

    fn value(&self, relation: Relation) -> Option<f64> {
        let Self { n, ck, xm, ym, .. } = *self;
        match relation {
            _ if n == 0.0 => None,
            Relation::CovarPop => Some(ck / n),
            Relation::CovarSamp => (n > 1.0).then(|| ck / (n - 1.0)),
            // Where one side does not vary the other does not matter, not even as NaN.
            Relation::Corr if n == 1.0 || xm == 0.0 || ym == 0.0 => None,
            // Spark divides; what is too small to be a divisor makes null, too.
            Relation::Corr => Some((xm * ym).sqrt()).filter(|d| *d != 0.0).map(|d| ck / d),
            Relation::Regression(of) => self.regression(of),
        }
    }

    /// The first argument, `x` here, is the one that depends on the other.
    fn regression(&self, of: Regression) -> Option<f64> {
        let Self { ck, xm, ym, .. } = *self;
        let slope = (ym != 0.0).then(|| ck / ym);
        match of {
            Regression::AvgX => Some(self.y),
            Regression::AvgY => Some(self.x),
            Regression::Sxx => Some(ym),
            Regression::Syy => Some(xm),
            Regression::Sxy => Some(ck),
            Regression::Slope => slope,
            Regression::Intercept => slope.map(|slope| self.x - slope * self.y),
            Regression::R2 if ym == 0.0 => None,
            Regression::R2 if xm == 0.0 => Some(1.0),
            Regression::R2 => Some(ck / (xm * ym).sqrt()).map(|corr| corr * corr),
        }
    }

    fn column(&self, i: usize) -> f64 {
        [self.n, self.x, self.y, self.ck, self.xm, self.ym][i]
    }
}

/// Buffer: the first four columns for covariances, else all six.
#[derive(Debug)]
pub(super) struct Covariance {
    moments: Vec<Moments>,
    relation: Relation,
}

impl Covariance {
    pub(super) fn new(relation: Relation) -> Self {
        Self { moments: vec![], relation }
    }

    fn width(&self) -> usize {
        if matches!(self.relation, Relation::CovarPop | Relation::CovarSamp) { 4 } else { 6 }
    }
}

impl AggregateBuffer for Covariance {
    fn grow(&mut self, slots: usize) {
        self.moments.resize(slots.max(self.moments.len()), Moments::default());
    }

    fn update(&mut self, slots: &[u32], args: &[ArrayRef], _arrival: Arrival) -> Result<()> {
        let (x, y) =
            (columns::primitive::<Float64Type>(args, 0)?, columns::primitive::<Float64Type>(args, 1)?);
        for (row, slot) in slots.iter().enumerate() {
            if x.is_valid(row) && y.is_valid(row) {
                self.moments[*slot as usize].add(x.value(row), y.value(row));
            }
        }
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
        let stored = (0..self.width()).map(|i| columns::primitive::<Float64Type>(columns, i));
        let stored = stored.collect::<Result<Vec<_>>>()?;
        for (row, slot) in slots.iter().enumerate() {
            let at = |i: usize| stored.get(i).map_or(0.0, |column| column.value(row));
            let other = Moments { n: at(0), x: at(1), y: at(2), ck: at(3), xm: at(4), ym: at(5) };
            self.moments[*slot as usize].merge(&other);
        }
        Ok(())
    }

    fn evaluate(&self, slots: &[u32]) -> Result<ArrayRef> {
        let values = slots.iter().map(|slot| self.moments[*slot as usize].value(self.relation));
        Ok(Arc::new(values.collect::<Float64Array>()))
    }

    fn export(&self, slots: &[u32]) -> Result<Vec<ArrayRef>> {
        let column = |i: usize| -> ArrayRef {
            Arc::new(
                slots.iter().map(|slot| self.moments[*slot as usize].column(i)).collect::<Float64Array>(),
            )
        };
        Ok((0..self.width()).map(column).collect())
    }

    fn clear(&mut self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.moments[*slot as usize] = Moments::default());
    }

    fn memory(&self) -> usize {
        self.moments.capacity() * size_of::<Moments>()
    }
}
