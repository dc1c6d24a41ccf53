//! `fillna`, `dropna` and `replace`: missing and unwanted values.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::DataType,
    functions::math::expr_fn::isnan,
    logical_expr::{Expr, Filter, LogicalPlan, lit, when},
};
use millstream_engine::Result;
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, literal::LiteralType},
};

use super::{
    attribute::{self, Attribute},
    call::{cast_to, function},
    scope::{RelationScope, bound_name},
    translator::{Frame, Translator},
};
use crate::expression::TypedExpr;

impl Translator<'_> {
    pub(super) fn fill_na(&self, fill: &proto::NaFill) -> Result<Frame> {
        let input = self.input(fill.input.as_deref())?;
        for name in &fill.cols {
            self.column_named(&input, name)?;
        }
        let mut items = Vec::with_capacity(input.columns.len());
        for column in input.columns.iter() {
            let index = fill.cols.iter().position(|name| self.same(name, column.name()));
            let value = match (fill.cols.is_empty(), index) {
                (true, _) => fill.values.first(),
                (false, None) => None,
                (false, Some(index)) if fill.values.len() > 1 => fill.values.get(index),
                (false, Some(_)) => fill.values.first(),
            };
            let kind = column.field.data_type();
            match value.filter(|value| fills(value, kind)) {
                None => items.push(column.typed()),
                Some(value) => items.push(self.filled(&input, column, value)?),
            }
        }
        self.project_to(&input, &items)
    }

    fn filled(
        &self,
        input: &Frame,
        column: &Attribute,
        value: &proto::expression::Literal,
    ) -> Result<TypedExpr> {
        let data_type = column.field.data_type();
        let mut present = column.typed();
        if matches!(data_type, DataType::Float32 | DataType::Float64) {
            let number = isnan(column.expr()).is_not_true();
            present.expr = when(number, column.expr()).end()?;
        }
        let literal = proto::Expression { common: None, expr_type: Some(ExprType::Literal(value.clone())) };
        let call = function("coalesce", vec![bound_name(0), cast_to(literal, data_type)?]);
        let filled = RelationScope::binding(self, input, vec![present]).resolve_one(&call)?;
        Ok(TypedExpr { name: column.name().to_string(), ..filled })
    }

    pub(super) fn drop_na(&self, drop: &proto::NaDrop) -> Result<Frame> {
        let input = self.input(drop.input.as_deref())?;
        let columns: Vec<Attribute> = if drop.cols.is_empty() {
            input.columns.to_vec()
        } else {
            drop.cols.iter().map(|name| self.column_named(&input, name)).collect::<Result<_>>()?
        };
        let present = |a: &Attribute| {
            let there = a.expr().is_not_null();
            match a.field.data_type() {
                DataType::Float32 | DataType::Float64 => there.and(isnan(a.expr()).is_not_true()),
                _ => there,
            }
        };
        let least = drop.min_non_nulls.map_or(columns.len(), |n| usize::try_from(n).unwrap_or_default());
        let predicate = if least == columns.len() {
            columns.iter().map(present).reduce(Expr::and)
        } else {
            let mut count: Option<Expr> = None;
            for column in &columns {
                let one = when(present(column), lit(1_i64)).otherwise(lit(0_i64))?;
                count = Some(match count {
                    None => one,
                    Some(before) => before + one,
                });
            }
            let least = i64::try_from(least).unwrap_or(i64::MAX);
            count.map(|count| count.gt_eq(lit(least)))
        };
        let Some(predicate) = predicate else { return Ok(input) };
        let plan = LogicalPlan::Filter(Filter::try_new(predicate, Arc::clone(&input.plan))?);
        Ok(Frame::through(&input, plan))
    }

    pub(super) fn replace(&self, replace: &proto::NaReplace) -> Result<Frame> {
        let input = self.input(replace.input.as_deref())?;
        for name in &replace.cols {
            self.column_named(&input, name)?;
        }
        let old_kind = replace.replacements.iter().find_map(|r| r.old_value.as_ref().and_then(kind_of));
        let mut items = Vec::with_capacity(input.columns.len());
        for column in input.columns.iter() {
            let chosen =
                replace.cols.is_empty() || replace.cols.iter().any(|name| self.same(name, column.name()));
            let data_type = column.field.data_type();
            if !chosen || old_kind.is_none() || kind(data_type) != old_kind {
                items.push(column.typed());
                continue;
            }
            let literal = |value: &Option<proto::expression::Literal>| -> Result<proto::Expression> {
                let value = self.required(value.as_ref(), "replacement value")?.clone();
                cast_to(
                    proto::Expression { common: None, expr_type: Some(ExprType::Literal(value)) },
                    data_type,
                )
            };
            let mut arguments = Vec::new();
            for r in &replace.replacements {
                arguments.push(function("==", vec![bound_name(0), literal(&r.old_value)?]));
                arguments.push(literal(&r.new_value)?);
            }
            arguments.push(bound_name(0));
            let scope = RelationScope::binding(self, &input, vec![column.typed()]);
            let item = scope.resolve_one(&function("when", arguments))?;
            items.push(TypedExpr { name: column.name().to_string(), ..item });
        }
        self.project_to(&input, &items)
    }

    fn column_named(&self, input: &Frame, name: &str) -> Result<Attribute> {
        match attribute::find(&input.columns, &[name.to_string()], self.conf.case_sensitive)? {
            Some((column, 1)) => Ok(column.clone()),
            _ => Err(attribute::unresolved(&input.columns, &[name.to_string()])),
        }
    }
}

/// The kinds of values `fillna` and `replace` tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    Truth,
}

fn kind(data_type: &DataType) -> Option<Kind> {
    match data_type {
        DataType::Utf8 => Some(Kind::Text),
        DataType::Boolean => Some(Kind::Truth),
        other if other.is_numeric() => Some(Kind::Number),
        _ => None,
    }
}

fn kind_of(literal: &proto::expression::Literal) -> Option<Kind> {
    match literal.literal_type.as_ref()? {
        LiteralType::String(_) => Some(Kind::Text),
        LiteralType::Boolean(_) => Some(Kind::Truth),
        LiteralType::Byte(_)
        | LiteralType::Short(_)
        | LiteralType::Integer(_)
        | LiteralType::Long(_)
        | LiteralType::Float(_)
        | LiteralType::Double(_)
        | LiteralType::Decimal(_) => Some(Kind::Number),
        _ => None,
    }
}

/// Whether `value` fills a column of `data_type`.
fn fills(value: &proto::expression::Literal, data_type: &DataType) -> bool {
    kind_of(value).is_some_and(|kind_of_value| kind(data_type) == Some(kind_of_value))
}
