//! Spark's symmetric hash join, one row at a time.

use datafusion::common::JoinType;

/// A row of a side: event time in milliseconds, key, value.
pub type Row = (Option<i64>, Option<u8>, i64);

/// A row of the result; `None` stands for a padded side, or the missing right side of a semi join.
pub type Joined = (Option<Row>, Option<Row>);

/// The condition beside the equality of the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// None at all.
    Nothing,
    /// `lt >= rt - 5 s`: bounds the left side.
    Lower,
    /// `lt >= rt - 5 s and lt < rt + 8 s`: bounds both.
    Range,
    /// The event times are equal keys.
    Time,
}

#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub kind: JoinType,
    pub bound: Bound,
    /// `lv <> rv`.
    pub pairs: bool,
    /// `lv > 2 and rv > 1`, told from one side.
    pub sides: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub total: i64,
    pub updated: i64,
    pub removed: i64,
    pub late: i64,
}

/// Kept rows with their mark.
#[derive(Debug, Clone)]
pub struct Model {
    case: Case,
    kept: [Vec<(Row, bool)>; 2],
}

impl Model {
    pub fn new(case: Case) -> Self {
        Self { case, kept: [vec![], vec![]] }
    }

    fn partners(&self, left: Row, right: Row) -> bool {
        let Case { bound, pairs, .. } = self.case;
        let times = |ok: fn(i64, i64) -> bool| matches!((left.0, right.0), (Some(l), Some(r)) if ok(l, r));
        // Spark groups kept rows by key, so that null meets null where no filter is below.
        let nulls = self.case.kind == JoinType::Full;
        left.1 == right.1
            && (left.1.is_some() || nulls)
            && (!pairs || left.2 != right.2)
            && match bound {
                Bound::Nothing => true,
                Bound::Lower => times(|l, r| l >= r - 5000),
                Bound::Range => times(|l, r| l >= r - 5000 && l < r + 8000),
                Bound::Time => left.0 == right.0 && (left.0.is_some() || nulls),
            }
    }

    /// Up to which time rows of a side go.
    fn aged(&self, side: usize, watermark: i64) -> Option<i64> {
        let by_time = match (self.case.bound, side) {
            (Bound::Time, _) => return Some(watermark),
            (Bound::Nothing, _) | (Bound::Lower, 1) => None,
            (Bound::Lower | Bound::Range, 0) => Some(watermark - 5001),
            _ => Some(watermark - 8000),
        };
        // Spark takes `lv > 2` for a time of two seconds.
        let by_number = self.case.sides.then_some(2000 - 1000 * side as i64);
        by_time.into_iter().chain(by_number).min()
    }

    fn outer(&self, side: usize) -> bool {
        match self.case.kind {
            JoinType::Full => true,
            JoinType::Left => side == 0,
            JoinType::Right => side == 1,
            _ => false,
        }
    }

    fn padded(side: usize, row: Row) -> Joined {
        if side == 0 { (Some(row), None) } else { (None, Some(row)) }
    }

    pub fn batch(&mut self, late: i64, evict: i64, rows: [&[Row]; 2]) -> (Vec<Joined>, Counts) {
        let mut out = vec![];
        let mut counts = Counts::default();
        let semi = self.case.kind == JoinType::LeftSemi;
        for side in if semi { [1, 0] } else { [0, 1] } {
            for row in rows[side] {
                self.take(side, *row, late, evict, &mut out, &mut counts);
            }
        }
        for side in [0, 1] {
            let Some(aged) = self.aged(side, evict) else { continue };
            let old = |(row, _): &(Row, bool)| row.0.is_some_and(|t| t <= aged);
            for (row, matched) in self.kept[side].iter().filter(|k| old(k)) {
                counts.removed += 1;
                if self.outer(side) && !matched {
                    out.push(Self::padded(side, *row));
                }
            }
            self.kept[side].retain(|k| !old(k));
        }
        counts.total = (self.kept[0].len() + self.kept[1].len()) as i64;
        (out, counts)
    }

    fn take(
        &mut self,
        side: usize,
        row: Row,
        late: i64,
        evict: i64,
        out: &mut Vec<Joined>,
        counts: &mut Counts,
    ) {
        let semi = self.case.kind == JoinType::LeftSemi;
        if row.0.is_some_and(|t| t <= late) {
            counts.late += 1;
            return;
        }
        if self.case.sides && row.2 <= (2 - side as i64) {
            if self.outer(side) {
                out.push(Self::padded(side, row));
            }
            return;
        }
        let mut matched = false;
        let mut others = std::mem::take(&mut self.kept[1 - side]);
        for (other, mark) in &mut others {
            let (left, right) = if side == 0 { (row, *other) } else { (*other, row) };
            if !self.partners(left, right) {
                continue;
            }
            if !semi {
                out.push((Some(left), Some(right)));
            } else if side == 0 && !matched {
                out.push((Some(row), None));
            } else if side == 1 {
                out.push((Some(left), None));
                counts.removed += 1;
            }
            matched = true;
            *mark = true;
        }
        if semi && side == 1 {
            others.retain(|(_, mark)| !mark);
        }
        self.kept[1 - side] = others;
        let leaves = matches!((row.0, self.aged(side, evict)), (Some(t), Some(aged)) if t <= aged);
        let keep = match side {
            0 => !(semi && matched),
            _ => !leaves || (self.outer(1) && !matched),
        };
        if keep {
            self.kept[side].push((row, matched));
            counts.updated += 1;
        }
    }
}
