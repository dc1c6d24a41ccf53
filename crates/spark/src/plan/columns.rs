//! `ToDF`, `WithColumns`, `WithColumnsRenamed` and `Drop`: the same rows, other columns.

use std::{collections::HashSet, sync::Arc};

use millstream_engine::{
    Result, SparkError,
    plan::{WATERMARK_DELAY_KEY, is_session_window},
};
use spark_connect_proto as proto;

use super::{
    attribute::{Attribute, same_name},
    generate,
    project::missing,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{
    expression::TypedExpr,
    functions::{Evaluation, kernel_call},
    types::quote_identifier,
};

impl Translator<'_> {
    pub(super) fn to_df(&self, to_df: &proto::ToDf) -> Result<Frame> {
        let input = self.input(to_df.input.as_deref())?;
        let names = &to_df.column_names;
        if names.len() != input.columns.len() {
            return Err(SparkError::new("ASSIGNMENT_ARITY_MISMATCH")
                .with("numTarget", input.columns.len().to_string())
                .with("numExpr", names.len().to_string()));
        }
        let items: Vec<TypedExpr> =
            input.columns.iter().zip(names).map(|(column, name)| renamed(column, name)).collect();
        self.project_to(&input, &items)
    }

    pub(super) fn with_columns(&self, with: &proto::WithColumns) -> Result<Frame> {
        let input = self.input(with.input.as_deref())?;
        let aliased = |alias: &proto::expression::Alias| proto::Expression {
            common: None,
            expr_type: Some(proto::expression::ExprType::Alias(Box::new(alias.clone()))),
        };
        let expressions: Vec<proto::Expression> = with.aliases.iter().map(aliased).collect();
        let expressions = generate::parsed(&expressions);
        let visible = input.columns.len();
        let (input, expressions) = generate::expand(self, input, &expressions)?;
        let scope = RelationScope::select(self, &input).drawing();
        let mut added = expressions.iter().map(|e| scope.resolve_one(e)).collect::<Result<Vec<_>>>()?;
        self.check_distinct(added.iter().map(|item| item.name.as_str()))?;
        let described = |name: &str| {
            let own = |alias: &&proto::expression::Alias| alias.name.iter().any(|own| own == name);
            with.aliases.iter().find(own).is_some_and(|alias| !alias.metadata().is_empty())
        };
        let forgets = |item: &TypedExpr| !described(&item.name) && !is_session_window(&item.field);
        for item in added.iter_mut().filter(|item| forgets(item)) {
            // Spark forgets here what it knew of the column: that it is a window, or an event time.
            if item.field.metadata().contains_key(WATERMARK_DELAY_KEY) {
                let (expr, to) = (item.expr.clone(), item.data_type().clone());
                let evaluation = Evaluation::of(self.conf);
                item.expr = kernel_call(
                    "unmarked",
                    |args| args.array(0),
                    vec![expr],
                    to,
                    item.nullable(),
                    evaluation,
                );
            }
            item.field = Arc::new(item.field.as_ref().clone().with_metadata(Default::default()));
        }
        let input_with_window = scope.windowed(&input)?;
        let mut items: Vec<TypedExpr> = Vec::with_capacity(input.columns.len() + added.len());
        let mut placed = HashSet::new();
        for column in input.columns.iter().take(visible) {
            match added.iter().position(|item| self.same(&item.name, column.name())) {
                Some(index) => {
                    placed.insert(index);
                    items.extend(added.get(index).cloned());
                }
                None => items.push(column.typed()),
            }
        }
        let new = added.into_iter().enumerate().filter(|(index, _)| !placed.contains(index));
        items.extend(new.map(|(_, item)| item));
        self.select(&input_with_window, &items)
    }

    pub(super) fn with_columns_renamed(&self, with: &proto::WithColumnsRenamed) -> Result<Frame> {
        let input = self.input(with.input.as_deref())?;
        let mut pairs: Vec<(String, String)> =
            with.renames.iter().map(|r| (r.col_name.clone(), r.new_col_name.clone())).collect();
        if pairs.is_empty() {
            pairs.extend(with.rename_columns_map.iter().map(|(k, v)| (k.clone(), v.clone())));
            pairs.sort();
        }
        let mut items: Vec<TypedExpr> = input.columns.iter().map(Attribute::typed).collect();
        for (old, new) in &pairs {
            for item in items.iter_mut().filter(|item| self.same(&item.name, old)) {
                item.name.clone_from(new);
            }
        }
        self.project_to(&input, &items)
    }

    pub(super) fn drop_columns(&self, drop: &proto::Drop) -> Result<Frame> {
        let input = self.input(drop.input.as_deref())?;
        let scope = RelationScope::select(self, &input);
        let mut dropped = Vec::new();
        for expression in &drop.columns {
            match scope.resolve_one(expression) {
                Ok(item) => dropped.push(item.expr),
                // What is not there need not be dropped; what is not clear is an error.
                Err(error) if error.class().starts_with("UNRESOLVED_COLUMN") => {}
                Err(error) if error.class() == "CANNOT_RESOLVE_DATAFRAME_COLUMN" => {}
                Err(error) => return Err(error),
            }
        }
        let kept: Vec<TypedExpr> = input
            .columns
            .iter()
            .filter(|a| !drop.column_names.iter().any(|name| self.same(name, a.name())))
            .filter(|a| !dropped.contains(&a.expr()))
            .map(Attribute::typed)
            .collect();
        if kept.len() == input.columns.len() { Ok(input) } else { self.project_to(&input, &kept) }
    }

    /// Whether two names are the same to this session.
    pub(super) fn same(&self, a: &str, b: &str) -> bool {
        same_name(a, b, self.conf.case_sensitive)
    }

    fn check_distinct<'n>(&self, names: impl Iterator<Item = &'n str>) -> Result<()> {
        let mut seen: Vec<&str> = Vec::new();
        for name in names {
            if seen.iter().any(|other| self.same(other, name)) {
                return Err(SparkError::new("COLUMN_ALREADY_EXISTS")
                    .with("columnName", quote_identifier(&name.to_lowercase())));
            }
            seen.push(name);
        }
        Ok(())
    }

    /// A frame for a message whose `input` must be there.
    pub(super) fn required<'m, T>(&self, part: Option<&'m T>, what: &str) -> Result<&'m T> {
        part.ok_or_else(|| missing(what))
    }
}

/// `column` under the name `name`.
pub(super) fn renamed(column: &Attribute, name: &str) -> TypedExpr {
    TypedExpr { name: name.to_string(), ..column.typed() }
}
