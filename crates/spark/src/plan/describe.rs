//! `Describe` and `Summary`: a row a statistic, all of them text.
//!
//! One aggregation computes every statistic of every column; its single row is then taken
//! apart into a row for each.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    aggregate::Aggregation,
    attribute::{self, Attribute},
    call::{cast_to, function},
    expand::text,
    scope::{RelationScope, bound_name},
    translator::{Frame, Translator},
};
use crate::{expression::TypedExpr, sql::message};

const DESCRIBE: [&str; 5] = ["count", "mean", "stddev", "min", "max"];

impl Translator<'_> {
    pub(super) fn describe(&self, describe: &proto::StatDescribe) -> Result<Frame> {
        let input = self.input(describe.input.as_deref())?;
        let statistics: Vec<String> = DESCRIBE.iter().map(ToString::to_string).collect();
        let mut columns = Vec::new();
        if describe.cols.is_empty() {
            columns.extend(input.columns.iter().filter(|a| described(a)).cloned());
        }
        for name in &describe.cols {
            match attribute::find(&input.columns, std::slice::from_ref(name), self.conf.case_sensitive)? {
                Some((column, 1)) => columns.extend(described(column).then(|| column.clone())),
                _ => return Err(attribute::unresolved(&input.columns, std::slice::from_ref(name))),
            }
        }
        self.statistics(&input, &columns, &statistics)
    }

    pub(super) fn summary(&self, summary: &proto::StatSummary) -> Result<Frame> {
        let input = self.input(summary.input.as_deref())?;
        let mut statistics = summary.statistics.clone();
        if statistics.is_empty() {
            statistics =
                ["count", "mean", "stddev", "min", "25%", "50%", "75%", "max"].map(String::from).to_vec();
        }
        let columns: Vec<Attribute> = input.columns.iter().filter(|a| described(a)).cloned().collect();
        self.statistics(&input, &columns, &statistics)
    }

    fn statistics(&self, input: &Frame, columns: &[Attribute], statistics: &[String]) -> Result<Frame> {
        if statistics.is_empty() {
            return Err(SparkError::internal("no statistics to describe"));
        }
        if input.is_streaming {
            return Err(SparkError::unsupported("describe and summary of a stream"));
        }
        let mut aggregation = Aggregation::new(input.clone(), Vec::new());
        let mut outputs = Vec::new();
        for statistic in statistics {
            for column in columns {
                let item = self.statistic(input, column, statistic)?;
                outputs.push(aggregation.output(self, &item)?);
            }
        }
        // Without columns there is still a row for each statistic.
        let one = if outputs.is_empty() { self.one_row() } else { aggregation.build(self, outputs)? };
        let mut rows = Vec::with_capacity(statistics.len());
        for (i, statistic) in statistics.iter().enumerate() {
            let cells = one
                .columns
                .get(i * columns.len()..(i + 1) * columns.len())
                .ok_or_else(|| SparkError::internal("no statistic"))?;
            rows.push(std::iter::once(text(statistic)).chain(cells.iter().map(Attribute::expr)).collect());
        }
        // One row holds all: as a list of rows it is read once, and their order is that of the list.
        let names = std::iter::once("summary").chain(columns.iter().map(Attribute::name));
        let cells = names.map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let (plan, shown) = self.expanded(&one.plan, Vec::new(), rows, cells)?;
        Ok(Frame::new(plan, shown, false))
    }

    /// One statistic of one column as text; null where it means nothing.
    fn statistic(&self, input: &Frame, column: &Attribute, statistic: &str) -> Result<TypedExpr> {
        let is_number = column.field.data_type().is_numeric();
        let arguments = vec![bound_name(0)];
        let value = match statistic.to_ascii_lowercase().as_str() {
            "count" => function("count", arguments),
            "count_distinct" => message::expression(proto::expression::ExprType::UnresolvedFunction(
                proto::expression::UnresolvedFunction {
                    function_name: "count".to_string(),
                    arguments,
                    is_distinct: true,
                    ..Default::default()
                },
            )),
            "min" => function("min", arguments),
            "max" => function("max", arguments),
            name @ ("mean" | "stddev") => {
                let function_name = if name == "mean" { "avg" } else { "stddev" };
                if is_number {
                    function(function_name, arguments)
                } else {
                    // Spark casts text to a number here, null where it is none.
                    let number = message::cast(bound_name(0), "double", true);
                    function(function_name, vec![number])
                }
            }
            other => return Err(SparkError::unsupported(format!("the statistic {other}"))),
        };
        let text = cast_to(value, &DataType::Utf8)?;
        let item = RelationScope::binding(self, input, vec![column.typed()]).resolve_one(&text)?;
        let field = item.field.as_ref().clone().with_nullable(true);
        Ok(TypedExpr { name: column.name().to_string(), field: Arc::new(field), ..item })
    }
}

fn described(column: &Attribute) -> bool {
    column.field.data_type().is_numeric() || *column.field.data_type() == DataType::Utf8
}
