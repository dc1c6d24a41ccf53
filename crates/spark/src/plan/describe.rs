//! `Describe` and `Summary`: a row a statistic, all of them text.
//!
//! One aggregation computes every statistic of every column; its single row is then taken
//! apart into a row for each.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field},
    common::{Column, ScalarValue, UnnestOptions},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::{
    aggregate::Aggregation,
    attribute::{self, Attribute},
    call::{cast_to, function},
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
            let values = std::iter::once(text(statistic)).chain(cells.iter().map(Attribute::expr));
            let fields = values.enumerate().flat_map(|(k, value)| [text(&cell_name(k)), value]);
            rows.push(datafusion::functions::core::expr_fn::named_struct(fields.collect()));
        }
        // One row holds all: as a list of rows it is read once, and their order is that of the list.
        let list_id = self.new_id();
        let list = datafusion::functions_nested::expr_fn::make_array(rows).alias(&list_id);
        let plan = Projection::try_new(vec![list], Arc::clone(&one.plan))?;
        let plan = LogicalPlanBuilder::from(LogicalPlan::Projection(plan))
            .unnest_columns_with_options(vec![Column::new_unqualified(&list_id)], UnnestOptions::new())?
            .build()?;
        let row = Expr::Column(Column::new_unqualified(&list_id));
        let names = std::iter::once("summary").chain(columns.iter().map(Attribute::name));
        let mut shown = Vec::with_capacity(columns.len() + 1);
        let mut exprs = Vec::with_capacity(columns.len() + 1);
        for (k, name) in names.enumerate() {
            let column = self.attribute(Arc::new(Field::new(name, DataType::Utf8, true)));
            let cell = datafusion::functions::core::expr_fn::get_field(row.clone(), cell_name(k));
            exprs.push(cell.alias(&column.id));
            shown.push(column);
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
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

fn text(value: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8(Some(value.to_string())), None)
}

/// The columns' own names may repeat.
fn cell_name(index: usize) -> String {
    format!("c{index}")
}

fn described(column: &Attribute) -> bool {
    column.field.data_type().is_numeric() || *column.field.data_type() == DataType::Utf8
}
