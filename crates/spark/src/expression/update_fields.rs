//! `withField` and `dropFields`.

use std::sync::Arc;

use datafusion::{
    arrow::{
        array::{Array, ArrayRef, AsArray, StructArray},
        datatypes::{DataType, Field, FieldRef, Fields},
    },
    common::ScalarValue,
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto::expression as e;

use super::{TypedExpr, attribute::parse_name, extract, literal, resolver::Resolver};
use crate::functions::{Args, Evaluation, Mode, kernel_call, unexpected_input};

/// Resolves an update of one field; its name may be a path into nested structs.
pub(super) fn resolve(resolver: &Resolver, update: &e::UpdateFields) -> Result<TypedExpr> {
    let child = resolver.child(update.struct_expression.as_deref())?;
    let value = update.value_expression.as_deref().map(|v| resolver.resolve(v)).transpose()?;
    let shown = match &value {
        Some(value) => format!("WithField({})", value.sql),
        None => "dropfield()".to_string(),
    };
    let sql = format!("update_fields({}, {shown})", child.sql);
    let parts = parse_name(&update.field_name)?;
    let out = apply(resolver, child, &parts, value, &sql)?;
    Ok(TypedExpr { sql: sql.clone(), name: sql, named: false, ..out })
}

fn apply(
    resolver: &Resolver,
    child: TypedExpr,
    parts: &[String],
    value: Option<TypedExpr>,
    sql: &str,
) -> Result<TypedExpr> {
    let DataType::Struct(fields) = child.data_type().clone() else {
        return Err(unexpected_input(sql, 0, "\"STRUCT\"", &child));
    };
    let Some((name, deeper)) = parts.split_first() else {
        return Err(SparkError::internal("a field without name"));
    };
    let same = |f: &FieldRef| {
        if resolver.conf.case_sensitive { f.name() == name } else { f.name().eq_ignore_ascii_case(name) }
    };
    let value = match (deeper.is_empty(), value) {
        (true, value) => value,
        (false, value) => {
            let ordinal = extract::find_field(&fields, name, resolver.conf)?;
            let inner = extract::field(child.clone(), ordinal, resolver.conf)?;
            Some(apply(resolver, inner, deeper, value, sql)?)
        }
    };
    let out: Vec<FieldRef> = match &value {
        Some(value) => {
            let new = |name: &str| Arc::new(Field::new(name, value.data_type().clone(), value.nullable()));
            let mut out: Vec<FieldRef> =
                fields.iter().map(|f| if same(f) { new(name) } else { Arc::clone(f) }).collect();
            if !fields.iter().any(same) {
                out.push(new(name));
            }
            out
        }
        None => fields.iter().filter(|f| !same(f)).cloned().collect(),
    };
    if out.is_empty() {
        return Err(
            SparkError::new("DATATYPE_MISMATCH.CANNOT_DROP_ALL_FIELDS").with("sqlExpr", format!("\"{sql}\""))
        );
    }
    let t = DataType::Struct(Fields::from(out));
    let nullable = child.nullable();
    let mut args = vec![child.expr, literal::string(name).expr];
    args.extend(value.map(|v| v.expr));
    let evaluation = Evaluation::of(resolver.conf).with_mode(Mode::Ansi);
    let expr = kernel_call("update_fields", kernel, args, t.clone(), nullable, evaluation);
    Ok(TypedExpr::new(expr, t, nullable, sql))
}

fn kernel(args: &Args) -> Result<ArrayRef> {
    let array = args.array(0)?;
    let structs = array.as_struct();
    let Some(ScalarValue::Utf8(Some(name))) = args.scalar(1) else {
        return Err(SparkError::internal("a field name"));
    };
    let DataType::Struct(fields) = args.return_type else { return Err(SparkError::internal("a struct")) };
    let value = if args.len() > 2 { Some(args.array(2)?) } else { None };
    let columns = fields
        .iter()
        .map(|field| match &value {
            Some(value) if field.name() == name => Ok(Arc::clone(value)),
            _ => structs
                .column_by_name(field.name())
                .cloned()
                .ok_or_else(|| SparkError::internal("a struct field that is missing")),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new_with_length(
        fields.clone(),
        columns,
        structs.nulls().cloned(),
        structs.len(),
    )?))
}
