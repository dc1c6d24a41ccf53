//! File sinks of streams.

use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use millstream_engine::{
    Result,
    format::{Options, writer},
    query::SinkFactory,
    sink::{
        Sink,
        file::{FileSink, FileSinkSpec},
    },
    time::{Clock, Zone},
};

use super::write_stream::local_path;

/// Makes the sink that writes `format` files into `path`.
///
/// # Errors
/// Options and types Spark refuses.
pub fn factory(
    format: &str,
    path: &str,
    options: &Options,
    partition_by: &[String],
    schema: &SchemaRef,
    zone: Zone,
    clock: &Arc<dyn Clock>,
) -> Result<SinkFactory> {
    let spec = FileSinkSpec {
        path: local_path(path)?,
        format: writer(format, options, zone)?,
        partition_by: partition_by.to_vec(),
        options: options.clone(),
        zone: Arc::new(zone),
    };
    // What cannot be written is refused before anything is.
    spec.layout(schema)?;
    let clock = Arc::clone(clock);
    Ok(Box::new(
        move |context| Ok(Arc::new(FileSink::new(spec, &context.checkpoint, clock)) as Arc<dyn Sink>),
    ))
}
