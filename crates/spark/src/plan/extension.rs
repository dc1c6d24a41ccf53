//! Relations that only SQL text has, as extension messages of our own.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::Field,
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection},
};
use millstream_engine::{Result, SparkError};
use prost::Message;
use spark_connect_proto::{self as proto, aggregate::GroupType, expression::ExprType};

use super::{
    aggregate::{Key, contains_aggregate},
    attribute::Attribute,
    grouping_sets::Shape,
    scope::RelationScope,
    sort,
    translator::{Frame, Translator},
};
use crate::{
    expression::TypedExpr,
    sql::message::{GroupedSelect, LateralView, NaturalJoin, Values},
};

fn decode<M: Message + Default>(any: &prost_types::Any) -> Result<M> {
    M::decode(any.value.as_slice())
        .map_err(|e| SparkError::internal(format!("the extension {} is damaged: {e}", any.type_url)))
}

/// The relations an extension of ours stands on.
pub(super) fn inputs(any: &prost_types::Any) -> Result<Vec<proto::Relation>> {
    Ok(match any.type_url.as_str() {
        GroupedSelect::TYPE_URL => {
            decode::<GroupedSelect>(any)?.input.map(|input| *input).into_iter().collect()
        }
        LateralView::TYPE_URL => decode::<LateralView>(any)?.input.map(|input| *input).into_iter().collect(),
        NaturalJoin::TYPE_URL => {
            let join = decode::<NaturalJoin>(any)?.join.unwrap_or_default();
            join.left.into_iter().chain(join.right).map(|side| *side).collect()
        }
        _ => Vec::new(),
    })
}

impl Translator<'_> {
    pub(super) fn extension(&self, any: &prost_types::Any) -> Result<Frame> {
        match any.type_url.as_str() {
            GroupedSelect::TYPE_URL => self.grouped_select(&decode(any)?),
            Values::TYPE_URL => self.values(&decode(any)?),
            LateralView::TYPE_URL => self.lateral_view(&decode(any)?),
            NaturalJoin::TYPE_URL => {
                let natural: NaturalJoin = decode(any)?;
                self.natural_join(self.required(natural.join.as_ref(), "join")?)
            }
            other => Err(SparkError::unsupported(format!("the extension {other}"))),
        }
    }

    fn grouped_select(&self, select: &GroupedSelect) -> Result<Frame> {
        let input = match &select.input {
            None => self.one_row(),
            Some(input) => self.frame(input)?,
        };
        let scope = RelationScope::select(self, &input).drawing();
        // Items may name the window they are grouped by: `window.start`.
        for key in &select.keys {
            if let Ok(resolved) = scope.resolve_all(key) {
                resolved
                    .into_iter()
                    .filter(|item| matches!(item.name.as_str(), "window" | "session_window"))
                    .for_each(|item| scope.note_alias(item));
            }
        }
        let mut items = Vec::with_capacity(select.items.len());
        for item in &select.items {
            let resolved = scope.resolve_all(item)?;
            scope.note_aliases(item, &resolved);
            items.extend(resolved);
        }
        let mut keys = Vec::new();
        if select.all {
            let plain = items.iter().filter(|item| !contains_aggregate(&item.expr));
            keys.extend(plain.map(|item| Key::new(self, item.clone())));
        }
        for key in &select.keys {
            match sort::ordinal(key) {
                Some(position) => keys.push(Key::new(self, by_position(&items, position)?)),
                None => keys.extend(self.key_or_alias(&scope, key, &select.items)?),
            }
        }
        let input = scope.windowed(&input)?;
        let shape = match select.group_type() {
            GroupType::GroupingSets => {
                let position = |i: &u32| usize::try_from(*i).unwrap_or(usize::MAX);
                Shape::Sets(select.sets.iter().map(|set| set.keys.iter().map(position).collect()).collect())
            }
            _ => Shape::Plain,
        };
        if shape != Shape::Plain && keys.len() != select.keys.len() {
            return Err(SparkError::unsupported("a star among the keys of grouping sets"));
        }
        self.aggregated(input, keys, shape, &items)
    }

    /// A grouping expression; a name that no column has may be an item's alias.
    fn key_or_alias(
        &self,
        scope: &RelationScope<'_, '_>,
        key: &proto::Expression,
        items: &[proto::Expression],
    ) -> Result<Vec<Key>> {
        let unresolved = match self.keys(scope, key) {
            Ok(keys) => return Ok(keys),
            Err(error) if error.class().starts_with("UNRESOLVED_COLUMN") => error,
            Err(error) => return Err(error),
        };
        let Some(ExprType::UnresolvedAttribute(attribute)) = &key.expr_type else { return Err(unresolved) };
        let name = super::identifier::parse_identifier(&attribute.unparsed_identifier)?;
        let [name] = name.as_slice() else { return Err(unresolved) };
        for item in items {
            if let Some(ExprType::Alias(alias)) = &item.expr_type
                && let [alias_name] = alias.name.as_slice()
                && self.same(alias_name, name)
                && let Some(child) = alias.expr.as_deref()
            {
                return self.keys(scope, child);
            }
        }
        Err(unresolved)
    }

    fn values(&self, values: &Values) -> Result<Frame> {
        let empty = self.one_row();
        let scope = RelationScope::select(self, &empty);
        let mut rows: Vec<Vec<TypedExpr>> = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            rows.push(row.cells.iter().map(|cell| scope.resolve_one(cell)).collect::<Result<_>>()?);
        }
        let width = rows.first().map_or(0, Vec::len);
        let mut columns: Vec<Attribute> = Vec::with_capacity(width);
        for i in 0..width {
            let cells: Vec<&TypedExpr> = rows.iter().filter_map(|row| row.get(i)).collect();
            let Some(first) = cells.first() else { continue };
            let mut common = (*first).clone();
            for cell in cells.iter().skip(1) {
                let data_type = self.common_type(&empty, &common, cell)?;
                common = TypedExpr::new(common.expr, data_type, true, "");
            }
            let nullable = cells.iter().any(|cell| cell.nullable());
            columns.push(self.attribute(Arc::new(Field::new(
                format!("col{}", i + 1),
                common.data_type().clone(),
                nullable,
            ))));
        }
        let mut exprs: Vec<Vec<Expr>> = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut cells = Vec::with_capacity(width);
            for (cell, column) in row.iter().zip(&columns) {
                cells.push(self.cast(&empty, cell, column.field.data_type())?.expr);
            }
            exprs.push(cells);
        }
        let rows = LogicalPlanBuilder::values(exprs)?.build()?;
        let named: Vec<Expr> = rows
            .schema()
            .columns()
            .into_iter()
            .zip(&columns)
            .map(|(column, attribute)| Expr::Column(column).alias(&attribute.id))
            .collect();
        let plan = LogicalPlan::Projection(Projection::try_new(named, Arc::new(rows))?);
        Ok(Frame::new(plan, columns, false))
    }

    fn lateral_view(&self, view: &LateralView) -> Result<Frame> {
        let input = self.input(view.input.as_deref())?;
        let generator = self.required(view.generator.as_ref(), "generator")?;
        let mut generated = self.generate(&input, generator, &view.columns)?;
        let known = input.columns.len();
        let mut columns = generated.columns.to_vec();
        for column in columns.iter_mut().skip(known) {
            column.qualifier = vec![view.table.clone()];
        }
        generated.columns = Arc::new(columns);
        Ok(generated)
    }
}

/// `GROUP BY 2`: a position in the select list.
fn by_position(items: &[TypedExpr], position: i32) -> Result<TypedExpr> {
    let item =
        usize::try_from(position).ok().and_then(|p| items.get(p.checked_sub(1)?)).ok_or_else(|| {
            SparkError::new("GROUP_BY_POS_OUT_OF_RANGE")
                .with("index", position.to_string())
                .with("size", items.len().to_string())
        })?;
    if contains_aggregate(&item.expr) {
        return Err(SparkError::new("GROUP_BY_POS_AGGREGATE")
            .with("index", position.to_string())
            .with("aggExpr", item.sql.clone()));
    }
    Ok(item.clone())
}
