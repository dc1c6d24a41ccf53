//! `child[extraction]`: a struct's field, an array's element, a map's value.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, ListArray, UInt64Builder},
        compute::take,
        datatypes::{DataType, FieldRef, Fields, Int64Type},
    },
    common::ScalarValue,
};
use millstream_engine::{Result, SparkError};

use super::{
    TypedExpr,
    cast::implicit_cast,
    coercion::{self, map_fields},
};
use crate::{
    SessionConf,
    functions::{Args, Evaluation, Mode, kernel_call},
    types,
};

/// Resolves an extraction as Spark's `ExtractValue` does.
///
/// # Errors
/// `FIELD_NOT_FOUND`, `AMBIGUOUS_REFERENCE_TO_FIELDS`, `INVALID_EXTRACT_*`.
pub fn extract(child: TypedExpr, extraction: TypedExpr, conf: &SessionConf) -> Result<TypedExpr> {
    let sql = format!("{}[{}]", child.sql, extraction.sql);
    let data_type = child.data_type().clone();
    match &data_type {
        DataType::Struct(fields) => match extraction.literal_str() {
            Some(name) => field(child, find_field(fields, name, conf)?, conf),
            None => Err(SparkError::new("INVALID_EXTRACT_FIELD_TYPE")
                .with("extraction", format!("\"{}\"", extraction.sql))),
        },
        DataType::List(element) => {
            if let (DataType::Struct(fields), Some(name)) = (element.data_type(), extraction.literal_str()) {
                return array_field(child, fields, find_field(fields, name, conf)?, conf);
            }
            if !coercion::is_integral(extraction.data_type()) && *extraction.data_type() != DataType::Null {
                return Err(unexpected(&sql, "second", "\"INTEGRAL\"", &extraction));
            }
            let index = implicit_cast(extraction, &DataType::Int64, conf)?;
            element_at_index(child, index, sql, Evaluation::of(conf))
        }
        DataType::Map(entries, _) => {
            let Some((key, _)) = map_fields(entries) else {
                return Err(SparkError::internal("a map without entries"));
            };
            let key = key.data_type().clone();
            let wider = coercion::comparison(extraction.data_type(), &key, conf.ansi);
            if wider.is_none_or(|t| !coercion::same_type(&t, &key)) && extraction.data_type() != &key {
                return Err(unexpected(
                    &sql,
                    "second",
                    &format!("\"{}\"", types::sql_name(&key)),
                    &extraction,
                ));
            }
            map_value(child, implicit_cast(extraction, &key, conf)?, sql, conf)
        }
        other => Err(SparkError::new("INVALID_EXTRACT_BASE_FIELD_TYPE")
            .with("base", format!("\"{}\"", child.sql))
            .with("other", format!("\"{}\"", types::sql_name(other)))),
    }
}

fn unexpected(sql: &str, index: &str, required: &str, input: &TypedExpr) -> SparkError {
    SparkError::new("DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE")
        .with("sqlExpr", format!("\"{sql}\""))
        .with("paramIndex", index)
        .with("requiredType", required)
        .with("inputSql", format!("\"{}\"", input.sql))
        .with("inputType", format!("\"{}\"", types::sql_name(input.data_type())))
}

/// Position of the field called `name`.
pub(super) fn find_field(fields: &Fields, name: &str, conf: &SessionConf) -> Result<usize> {
    let same = |a: &str| if conf.case_sensitive { a == name } else { a.eq_ignore_ascii_case(name) };
    let mut found = fields.iter().enumerate().filter(|(_, f)| same(f.name()));
    match (found.next(), found.next()) {
        (Some((i, _)), None) => Ok(i),
        (Some(_), Some(_)) => Err(SparkError::new("AMBIGUOUS_REFERENCE_TO_FIELDS")
            .with("field", format!("`{name}`"))
            .with("count", fields.iter().filter(|f| same(f.name())).count().to_string())),
        _ => {
            let names: Vec<String> = fields.iter().map(|f| format!("`{}`", f.name())).collect();
            Err(SparkError::new("FIELD_NOT_FOUND")
                .with("fieldName", format!("`{name}`"))
                .with("fields", names.join(", ")))
        }
    }
}

/// Field `ordinal` of a struct, named `child.field`.
///
/// # Errors
/// Internal ones when `child` is no struct.
pub fn field(child: TypedExpr, ordinal: usize, conf: &SessionConf) -> Result<TypedExpr> {
    let DataType::Struct(fields) = child.data_type() else {
        return Err(SparkError::internal("a field of something that is no struct"));
    };
    let Some(found) = fields.get(ordinal).cloned() else {
        return Err(SparkError::internal("a struct field out of range"));
    };
    let nullable = child.nullable() || found.is_nullable();
    let sql = format!("{}.{}", child.sql, found.name());
    let ordinal = super::literal::int(i32::try_from(ordinal).unwrap_or(i32::MAX));
    let expr = kernel_call(
        "get_struct_field",
        struct_field_kernel,
        vec![child.expr, ordinal.expr],
        found.data_type().clone(),
        nullable,
        Evaluation::of(conf).with_mode(Mode::Ansi),
    );
    let field: FieldRef = Arc::new(
        found.as_ref().clone().with_name("").with_nullable(nullable).with_metadata(found.metadata().clone()),
    );
    Ok(TypedExpr::with_field(expr, field, sql))
}

fn ordinal(args: &Args) -> usize {
    match args.scalar(1) {
        Some(ScalarValue::Int32(Some(v))) => usize::try_from(*v).unwrap_or(usize::MAX),
        _ => usize::MAX,
    }
}

fn struct_field_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let structs = array.as_struct();
    let Some(column) = structs.columns().get(ordinal(args)) else {
        return Err(SparkError::internal("a struct field out of range"));
    };
    masked(column, structs.nulls())
}

/// `column` with the nulls of its parent added.
pub(crate) fn masked(
    column: &ArrayRef,
    nulls: Option<&datafusion::arrow::buffer::NullBuffer>,
) -> Result<ArrayRef> {
    let Some(nulls) = nulls.filter(|n| n.null_count() > 0) else { return Ok(Arc::clone(column)) };
    if *column.data_type() == DataType::Null {
        return Ok(Arc::clone(column));
    }
    let union = datafusion::arrow::buffer::NullBuffer::union(column.nulls(), Some(nulls));
    Ok(datafusion::arrow::array::make_array(column.to_data().into_builder().nulls(union).build()?))
}

/// `array_of_structs.field`: an array of that field.
fn array_field(child: TypedExpr, fields: &Fields, position: usize, conf: &SessionConf) -> Result<TypedExpr> {
    let Some(found) = fields.get(position) else {
        return Err(SparkError::internal("a struct field out of range"));
    };
    let contains_null = match child.data_type() {
        DataType::List(element) => element.is_nullable() || found.is_nullable(),
        _ => true,
    };
    let data_type = types::list_of(found.data_type().clone(), contains_null);
    let sql = format!("{}.{}", child.sql, found.name());
    let ordinal = super::literal::int(i32::try_from(position).unwrap_or(i32::MAX));
    let nullable = child.nullable();
    let expr = kernel_call(
        "get_array_struct_fields",
        array_field_kernel,
        vec![child.expr, ordinal.expr],
        data_type.clone(),
        nullable,
        Evaluation::of(conf).with_mode(Mode::Ansi),
    );
    Ok(TypedExpr::new(expr, data_type, nullable, sql))
}

fn array_field_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let structs = list.values().as_struct();
    let (Some(column), DataType::List(element)) = (structs.columns().get(ordinal(args)), args.return_type)
    else {
        return Err(SparkError::internal("a struct field out of range"));
    };
    let values = masked(column, structs.nulls())?;
    Ok(Arc::new(ListArray::try_new(
        Arc::clone(element),
        list.offsets().clone(),
        values,
        list.nulls().cloned(),
    )?))
}

/// Element `index` (from 0, BIGINT) of an array; outside it null, or an error under ANSI.
pub(crate) fn element_at_index(
    child: TypedExpr,
    index: TypedExpr,
    sql: String,
    evaluation: Evaluation,
) -> Result<TypedExpr> {
    let DataType::List(element) = child.data_type() else {
        return Err(SparkError::internal("an element of something that is no array"));
    };
    let data_type = element.data_type().clone();
    let expr = kernel_call(
        "get_array_item",
        element_kernel,
        vec![child.expr.clone(), index.expr],
        data_type.clone(),
        true,
        evaluation,
    );
    Ok(TypedExpr::new(expr, data_type, true, sql))
}

fn element_kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let list = array.as_list::<i32>();
    let indexes = args.primitives::<Int64Type>(1)?;
    let mut picks = UInt64Builder::with_capacity(args.rows);
    for row in 0..args.rows {
        if list.is_null(row) || indexes.is_null(row) {
            picks.append_null();
            continue;
        }
        let (index, length) = (indexes.value(row), i64::from(list.value_length(row)));
        if (0..length).contains(&index) {
            let offsets = list.value_offsets();
            picks.append_value((i64::from(offsets[row]) + index).unsigned_abs());
        } else if args.evaluation.ansi() {
            return Err(SparkError::new("INVALID_ARRAY_INDEX")
                .with("indexValue", index.to_string())
                .with("arraySize", length.to_string())
                .with("ansiConfig", crate::conf::ANSI_CONFIG));
        } else {
            picks.append_null();
        }
    }
    Ok(take(list.values(), &picks.finish(), None)?)
}

/// The value of `key` in a map, null where it is missing.
pub(crate) fn map_value(
    child: TypedExpr,
    key: TypedExpr,
    sql: String,
    conf: &SessionConf,
) -> Result<TypedExpr> {
    let DataType::Map(entries, _) = child.data_type() else {
        return Err(SparkError::internal("a value of something that is no map"));
    };
    let Some((_, value)) = map_fields(entries) else {
        return Err(SparkError::internal("a map without entries"));
    };
    let data_type = value.data_type().clone();
    let expr = kernel_call(
        "get_map_value",
        map_kernel,
        vec![child.expr.clone(), key.expr],
        data_type.clone(),
        true,
        Evaluation::of(conf).with_mode(Mode::Ansi),
    );
    Ok(TypedExpr::new(expr, data_type, true, sql))
}

fn map_kernel(args: &Args) -> Result<ArrayRef> {
    use datafusion::arrow::row::{RowConverter, SortField};
    let array = args.array(0)?;
    let map = array.as_map();
    let wanted = args.array(1)?;
    let converter = RowConverter::new(vec![SortField::new(wanted.data_type().clone())])?;
    let keys = converter.convert_columns(&[Arc::clone(map.keys())])?;
    let wanted_rows = converter.convert_columns(&[Arc::clone(&wanted)])?;
    let mut picks = UInt64Builder::with_capacity(args.rows);
    for row in 0..args.rows {
        let offsets = map.value_offsets();
        let range =
            usize::try_from(offsets[row]).unwrap_or(0)..usize::try_from(offsets[row + 1]).unwrap_or(0);
        let found = (map.is_valid(row) && wanted.is_valid(row))
            .then(|| range.into_iter().find(|i| keys.row(*i) == wanted_rows.row(row)))
            .flatten();
        picks.append_option(found.map(|i| i as u64));
    }
    Ok(take(map.values(), &picks.finish(), None)?)
}
