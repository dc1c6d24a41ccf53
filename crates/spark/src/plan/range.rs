//! `Range`: `spark.range(start, end, step)`.

use std::sync::Arc;

use datafusion::{
    arrow::datatypes::{DataType, Field, Schema},
    functions_table::generate_series::{GenSeriesArgs, GenerateSeriesTable},
};
use millstream_engine::{Result, SparkError};
use spark_connect_proto as proto;

use super::translator::{Frame, Translator};

impl Translator<'_> {
    pub(super) fn range(&self, range: &proto::Range) -> Result<Frame> {
        if range.step == 0 {
            return Err(SparkError::internal("the step of a range must not be 0"));
        }
        let schema = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false)]));
        let args = GenSeriesArgs::Int64Args {
            start: range.start.unwrap_or(0),
            end: range.end,
            step: range.step,
            include_end: false,
            name: "range",
        };
        self.scan(Arc::new(GenerateSeriesTable::new(schema, args)))
    }
}
