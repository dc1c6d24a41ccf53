//! `LocalRelation`: rows the client sent, as an Arrow IPC stream.

use std::{io::Cursor, sync::Arc};

use bytes::Bytes;
use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions},
        compute::{CastOptions, cast_with_options},
        datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit},
        ipc::reader::StreamReader,
    },
    datasource::{MemTable, provider_as_source},
    logical_expr::LogicalPlanBuilder,
};
use millstream_engine::{Result, SparkError};
use prost::Message;
use spark_connect_proto as proto;

use super::{
    attribute::Attribute,
    translator::{Frame, Translator},
};
use crate::types;

impl Translator<'_> {
    pub(super) fn local_relation(&self, local: &proto::LocalRelation) -> Result<Frame> {
        let data: Vec<&[u8]> = local.data.iter().map(AsRef::as_ref).collect();
        self.local_rows(&data, local.schema.as_deref())
    }

    pub(super) fn cached_local_relation(&self, cached: &proto::CachedLocalRelation) -> Result<Frame> {
        let message = proto::LocalRelation::decode(self.local_bytes(&cached.hash)?.as_ref())
            .map_err(|e| SparkError::internal(format!("a cached local relation is damaged: {e}")))?;
        self.local_relation(&message)
    }

    pub(super) fn chunked_cached_local_relation(
        &self,
        cached: &proto::ChunkedCachedLocalRelation,
    ) -> Result<Frame> {
        let chunks: Vec<&Bytes> =
            cached.data_hashes.iter().map(|hash| self.local_bytes(hash)).collect::<Result<_>>()?;
        let data: Vec<&[u8]> = chunks.iter().map(|chunk| chunk.as_ref()).collect();
        let schema = match &cached.schema_hash {
            None => None,
            Some(hash) => Some(
                std::str::from_utf8(self.local_bytes(hash)?)
                    .map_err(|_| SparkError::internal("a cached schema is no UTF-8 text"))?,
            ),
        };
        self.local_rows(&data, schema)
    }

    fn local_bytes(&self, hash: &str) -> Result<&Bytes> {
        self.resolved()?
            .local(hash)
            .ok_or_else(|| SparkError::internal(format!("no cached local relation with hash {hash}")))
    }

    /// Rows of one or more IPC streams under `schema`, or the stream's own.
    fn local_rows(&self, data: &[&[u8]], schema: Option<&str>) -> Result<Frame> {
        let wanted = schema.filter(|text| !text.is_empty()).map(types::parse_schema).transpose()?;
        let mut batches = Vec::new();
        let mut own: Option<SchemaRef> = None;
        for chunk in data.iter().filter(|chunk| !chunk.is_empty()) {
            let reader = StreamReader::try_new(Cursor::new(chunk), None)?;
            own.get_or_insert_with(|| reader.schema());
            for batch in reader {
                batches.push(batch?);
            }
        }
        let fields = match (wanted, own) {
            (Some(fields), _) => fields,
            (None, Some(own)) => own.fields().iter().map(|f| spark_field(f)).collect::<Result<Fields>>()?,
            (None, None) => return Err(SparkError::internal("a local relation without data and schema")),
        };
        let columns: Vec<Attribute> = fields.iter().map(|f| self.attribute(Arc::clone(f))).collect();
        let inner: Vec<Field> =
            columns.iter().map(|a| a.field.as_ref().clone().with_name(format!("c{}", a.id))).collect();
        let inner = Arc::new(Schema::new(inner));
        let batches: Vec<RecordBatch> =
            batches.iter().map(|batch| conform(batch, &inner)).collect::<Result<_>>()?;
        let table = MemTable::try_new(Arc::clone(&inner), vec![batches])?;
        let scan = LogicalPlanBuilder::scan(self.new_id(), provider_as_source(Arc::new(table)), None)?;
        let exprs: Vec<_> = scan
            .schema()
            .columns()
            .into_iter()
            .zip(&columns)
            .map(|(column, a)| datafusion::logical_expr::Expr::Column(column).alias(&a.id))
            .collect();
        Ok(Frame::new(scan.project(exprs)?.build()?, columns, false))
    }
}

/// `batch` with the types of `schema`, by position.
fn conform(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch> {
    if batch.num_columns() != schema.fields().len() {
        return Err(SparkError::internal(format!(
            "a local relation has {} columns and a schema of {}",
            batch.num_columns(),
            schema.fields().len()
        )));
    }
    let strict = CastOptions { safe: false, ..Default::default() };
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| {
            if column.data_type() == field.data_type() {
                Ok(Arc::clone(column))
            } else {
                cast_with_options(column, field.data_type(), &strict)
            }
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

/// The field a client's Arrow field stands for, as Spark reads it.
fn spark_field(field: &Field) -> Result<Field> {
    Ok(Field::new(field.name(), spark_type(field.data_type())?, field.is_nullable()))
}

fn spark_type(data_type: &DataType) -> Result<DataType> {
    Ok(match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => DataType::Binary,
        DataType::Timestamp(_, Some(_)) => types::timestamp(),
        DataType::Timestamp(_, None) => types::timestamp_ntz(),
        DataType::Duration(_) => DataType::Duration(TimeUnit::Microsecond),
        DataType::Dictionary(_, value) => spark_type(value)?,
        DataType::List(e) | DataType::LargeList(e) | DataType::FixedSizeList(e, _) => {
            types::list_of(spark_type(e.data_type())?, e.is_nullable())
        }
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|f| spark_field(f)).collect::<Result<Fields>>()?)
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => types::map_of(
                spark_type(kv[0].data_type())?,
                spark_type(kv[1].data_type())?,
                kv[1].is_nullable(),
            ),
            other => return Err(SparkError::unsupported(format!("a map of {other} in a local relation"))),
        },
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 | DataType::Float16 => {
            return Err(SparkError::new("UNSUPPORTED_ARROWTYPE").with("typeName", data_type.to_string()));
        }
        other => other.clone(),
    })
}
