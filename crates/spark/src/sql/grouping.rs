//! `GROUP BY` with `ROLLUP`, `CUBE` and `GROUPING SETS`.
//!
//! Whatever is asked for becomes a list of keys and, where there are totals, the sets of keys to
//! group by: each element of the clause stands for some sets, and all of them are crossed.

use datafusion::sql::sqlparser::ast::{Expr, GroupByExpr, GroupByWithModifier, Select};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::{self as proto, aggregate::GroupType};

use super::{
    message::{GroupedSelect, KeySet},
    query::Converter,
};

/// Grouping sets are listed one by one; Spark has the same bound.
const MOST_SETS: usize = 4096;

impl Converter<'_> {
    /// The grouping of a `SELECT`, without input and items; `None` where it has none.
    pub(super) fn group_by(&mut self, select: &Select) -> Result<Option<GroupedSelect>> {
        let (keys, modifiers) = match &select.group_by {
            GroupByExpr::All(modifiers) if modifiers.is_empty() => {
                return Ok(Some(GroupedSelect {
                    all: true,
                    group_type: GroupType::Groupby.into(),
                    ..Default::default()
                }));
            }
            GroupByExpr::All(_) => return Err(SparkError::unsupported("GROUP BY ALL with totals")),
            GroupByExpr::Expressions(keys, modifiers) => (keys, modifiers),
        };
        if keys.is_empty() {
            let global = || GroupedSelect { group_type: GroupType::Groupby.into(), ..Default::default() };
            return Ok(select.having.is_some().then(global));
        }
        let plain =
            keys.iter().all(|key| !matches!(key, Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_)));
        let mut grouping = Grouping::default();
        match modifiers.as_slice() {
            [] if plain => {
                for key in keys {
                    let key = self.expr(key)?;
                    grouping.keys.push(key);
                }
                return Ok(Some(grouping.plain()));
            }
            [] => {
                for key in keys {
                    let sets = self.sets(&mut grouping, key)?;
                    grouping.cross(&sets)?;
                }
            }
            [GroupByWithModifier::Rollup] => {
                let keys = keys.iter().map(|key| self.key(&mut grouping, key)).collect::<Result<Vec<_>>>()?;
                grouping.cross(&rollup(&keys))?;
            }
            [GroupByWithModifier::Cube] => {
                let keys = keys.iter().map(|key| self.key(&mut grouping, key)).collect::<Result<Vec<_>>>()?;
                grouping.cross(&cube(&keys)?)?;
            }
            [GroupByWithModifier::GroupingSets(sets)] => {
                // The keys stand before; the sets are of them.
                for key in keys {
                    self.key(&mut grouping, key)?;
                }
                let sets = self.sets(&mut grouping, sets)?;
                grouping.cross(&sets)?;
            }
            _ => return Err(SparkError::unsupported("GROUP BY with several modifiers")),
        }
        Ok(Some(grouping.with_sets()))
    }

    /// The sets one element of the clause stands for.
    fn sets(&mut self, grouping: &mut Grouping, element: &Expr) -> Result<Vec<Vec<u32>>> {
        let mut lists = |sets: &[Vec<Expr>]| -> Result<Vec<Vec<u32>>> {
            let list = |set: &Vec<Expr>, converter: &mut Self, grouping: &mut Grouping| {
                let keys = set.iter().map(|key| converter.key(grouping, key)).collect::<Result<Vec<_>>>()?;
                Ok(keys.concat())
            };
            sets.iter().map(|set| list(set, self, grouping)).collect()
        };
        match element {
            Expr::Rollup(sets) => Ok(rollup(&lists(sets)?)),
            Expr::Cube(sets) => cube(&lists(sets)?),
            Expr::GroupingSets(sets) => lists(sets),
            key => Ok(vec![self.key(grouping, key)?]),
        }
    }

    /// The keys an expression stands for: several for a tuple.
    fn key(&mut self, grouping: &mut Grouping, key: &Expr) -> Result<Vec<u32>> {
        match key {
            Expr::Tuple(items) => {
                let keys = items.iter().map(|item| self.key(grouping, item)).collect::<Result<Vec<_>>>()?;
                Ok(keys.concat())
            }
            Expr::Nested(inner) => self.key(grouping, inner),
            key => {
                let key = self.expr(key)?;
                Ok(vec![grouping.position(key)])
            }
        }
    }
}

#[derive(Default)]
struct Grouping {
    keys: Vec<proto::Expression>,
    /// `None` before the first element.
    sets: Option<Vec<Vec<u32>>>,
}

impl Grouping {
    /// The place of a key, which is there once.
    fn position(&mut self, key: proto::Expression) -> u32 {
        let at = self.keys.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.keys.push(key);
            self.keys.len() - 1
        });
        u32::try_from(at).unwrap_or(u32::MAX)
    }

    /// Each set so far with each of `sets`.
    fn cross(&mut self, sets: &[Vec<u32>]) -> Result<()> {
        let before = self.sets.take().unwrap_or_else(|| vec![Vec::new()]);
        if before.len().saturating_mul(sets.len()) > MOST_SETS {
            return Err(too_many());
        }
        let each = |own: &Vec<u32>| {
            let own = own.clone();
            sets.iter().map(move |set| {
                let mut both = own.clone();
                both.extend(set.iter().filter(|key| !own.contains(key)));
                both
            })
        };
        self.sets = Some(before.iter().flat_map(each).collect());
        Ok(())
    }

    fn plain(self) -> GroupedSelect {
        GroupedSelect { keys: self.keys, group_type: GroupType::Groupby.into(), ..Default::default() }
    }

    fn with_sets(self) -> GroupedSelect {
        let sets = self.sets.unwrap_or_default().into_iter().map(|keys| KeySet { keys }).collect();
        GroupedSelect {
            keys: self.keys,
            sets,
            group_type: GroupType::GroupingSets.into(),
            ..Default::default()
        }
    }
}

/// All lists, all but the last, ... none.
fn rollup(lists: &[Vec<u32>]) -> Vec<Vec<u32>> {
    (0..=lists.len()).rev().map(|n| lists.iter().take(n).flatten().copied().collect()).collect()
}

/// Every choice of lists, all of them first.
fn cube(lists: &[Vec<u32>]) -> Result<Vec<Vec<u32>>> {
    let n = u32::try_from(lists.len()).unwrap_or(u32::MAX);
    let Some(choices) = 1_usize.checked_shl(n).filter(|choices| *choices <= MOST_SETS) else {
        return Err(too_many());
    };
    // The first list is the highest bit.
    let chosen = |choice: usize| {
        let own = lists.iter().enumerate().filter(move |(i, _)| choice >> (lists.len() - 1 - i) & 1 == 1);
        own.flat_map(|(_, list)| list.iter().copied()).collect()
    };
    Ok((0..choices).rev().map(chosen).collect())
}

fn too_many() -> SparkError {
    SparkError::new("GROUPING_SIZE_LIMIT_EXCEEDED").with("maxSize", "64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_sets_of_keys() {
        assert_eq!(rollup(&[vec![0], vec![1, 2]]), [vec![0, 1, 2], vec![0], vec![]]);
        assert_eq!(cube(&[vec![0], vec![1]]).unwrap(), [vec![0, 1], vec![0], vec![1], vec![]]);
        let mut grouping = Grouping::default();
        grouping.cross(&[vec![0]]).unwrap();
        grouping.cross(&[vec![1], vec![]]).unwrap();
        assert_eq!(grouping.sets, Some(vec![vec![0, 1], vec![0]]));
    }
}
