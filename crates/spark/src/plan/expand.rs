//! Several rows from each row: a list of structs, unnested and taken apart.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::Field,
    common::{Column, ScalarValue, UnnestOptions},
    functions::core::expr_fn::{get_field, named_struct},
    functions_nested::expr_fn::make_array,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::Result;

use super::{attribute::Attribute, translator::Translator};

impl Translator<'_> {
    /// For each row of `plan` and each of `rows`, in that order, one row: the `kept` columns
    /// and behind them the row's cells, which have the fields `cells`.
    pub(super) fn expanded(
        &self,
        plan: &Arc<LogicalPlan>,
        kept: Vec<(Expr, Attribute)>,
        rows: Vec<Vec<Expr>>,
        cells: Vec<Field>,
    ) -> Result<(LogicalPlan, Vec<Attribute>)> {
        let structs = rows.into_iter().map(|row| {
            let fields = row.into_iter().enumerate().flat_map(|(k, cell)| [text(&cell_name(k)), cell]);
            named_struct(fields.collect())
        });
        let list_id = self.new_id();
        let (mut below, mut columns): (Vec<Expr>, Vec<Attribute>) = kept.into_iter().unzip();
        below.push(make_array(structs.collect()).alias(&list_id));
        let plan = LogicalPlan::Projection(Projection::try_new(below, Arc::clone(plan))?);
        let list = vec![Column::new_unqualified(&list_id)];
        let plan = LogicalPlanBuilder::from(plan)
            .unnest_columns_with_options(list, UnnestOptions::new().with_preserve_nulls(false))?
            .build()?;
        let row = Expr::Column(Column::new_unqualified(&list_id));
        let mut exprs: Vec<Expr> = columns.iter().map(Attribute::expr).collect();
        for (k, field) in cells.into_iter().enumerate() {
            let column = self.attribute(Arc::new(field));
            exprs.push(get_field(row.clone(), cell_name(k)).alias(&column.id));
            columns.push(column);
        }
        Ok((LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?), columns))
    }
}

/// A literal.
pub(super) fn text(value: &str) -> Expr {
    Expr::Literal(ScalarValue::Utf8(Some(value.to_string())), None)
}

/// The columns' own names may repeat.
fn cell_name(index: usize) -> String {
    format!("c{index}")
}
