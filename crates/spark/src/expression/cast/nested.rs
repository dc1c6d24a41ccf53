//! Casts of arrays, maps and structs: part by part.

use std::sync::Arc;

use datafusion::arrow::{
    array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray},
    datatypes::DataType,
};
use millstream_engine::Result;

use super::{cast_array, missing};
use crate::functions::Evaluation;

pub(super) fn cast(array: &ArrayRef, to: &DataType, evaluation: Evaluation) -> Result<ArrayRef> {
    match (array.data_type(), to) {
        (DataType::List(_), DataType::List(field)) => {
            let list = array.as_list::<i32>();
            let values = cast_array(list.values(), field.data_type(), evaluation)?;
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(field),
                list.offsets().clone(),
                values,
                list.nulls().cloned(),
            )?))
        }
        (DataType::Map(..), DataType::Map(entries, sorted)) => {
            let map = array.as_map();
            let DataType::Struct(fields) = entries.data_type() else {
                return Err(missing(array.data_type(), to));
            };
            let columns = [map.keys(), map.values()]
                .into_iter()
                .zip(fields)
                .map(|(column, field)| cast_array(column, field.data_type(), evaluation))
                .collect::<Result<Vec<_>>>()?;
            let pairs = StructArray::try_new(fields.clone(), columns, None)?;
            Ok(Arc::new(MapArray::try_new(
                Arc::clone(entries),
                map.offsets().clone(),
                pairs,
                map.nulls().cloned(),
                *sorted,
            )?))
        }
        (DataType::Struct(_), DataType::Struct(fields)) => {
            let structs = array.as_struct();
            let columns = structs
                .columns()
                .iter()
                .zip(fields)
                .map(|(column, field)| cast_array(column, field.data_type(), evaluation))
                .collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                structs.nulls().cloned(),
                structs.len(),
            )?))
        }
        (from, _) => Err(missing(from, to)),
    }
}
