//! Spark's rules for several stateful operators, one row at a time: which watermark each operator has, what is
//! late there, what becomes final, when a batch without data follows, and what a restart forgets.

use std::collections::{BTreeMap, BTreeSet};

use datafusion::common::JoinType;

use super::plan::{Op, Timed};

/// Event time in milliseconds, key, value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub t: Option<i64>,
    pub k: u8,
    pub v: Option<i64>,
}

/// Figures of one operator in one batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: i64,
    pub dropped: i64,
}

/// What one batch gives: rows, and figures by operator from the sink downwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    pub rows: Vec<Row>,
    /// Only so many of the rows, whichever: a limit stands above rows without an order.
    pub most: Option<usize>,
    pub counts: Vec<Counts>,
}

/// A node with its state.
#[derive(Debug, Clone)]
struct Node {
    op: Op,
    below: Vec<Node>,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    None,
    /// Keys, and when they are forgotten.
    Seen(BTreeMap<Row, Option<i64>>),
    /// Sums by window and key.
    Groups(BTreeMap<(i64, i64, u8), Option<i64>>),
    /// Rows of both sides, and whether they have had a partner.
    Kept([Vec<(Row, bool)>; 2]),
    /// How many rows a limit has let through.
    Passed(usize),
}

/// A batch while it runs.
struct Batch<'a> {
    /// New rows by stream.
    rows: &'a [Vec<Row>],
    late: i64,
    evict: i64,
    /// The greatest event time by watermark, in the order of the plan.
    seen: Vec<Option<i64>>,
    counts: Vec<Counts>,
    most: Option<usize>,
}

fn add(sum: Option<i64>, v: Option<i64>) -> Option<i64> {
    match (sum, v) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    }
}

impl Node {
    fn new(op: &Op) -> Self {
        let state = match op {
            Op::Source { .. } | Op::Union { .. } => State::None,
            Op::Dedup { .. } => State::Seen(BTreeMap::new()),
            Op::Window { .. } | Op::Session { .. } => State::Groups(BTreeMap::new()),
            Op::Join { .. } => State::Kept([vec![], vec![]]),
            Op::Limit { .. } => State::Passed(0),
        };
        Self { op: op.clone(), below: op.inputs().into_iter().map(Self::new).collect(), state }
    }

    /// What the operator is told of the query's watermark.
    fn input_watermark(&self, origin: i64) -> i64 {
        if origin == 0 {
            return 0;
        }
        self.below.iter().map(|node| node.output_watermark(origin)).min().unwrap_or(origin).max(0)
    }

    /// How old the rows that leave the node may be.
    fn output_watermark(&self, origin: i64) -> i64 {
        let input = self.below.iter().map(|node| node.output_watermark(origin)).min().unwrap_or(origin);
        match &self.op {
            Op::Join { before, after, .. } => (input - after - 1).min(input - before - 1).min(input),
            _ => input,
        }
    }

    /// Whether some operator would do something when the query's watermark moves from `from` to `to`.
    fn wants(&self, from: i64, to: i64) -> bool {
        let waits = !matches!(self.state, State::None | State::Passed(_));
        let own = waits && self.input_watermark(to) > self.input_watermark(from);
        own || self.below.iter().any(|node| node.wants(from, to))
    }

    fn run(&mut self, batch: &mut Batch<'_>) -> Vec<Row> {
        let stateful = !matches!(self.state, State::None);
        let place = batch.counts.len();
        if stateful {
            batch.counts.push(Counts::default());
        }
        let (late, evict) = (self.input_watermark(batch.late), self.input_watermark(batch.evict));
        let mut inputs: Vec<Vec<Row>> = self.below.iter_mut().map(|node| node.run(batch)).collect();
        let delay = self.op.delay();
        let mut counts = Counts::default();
        let rows = match (&self.op, &mut self.state) {
            (Op::Source { stream, .. }, _) => {
                let rows = batch.rows.get(*stream).cloned().unwrap_or_default();
                batch.seen.push(rows.iter().filter_map(|row| row.t).max());
                rows
            }
            (Op::Dedup { within, whole, .. }, State::Seen(seen)) => {
                let mut kept = vec![];
                for row in inputs.remove(0) {
                    if row.t.is_some_and(|t| t <= late) {
                        counts.dropped += 1;
                        continue;
                    }
                    let key = match (whole, within) {
                        (true, _) => row.clone(),
                        (false, true) => Row { t: None, v: None, ..row },
                        (false, false) => Row { v: None, ..row },
                    };
                    if seen.contains_key(&key) {
                        continue;
                    }
                    let gone = if *within { Some(row.t.unwrap_or(0) + delay) } else { row.t };
                    seen.insert(key, gone);
                    kept.push(row);
                }
                seen.retain(|_, gone| gone.is_none_or(|at| at > evict));
                counts.total = seen.len() as i64;
                kept
            }
            (Op::Window { size, slide, .. }, State::Groups(groups)) => {
                let mut dropped = BTreeMap::new();
                for row in inputs.remove(0) {
                    let Some(t) = row.t else { continue };
                    let mut start = t.div_euclid(*slide) * slide;
                    while start > t - size {
                        let group = (start, start + size, row.k);
                        if group.1 <= late {
                            dropped.insert(group, ());
                        } else {
                            let sum = groups.entry(group).or_default();
                            *sum = add(*sum, row.v);
                        }
                        start -= slide;
                    }
                }
                counts.dropped = dropped.len() as i64;
                finals(groups, evict, &mut counts)
            }
            (Op::Session { gap, .. }, State::Groups(groups)) => {
                // Spark groups equal sessions before it looks which are late.
                let mut dropped = BTreeSet::new();
                for row in inputs.remove(0) {
                    let Some(t) = row.t else { continue };
                    let mut session = (t, t + gap, row.k);
                    if session.1 <= late {
                        dropped.insert(session);
                        continue;
                    }
                    let mut sum = row.v;
                    let meets = |s: &(i64, i64, u8)| s.2 == session.2 && s.0 <= session.1 && session.0 <= s.1;
                    let met: Vec<_> = groups.keys().copied().filter(meets).collect();
                    for other in met {
                        sum = add(groups.remove(&other).unwrap(), sum);
                        session = (session.0.min(other.0), session.1.max(other.1), session.2);
                    }
                    groups.insert(session, sum);
                }
                counts.dropped = dropped.len() as i64;
                finals(groups, evict, &mut counts)
            }
            (Op::Join { kind, narrowed, before, after, .. }, State::Kept(kept)) => {
                let join = Pairing { kind: *kind, narrowed: *narrowed, before: *before, after: *after };
                let out = join.run(kept, [inputs.remove(0), inputs.remove(0)], (late, evict), &mut counts);
                counts.total = (kept[0].len() + kept[1].len()) as i64;
                out
            }
            (Op::Limit { rows: most, input }, State::Passed(passed)) => {
                let mut rows = inputs.remove(0);
                let taken = rows.len().min(most - *passed);
                *passed += taken;
                counts.total = i64::from(*passed > 0);
                if input.ordered() {
                    rows.truncate(taken);
                } else if taken < rows.len() {
                    batch.most = Some(taken);
                }
                rows
            }
            (Op::Union { .. }, _) => inputs.concat(),
            (op, _) => panic!("{op:?} with the state of another"),
        };
        if stateful {
            batch.counts[place] = counts;
        }
        rows
    }
}

/// Spark's symmetric hash join.
struct Pairing {
    kind: JoinType,
    narrowed: bool,
    before: i64,
    after: i64,
}

impl Pairing {
    fn outer(&self, side: usize) -> bool {
        match self.kind {
            JoinType::Full => true,
            JoinType::Left => side == 0,
            JoinType::Right => side == 1,
            _ => false,
        }
    }

    fn partners(&self, l: &Row, r: &Row) -> bool {
        let Some((lt, rt)) = l.t.zip(r.t) else { return false };
        l.k == r.k && rt >= lt - self.before && rt <= lt + self.after
    }

    fn pair(&self, l: &Row, r: &Row) -> Row {
        let v = l.v.zip(r.v).map(|(l, r)| l * 10 + r);
        let t = if self.kind == JoinType::Right { r.t } else { l.t };
        Row { t, k: l.k, v: v.or(l.v).or(r.v) }
    }

    /// A row that comes out alone.
    fn padded(&self, side: usize, row: &Row) -> Row {
        let timed = (self.kind == JoinType::Right) == (side == 1);
        Row { t: row.t.filter(|_| timed), ..row.clone() }
    }

    fn run(
        &self,
        kept: &mut [Vec<(Row, bool)>; 2],
        mut inputs: [Vec<Row>; 2],
        (late, evict): (i64, i64),
        counts: &mut Counts,
    ) -> Vec<Row> {
        let semi = self.kind == JoinType::LeftSemi;
        let aged = [evict - self.after - 1, evict - self.before - 1];
        let old = |side: usize, row: &Row| row.t.is_some_and(|t| t <= aged[side]);
        let mut out = vec![];
        for side in if semi { [1, 0] } else { [0, 1] } {
            for row in std::mem::take(&mut inputs[side]) {
                // What cannot meet anything is filtered out before, but for rows that come out alone.
                if row.t.is_none() && !self.outer(side) && !self.narrowed {
                    continue;
                }
                if row.t.is_some_and(|t| t <= late) {
                    counts.dropped += 1;
                    continue;
                }
                let mut matched = false;
                for (other, mark) in &mut kept[1 - side] {
                    let (l, r) = if side == 0 { (&row, &*other) } else { (&*other, &row) };
                    if !self.partners(l, r) {
                        continue;
                    }
                    match semi {
                        false => out.push(self.pair(l, r)),
                        true if side == 0 && matched => {}
                        true => out.push(l.clone()),
                    }
                    (matched, *mark) = (true, true);
                }
                // A left row that has a partner has been given out.
                if semi && side == 1 {
                    kept[0].retain(|(_, met)| !met);
                }
                // A right row that would leave at once does not wait for the left rows of its batch.
                let waits = if side == 0 { !matched } else { !old(1, &row) };
                if waits || !semi {
                    kept[side].push((row, matched));
                }
            }
        }
        for side in [0, 1] {
            if self.outer(side) {
                let alone = kept[side].iter().filter(|(row, matched)| old(side, row) && !matched);
                out.extend(alone.map(|(row, _)| self.padded(side, row)));
            }
            kept[side].retain(|(row, _)| !old(side, row));
        }
        out
    }
}

/// Emits and removes what ends at the watermark.
fn finals(groups: &mut BTreeMap<(i64, i64, u8), Option<i64>>, evict: i64, counts: &mut Counts) -> Vec<Row> {
    let done: Vec<_> = groups.keys().copied().filter(|group| group.1 <= evict).collect();
    let row = |group: &(i64, i64, u8)| Row { t: Some(group.1), k: group.2, v: groups[group] };
    let rows = done.iter().map(row).collect();
    groups.retain(|group, _| group.1 > evict);
    counts.total = groups.len() as i64;
    rows
}

/// A query over its whole life.
#[derive(Debug, Clone)]
pub struct Query {
    root: Node,
    max_policy: bool,
    /// By stream: rows of all files so far, and how many batches have taken.
    fed: Vec<Vec<Row>>,
    taken: Vec<usize>,
    /// The batch that was planned and not committed: up to where it reads, and its watermark.
    planned: Option<(Vec<usize>, i64)>,
    /// Watermark of the last batch planned, and of the next one.
    last: i64,
    next: i64,
    /// All batches that ran to their end.
    pub batches: Vec<Outcome>,
}

/// Where a run ended before its time: batches planned and batches committed.
pub type Death = (usize, usize);

impl Query {
    pub fn new(op: &Op, streams: usize, max_policy: bool) -> Self {
        let narrowed = op.with_limits_settled().narrowed(Timed::No);
        Self {
            root: Node::new(&narrowed.with_limits_settled()),
            max_policy,
            fed: vec![vec![]; streams],
            taken: vec![0; streams],
            planned: None,
            last: 0,
            next: 0,
            batches: vec![],
        }
    }

    pub fn feed(&mut self, stream: usize, rows: &[Row]) {
        self.fed[stream].extend_from_slice(rows);
    }

    fn delays(op: &Op, found: &mut Vec<i64>) {
        if let Op::Source { delay, .. } = op {
            found.push(*delay);
        }
        op.inputs().into_iter().for_each(|input| Self::delays(input, found));
    }

    /// One run until nothing is left to do, or until it dies.
    ///
    /// # Panics
    /// When the run died where no run of Spark comes by.
    pub fn run(&mut self, death: Option<Death>) {
        let mut delays = vec![];
        Self::delays(&self.root.op, &mut delays);
        // A restart forgets what each watermark has seen and what the last batch was told.
        let mut seen: Vec<Option<i64>> = vec![None; delays.len()];
        let mut before: Option<i64> = None;
        loop {
            let (planned, committed) =
                (self.batches.len() + usize::from(self.planned.is_some()), self.batches.len());
            if death == Some((planned, committed)) {
                return;
            }
            let rerun = self.planned.take();
            let (end, watermark, late) = match rerun {
                Some((end, watermark)) => (end, watermark, self.last),
                None => {
                    let end: Vec<usize> = self.fed.iter().map(Vec::len).collect();
                    let wanted = before.is_some_and(|before| self.root.wants(before, self.next));
                    if end == self.taken && !wanted {
                        assert_eq!(death, None, "died where nothing is left to do");
                        return;
                    }
                    if death == Some((committed + 1, committed)) {
                        self.planned = Some((end, self.next));
                        return;
                    }
                    (end, self.next, self.last)
                }
            };
            let news =
                self.fed.iter().zip(&self.taken).zip(&end).map(|((all, from), to)| all[*from..*to].to_vec());
            let news: Vec<Vec<Row>> = news.collect();
            let mut batch =
                Batch { rows: &news, late, evict: watermark, seen: vec![], counts: vec![], most: None };
            let rows = self.root.run(&mut batch);
            for ((own, new), delay) in seen.iter_mut().zip(&batch.seen).zip(&delays) {
                *own = (*own).max(new.map(|t| t - delay));
            }
            let known = seen.iter().map(|own| own.unwrap_or(0));
            let chosen = if self.max_policy { known.max() } else { known.min() };
            self.batches.push(Outcome { rows, most: batch.most, counts: batch.counts });
            (self.taken, self.last, before) = (end, watermark, Some(watermark));
            self.next = watermark.max(chosen.unwrap_or(0));
        }
    }
}
