//! Which datasets a run brings up to date, and which it starts anew.

use std::collections::BTreeSet;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::pipeline_command::StartRun;

use super::{
    graph::{DataflowGraph, Table},
    identifier::{Identifier, QueryContext},
};

/// A choice of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableFilter {
    /// All of the graph.
    All,
    /// Those named.
    Some(BTreeSet<Identifier>),
    /// None.
    None,
}

/// The choice of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// Tables to be brought up to date.
    pub refresh: TableFilter,
    /// Tables to be emptied and made anew.
    pub full_refresh: TableFilter,
}

/// What happens to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// It is brought up to date.
    Incremental,
    /// It is made anew.
    Full,
}

impl TableFilter {
    fn contains(&self, name: &Identifier) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(name),
            Self::None => false,
        }
    }

    fn of(names: BTreeSet<Identifier>) -> Self {
        if names.is_empty() { Self::None } else { Self::Some(names) }
    }
}

impl Selection {
    /// The choice a client sent.
    ///
    /// # Errors
    /// Choices that contradict each other; text that is no identifier.
    pub fn of(command: &StartRun, context: &QueryContext) -> Result<Self> {
        let names = |texts: &[String]| -> Result<BTreeSet<Identifier>> {
            texts.iter().map(|text| Ok(Identifier::parse(text)?.qualified(context))).collect()
        };
        let illegal = |msg: String| Err(SparkError::new("_LEGACY_ERROR_TEMP_3241").with("msg", msg));
        let all = command.full_refresh_all.unwrap_or(false);
        for (list, what) in
            [(&command.refresh_selection, "refresh"), (&command.full_refresh_selection, "full refresh")]
        {
            if all && !list.is_empty() {
                return illegal(format!(
                    "Cannot specify a subset to {what} when full refresh all is set to true."
                ));
            }
        }
        let (refresh, full) = (names(&command.refresh_selection)?, names(&command.full_refresh_selection)?);
        let both: Vec<String> = refresh.intersection(&full).map(ToString::to_string).collect();
        if !both.is_empty() {
            return illegal(format!(
                "Datasets specified for refresh and full refresh cannot overlap: {}",
                both.join(", ")
            ));
        }
        if all {
            return Ok(Self { refresh: TableFilter::None, full_refresh: TableFilter::All });
        }
        if refresh.is_empty() && full.is_empty() {
            return Ok(Self { refresh: TableFilter::All, full_refresh: TableFilter::None });
        }
        Ok(Self { refresh: TableFilter::of(refresh), full_refresh: TableFilter::of(full) })
    }

    /// What happens to a table, if anything. A table that may not be reset is brought up to date
    /// instead.
    ///
    /// # Errors
    /// The table was named for a full refresh and may not be reset.
    pub fn refresh_of(&self, table: &Table) -> Result<Option<Refresh>> {
        if self.full_refresh.contains(&table.name) {
            if table.reset_allowed()? {
                return Ok(Some(Refresh::Full));
            }
            if let TableFilter::Some(_) = self.full_refresh {
                return Err(SparkError::new("_LEGACY_ERROR_TEMP_3102").with(
                    "msg",
                    format!(
                        "The table '{}' cannot be reset: see its property {}.",
                        table.name.unquoted(),
                        super::graph::RESET_ALLOWED
                    ),
                ));
            }
            return Ok(Some(Refresh::Incremental));
        }
        Ok(self.refresh.contains(&table.name).then_some(Refresh::Incremental))
    }

    /// Whether flows into `dataset` run.
    pub fn includes(&self, dataset: &Identifier) -> bool {
        self.refresh.contains(dataset) || self.full_refresh.contains(dataset)
    }

    /// Whether flows into `dataset` begin again.
    ///
    /// # Errors
    /// As [`Self::refresh_of`].
    pub fn resets(&self, graph: &DataflowGraph, dataset: &Identifier) -> Result<bool> {
        match graph.table(dataset) {
            Some(table) => Ok(self.refresh_of(table)? == Some(Refresh::Full)),
            None => Ok(self.full_refresh.contains(dataset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(refresh: &[&str], full: &[&str], all: bool) -> Result<Selection> {
        let context = QueryContext { catalog: Some("c".to_string()), database: Some("d".to_string()) };
        let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let command = StartRun {
            refresh_selection: texts(refresh),
            full_refresh_selection: texts(full),
            full_refresh_all: Some(all),
            ..Default::default()
        };
        Selection::of(&command, &context)
    }

    #[test]
    fn everything_is_brought_up_to_date_unless_something_is_named() {
        let name = |text: &str| Identifier::parse(text).unwrap();
        let all = selection(&[], &[], false).unwrap();
        assert!(all.includes(&name("c.d.t")) && all.full_refresh == TableFilter::None);
        let one = selection(&["d.t"], &["u"], false).unwrap();
        assert!(
            one.includes(&name("c.d.t")) && one.includes(&name("c.d.u")) && !one.includes(&name("c.d.v"))
        );
        assert_eq!(one.full_refresh, TableFilter::Some(BTreeSet::from([name("c.d.u")])));
        assert_eq!(selection(&[], &[], true).unwrap().full_refresh, TableFilter::All);
        assert!(selection(&["t"], &["c.d.t"], false).is_err());
        assert!(selection(&["t"], &[], true).is_err() && selection(&[], &["t"], true).is_err());
    }
}
