//! `Describe` and `Summary`: a row a statistic, all of them text.
//!
//! One aggregation computes every statistic of every column; the single row is then read
//! once for each statistic.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    logical_expr::{Expr, LogicalPlan, Union},
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
        let mut parts = Vec::with_capacity(statistics.len());
        let mut shown: Vec<Attribute> = Vec::new();
        for (i, statistic) in statistics.iter().enumerate() {
            let mut label = self.literal(&one, statistic)?;
            label.name = "summary".to_string();
            label.field = Arc::new(label.field.as_ref().clone().with_nullable(true));
            let mut items = vec![label];
            for (j, column) in columns.iter().enumerate() {
                let cell = one
                    .columns
                    .get(i * columns.len() + j)
                    .ok_or_else(|| SparkError::internal("no statistic"))?;
                items.push(TypedExpr { name: column.name().to_string(), ..cell.typed() });
            }
            if shown.is_empty() {
                shown = items
                    .iter()
                    .map(|item| self.output(&TypedExpr { named: true, ..item.clone() }).1)
                    .collect();
            }
            let exprs: Vec<Expr> =
                items.iter().zip(&shown).map(|(item, a)| item.expr.clone().alias(&a.id)).collect();
            let part = datafusion::logical_expr::Projection::try_new(exprs, Arc::clone(&one.plan))?;
            parts.push(Arc::new(LogicalPlan::Projection(part)));
        }
        let plan = match parts.as_slice() {
            [only] => only.as_ref().clone(),
            _ => LogicalPlan::Union(Union::try_new_with_loose_types(parts)?),
        };
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

    fn literal(&self, frame: &Frame, text: &str) -> Result<TypedExpr> {
        let value = proto::expression::literal::LiteralType::String(text.to_string());
        RelationScope::select(self, frame).resolve_one(&message::literal(value))
    }
}

fn described(column: &Attribute) -> bool {
    column.field.data_type().is_numeric() || *column.field.data_type() == DataType::Utf8
}
