//! Generators: `explode`, `posexplode`, `inline` and their `_outer` forms, one row an element.
//!
//! The generator's argument becomes a list column that DataFusion unnests: of the elements,
//! of `{key, value}` entries for a map, with a list of positions beside it.

use std::borrow::Cow;

use datafusion::{
    arrow::datatypes::{DataType, Field, FieldRef},
    common::{Column, UnnestOptions},
    functions::core::expr_fn::get_field,
    functions_nested::expr_fn::{map_entries, range},
    logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit, when},
};
use std::sync::Arc;

use millstream_engine::{Result, SparkError};
use spark_connect_proto::{
    self as proto,
    expression::{ExprType, UnresolvedFunction},
};

use super::{
    attribute::Attribute,
    project::missing,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::{
    expression::TypedExpr,
    sql::{self, message},
    types,
};

const GENERATORS: [&str; 8] = [
    "explode",
    "explode_outer",
    "posexplode",
    "posexplode_outer",
    "inline",
    "inline_outer",
    "stack",
    "json_tuple",
];

/// The generator `expression` calls and the names its alias gives.
fn generator(expression: &proto::Expression) -> Option<(&proto::Expression, &[String])> {
    match expression.expr_type.as_ref()? {
        ExprType::Alias(alias) => {
            generator(alias.expr.as_deref()?).map(|(call, _)| (call, alias.name.as_slice()))
        }
        ExprType::UnresolvedFunction(call) => GENERATORS
            .iter()
            .any(|name| call.function_name.eq_ignore_ascii_case(name))
            .then_some((expression, &[])),
        _ => None,
    }
}

/// The select list with generators that came as SQL text (`selectExpr("explode(a) b")`) parsed.
pub(super) fn parsed(expressions: &[proto::Expression]) -> Cow<'_, [proto::Expression]> {
    let as_generator = |expression: &proto::Expression| match expression.expr_type.as_ref() {
        // What cannot be parsed is reported where the item is resolved.
        Some(ExprType::ExpressionString(text)) => {
            sql::parse_expression(&text.expression).ok().filter(|parsed| generator(parsed).is_some())
        }
        _ => None,
    };
    let as_generator = |expression: &proto::Expression| match expression.expr_type.as_ref() {
        Some(ExprType::Alias(alias)) => alias.expr.as_deref().and_then(as_generator).map(|call| {
            let alias = proto::expression::Alias { expr: Some(Box::new(call)), ..alias.as_ref().clone() };
            proto::Expression {
                common: expression.common.clone(),
                expr_type: Some(ExprType::Alias(Box::new(alias))),
            }
        }),
        _ => as_generator(expression),
    };
    let found: Vec<Option<proto::Expression>> = expressions.iter().map(as_generator).collect();
    if found.iter().all(Option::is_none) {
        return Cow::Borrowed(expressions);
    }
    let items = expressions.iter().zip(found);
    Cow::Owned(items.map(|(given, parsed)| parsed.unwrap_or_else(|| given.clone())).collect())
}

/// `input` with the rows a generator among `expressions` makes, and the expressions over
/// those.
pub(super) fn expand<'e>(
    translator: &Translator<'_>,
    input: Frame,
    expressions: &'e [proto::Expression],
) -> Result<(Frame, Cow<'e, [proto::Expression]>)> {
    let found: Vec<usize> =
        (0..expressions.len()).filter(|i| expressions.get(*i).and_then(generator).is_some()).collect();
    let [position] = found.as_slice() else {
        if found.is_empty() {
            return Ok((input, Cow::Borrowed(expressions)));
        }
        let names: Vec<String> = expressions
            .iter()
            .filter_map(generator)
            .filter_map(|(call, _)| function(call).map(|call| format!("\"{}()\"", call.function_name)))
            .collect();
        return Err(SparkError::new("UNSUPPORTED_GENERATOR.MULTI_GENERATOR")
            .with("num", found.len().to_string())
            .with("generators", names.join(", ")));
    };
    let Some((call, names)) = expressions.get(*position).and_then(generator) else {
        return Err(missing("generator"));
    };
    let frame = translator.generate(&input, call, names)?;
    // The other items see the input's columns, this one the generated ones.
    let mut items = Vec::with_capacity(expressions.len() + 1);
    for (i, expression) in expressions.iter().enumerate() {
        if i == *position {
            for column in frame.columns.iter().skip(input.columns.len()) {
                items.push(message::attribute(&[generated_qualifier(column), column.name().to_string()]));
            }
        } else {
            items.push(expression.clone());
        }
    }
    let columns = frame
        .columns
        .iter()
        .enumerate()
        .map(|(i, column)| match i < input.columns.len() {
            true => column.clone(),
            false => Attribute { qualifier: vec![generated_qualifier(column)], ..column.clone() },
        })
        .collect();
    Ok((frame.with_columns(columns), Cow::Owned(items)))
}

/// A qualifier no user writes, unique to a generated column.
fn generated_qualifier(column: &Attribute) -> String {
    format!("\0{}", column.id)
}

fn function(expression: &proto::Expression) -> Option<&UnresolvedFunction> {
    match &expression.expr_type {
        Some(ExprType::UnresolvedFunction(call)) => Some(call),
        _ => None,
    }
}

impl Translator<'_> {
    /// `input`'s columns and those of `generator`, named by `names` where there are any.
    pub(super) fn generate(
        &self,
        input: &Frame,
        generator: &proto::Expression,
        names: &[String],
    ) -> Result<Frame> {
        let call = function(generator).ok_or_else(|| missing("generator"))?;
        let name = call.function_name.to_ascii_lowercase();
        let (base, outer) = match name.strip_suffix("_outer") {
            Some(base) => (base, true),
            None => (name.as_str(), false),
        };
        if !matches!(base, "explode" | "posexplode" | "inline") {
            return Err(SparkError::unsupported(format!("the generator `{name}`")));
        }
        let [argument] = call.arguments.as_slice() else {
            return Err(SparkError::new("WRONG_NUM_ARGS.WITHOUT_SUGGESTION")
                .with("functionName", types::quote_identifier(&name))
                .with("expectedNum", "1")
                .with("actualNum", call.arguments.len().to_string())
                .with("docroot", "https://spark.apache.org/docs/latest"));
        };
        let scope = RelationScope::visible(self, input).drawing();
        let argument = scope.resolve_one(argument)?;
        let input = &scope.windowed(input)?.trimmed()?;
        let (list, element) = list_of_elements(base, &argument)?;
        let elements = list.clone();
        let list = if outer { at_least_one(list, &element)? } else { list };

        let list_id = self.new_id();
        let mut exprs: Vec<Expr> = input.columns.iter().map(Attribute::expr).collect();
        exprs.push(list.clone().alias(&list_id));
        let mut unnested = vec![Column::new_unqualified(&list_id)];
        let position_id = self.new_id();
        if base == "posexplode" {
            let length = datafusion::functions_nested::expr_fn::array_length(elements);
            let length = datafusion::logical_expr::cast(length, DataType::Int64);
            let length = when(length.clone().is_null(), lit(0_i64)).otherwise(length)?;
            let positions = range(lit(0_i64), length, lit(1_i64));
            // A row that is there only because there is no element has no position either.
            let positions = if outer {
                at_least_one(positions, &Field::new_list_field(DataType::Int64, true))?
            } else {
                positions
            };
            exprs.push(positions.alias(&position_id));
            unnested.push(Column::new_unqualified(&position_id));
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::clone(&input.plan))?);
        let options = UnnestOptions::new().with_preserve_nulls(false);
        let plan = LogicalPlanBuilder::from(plan).unnest_columns_with_options(unnested, options)?.build()?;

        let generated = self.generated(base, outer, &list_id, &position_id, &element, names, &argument)?;
        let mut exprs: Vec<Expr> = input.columns.iter().map(Attribute::expr).collect();
        let mut columns = input.columns.to_vec();
        for item in &generated {
            let (expr, column) = self.output(item);
            exprs.push(expr);
            columns.push(column);
        }
        let plan = LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(plan))?);
        Ok(Frame::new(plan, columns, input.is_streaming))
    }

    /// The columns a generator makes, over the unnested ones.
    #[expect(clippy::too_many_arguments, reason = "all of them describe one generator call")]
    fn generated(
        &self,
        base: &str,
        outer: bool,
        list_id: &str,
        position_id: &str,
        element: &FieldRef,
        names: &[String],
        argument: &TypedExpr,
    ) -> Result<Vec<TypedExpr>> {
        let column = |id: &str| Expr::Column(Column::new_unqualified(id));
        let may_miss = outer || (base == "inline" && element.is_nullable());
        let item = |expr: Expr, field: &Field, name: &str| {
            let result = Field::new("", field.data_type().clone(), field.is_nullable() || may_miss);
            TypedExpr::attribute(expr, Arc::new(result), name)
        };
        let mut items = Vec::new();
        if base == "posexplode" {
            let position = datafusion::logical_expr::cast(column(position_id), DataType::Int32);
            items.push(item(position, &Field::new("pos", DataType::Int32, false), "pos"));
        }
        let is_map = matches!(argument.data_type(), DataType::Map(..));
        match element.data_type() {
            DataType::Struct(fields) if is_map || base == "inline" => {
                for field in fields {
                    let mut value = get_field(column(list_id), field.name().as_str());
                    if may_miss {
                        // DataFusion reads the field's slot even where the struct is null.
                        value = when(column(list_id).is_not_null(), value).end()?;
                    }
                    items.push(item(value, field, field.name()));
                }
            }
            _ => items.push(item(column(list_id), element, "col")),
        }
        if !names.is_empty() {
            if names.len() != items.len() {
                return Err(SparkError::new("UDTF_ALIAS_NUMBER_MISMATCH")
                    .with("aliasesSize", items.len().to_string())
                    .with("aliasesNames", names.join(",")));
            }
            for (item, name) in items.iter_mut().zip(names) {
                item.name.clone_from(name);
            }
        }
        Ok(items)
    }
}

/// The list to unnest and the field of its elements.
fn list_of_elements(base: &str, argument: &TypedExpr) -> Result<(Expr, FieldRef)> {
    match argument.data_type() {
        DataType::List(element) if base != "inline" => Ok((argument.expr.clone(), Arc::clone(element))),
        DataType::List(element) if matches!(element.data_type(), DataType::Struct(_)) => {
            Ok((argument.expr.clone(), Arc::clone(element)))
        }
        DataType::Map(entries, _) if base != "inline" => {
            Ok((map_entries(argument.expr.clone()), Arc::clone(entries)))
        }
        other => Err(SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
            .with("sqlExpr", format!("\"{base}({})\"", argument.sql))
            .with("paramIndex", "first")
            .with("inputSql", format!("\"{}\"", argument.sql))
            .with("inputType", format!("\"{}\"", types::sql_name(other)))
            .with(
                "requiredType",
                if base == "inline" { "\"ARRAY<STRUCT>\"" } else { "(\"ARRAY\" or \"MAP\")" },
            )),
    }
}

/// `list`, or a list of one null where it is null or empty.
fn at_least_one(list: Expr, element: &Field) -> Result<Expr> {
    let null = datafusion::common::ScalarValue::try_from(element.data_type())?;
    let one = datafusion::functions_nested::expr_fn::make_array(vec![Expr::Literal(null, None)]);
    let nullable = Arc::new(element.clone().with_nullable(true));
    let one = datafusion::logical_expr::cast(one, DataType::List(nullable));
    let empty = datafusion::functions_nested::expr_fn::cardinality(list.clone()).eq(lit(0_u64));
    Ok(when(list.clone().is_null().or(empty), one).otherwise(list)?)
}
