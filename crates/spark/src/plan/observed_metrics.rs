//! What `observe` saw, as the message a client reads after a batch query.

use datafusion::{
    arrow::datatypes::{Decimal128Type, DecimalType},
    common::ScalarValue,
    logical_expr::LogicalPlan,
};
use millstream_engine::{Result, SparkError, plan::observations};
use spark_connect_proto::{
    self as proto,
    execute_plan_response::ObservedMetrics,
    expression::{
        Literal,
        literal::{Decimal, LiteralType},
    },
};

use crate::types;

/// The metrics of `plan`'s observations, once it has been executed. Reading takes them.
///
/// # Errors
/// A metric of a type that has no literal yet.
pub fn observed_metrics(plan: &LogicalPlan) -> Result<Vec<ObservedMetrics>> {
    let mut metrics = Vec::new();
    for observed in observations(plan) {
        let Some(row) = observed.take() else { continue };
        let mut values = Vec::with_capacity(row.num_columns());
        for column in row.columns() {
            values.push(literal(&ScalarValue::try_from_array(column, 0)?)?);
        }
        let keys = observed.schema.fields().iter().map(|field| field.name().clone()).collect();
        metrics.push(ObservedMetrics { name: observed.name.clone(), values, keys, ..Default::default() });
    }
    Ok(metrics)
}

fn literal(value: &ScalarValue) -> Result<Literal> {
    let literal_type = match value {
        value if value.is_null() => LiteralType::Null(types::to_proto(&value.data_type())?),
        ScalarValue::Boolean(Some(v)) => LiteralType::Boolean(*v),
        ScalarValue::Int8(Some(v)) => LiteralType::Byte(i32::from(*v)),
        ScalarValue::Int16(Some(v)) => LiteralType::Short(i32::from(*v)),
        ScalarValue::Int32(Some(v)) => LiteralType::Integer(*v),
        ScalarValue::Int64(Some(v)) => LiteralType::Long(*v),
        ScalarValue::Float32(Some(v)) => LiteralType::Float(*v),
        ScalarValue::Float64(Some(v)) => LiteralType::Double(*v),
        ScalarValue::Utf8(Some(v)) => LiteralType::String(v.clone()),
        ScalarValue::Binary(Some(v)) => LiteralType::Binary(v.clone().into()),
        ScalarValue::Date32(Some(v)) => LiteralType::Date(*v),
        ScalarValue::TimestampMicrosecond(Some(v), Some(_)) => LiteralType::Timestamp(*v),
        ScalarValue::TimestampMicrosecond(Some(v), None) => LiteralType::TimestampNtz(*v),
        ScalarValue::Decimal128(Some(v), precision, scale) => LiteralType::Decimal(Decimal {
            value: Decimal128Type::format_decimal(*v, *precision, *scale),
            precision: Some(i32::from(*precision)),
            scale: Some(i32::from(*scale)),
        }),
        other => {
            let name = types::simple_string(&other.data_type());
            return Err(SparkError::unsupported(format!("an observed metric of type {name}")));
        }
    };
    Ok(proto::expression::Literal { literal_type: Some(literal_type), ..Default::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_literals_of_their_type() {
        let of = |value: ScalarValue| literal(&value).unwrap().literal_type.unwrap();
        assert_eq!(of(ScalarValue::Int64(Some(2))), LiteralType::Long(2));
        assert_eq!(of(ScalarValue::Utf8(Some("x".to_string()))), LiteralType::String("x".to_string()));
        let decimal = Decimal { value: "-1.20".to_string(), precision: Some(5), scale: Some(2) };
        assert_eq!(of(ScalarValue::Decimal128(Some(-120), 5, 2)), LiteralType::Decimal(decimal));
        assert!(matches!(of(ScalarValue::Int64(None)), LiteralType::Null(_)));
    }
}
