//! `socket`: lines of text from a TCP connection, for trying things out.
//!
//! The offset is the number of the last line, counted from 0; -1 is before the first. Lines
//! are held in memory until their batch is committed, and come only once: as in Spark the
//! source is not fault tolerant, and a batch that has to run again after a restart fails.

use std::{collections::VecDeque, fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::{
        array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray},
        datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit},
    },
    execution::SendableRecordBatchStream,
    physical_plan::stream::RecordBatchStreamAdapter,
};
use parking_lot::Mutex;
use tokio::{io::AsyncReadExt, net::TcpStream, sync::Notify, task::JoinHandle};

use super::{Offset, ReadLimit, Source, SourceSpec, Split, option_error};
use crate::{Result, SparkError, format::Options, time::Clock};

/// The columns: `value`, and `timestamp` where it is asked for.
///
/// # Errors
/// Options that are missing (`host`, `port`) or that Spark cannot read.
pub fn socket_schema(options: &Options) -> Result<SchemaRef> {
    address(options)?;
    let mut fields = vec![Field::new("value", DataType::Utf8, true)];
    if include_timestamp(options)? {
        let instant = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        fields.push(Field::new("timestamp", instant, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn address(options: &Options) -> Result<(String, u16)> {
    let host = options.get("host").ok_or_else(|| SparkError::new("_LEGACY_ERROR_TEMP_1295"))?;
    let port = options.get("port").ok_or_else(|| SparkError::new("_LEGACY_ERROR_TEMP_1296"))?;
    let port = port.parse().map_err(|_| option_error(format!("For input string: \"{port}\"")))?;
    Ok((host.to_string(), port))
}

fn include_timestamp(options: &Options) -> Result<bool> {
    match options.get("includeTimestamp").unwrap_or("false").to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(SparkError::new("_LEGACY_ERROR_TEMP_1297")),
    }
}

/// Spark's `socket` source.
pub struct SocketSource {
    host: String,
    port: u16,
    schema: SchemaRef,
    clock: Arc<dyn Clock>,
    lines: Arc<Lines>,
    /// The task that reads the connection, once there is one.
    reader: tokio::sync::Mutex<Option<JoinHandle<()>>>,
}

/// Lines that arrived and are not committed yet.
#[derive(Debug)]
struct Lines {
    held: Mutex<Held>,
    arrived: Notify,
}

#[derive(Debug)]
struct Held {
    /// Number of the first line held.
    first: i64,
    lines: VecDeque<Line>,
}

impl Held {
    /// Number of the last line that arrived.
    fn last(&self) -> i64 {
        self.first + i64::try_from(self.lines.len()).unwrap_or(i64::MAX) - 1
    }
}

#[derive(Debug, Clone)]
struct Line {
    text: String,
    micros: i64,
}

impl fmt::Debug for SocketSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description())
    }
}

impl Drop for SocketSource {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get_mut().take() {
            reader.abort();
        }
    }
}

impl SocketSource {
    /// A source for the options `host`, `port` and `includeTimestamp`; connects when it is
    /// first asked for rows.
    ///
    /// # Errors
    /// As [`socket_schema`].
    pub fn new(spec: &SourceSpec, clock: Arc<dyn Clock>) -> Result<Self> {
        let (host, port) = address(&spec.options)?;
        let held = Held { first: 0, lines: VecDeque::new() };
        Ok(Self {
            host,
            port,
            schema: socket_schema(&spec.options)?,
            clock,
            lines: Arc::new(Lines { held: Mutex::new(held), arrived: Notify::new() }),
            reader: tokio::sync::Mutex::new(None),
        })
    }

    /// Connects, unless that is done; lines count on from `start`.
    async fn connect(&self, start: i64) -> Result<()> {
        let mut reader = self.reader.lock().await;
        if reader.is_some() {
            return Ok(());
        }
        let connection = TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|e| {
            let text = match e.kind() {
                std::io::ErrorKind::ConnectionRefused => "Connection refused".to_string(),
                _ => e.to_string(),
            };
            option_error(text).caused_by(e)
        })?;
        self.lines.held.lock().first = start + 1;
        let (lines, clock) = (Arc::clone(&self.lines), Arc::clone(&self.clock));
        let address = format!("{}:{}", self.host, self.port);
        *reader = Some(tokio::spawn(async move {
            match read(connection, &lines, clock.as_ref()).await {
                Ok(()) => tracing::warn!("stream closed by {address}"),
                Err(error) => tracing::warn!("the socket source stops reading {address}: {error}"),
            }
        }));
        Ok(())
    }
}

/// Reads lines until the other side closes; ends of lines are `\n`, `\r` and `\r\n`.
async fn read(mut connection: TcpStream, lines: &Lines, clock: &dyn Clock) -> std::io::Result<()> {
    let (mut line, mut after_return, mut chunk) = (Vec::new(), false, vec![0; 8192]);
    loop {
        let count = connection.read(&mut chunk).await?;
        let mut complete = Vec::new();
        for byte in chunk.iter().take(count).copied() {
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => complete.push(std::mem::take(&mut line)),
                other => line.push(other),
            }
            after_return = byte == b'\r';
        }
        if count == 0 && !line.is_empty() {
            complete.push(std::mem::take(&mut line));
        }
        if !complete.is_empty() {
            let micros = clock.now().as_micros();
            let text = |line: Vec<u8>| String::from_utf8_lossy(&line).into_owned();
            let arrived = complete.into_iter().map(|line| Line { text: text(line), micros });
            lines.held.lock().lines.extend(arrived);
            lines.arrived.notify_one();
        }
        if count == 0 {
            return Ok(());
        }
    }
}

fn number(offset: Option<&Offset>) -> Result<i64> {
    let Some(offset) = offset else { return Ok(-1) };
    offset.json().trim().parse().map_err(|e| {
        SparkError::internal(format!("`{offset}` is no offset of the socket source")).caused_by(e)
    })
}

#[async_trait]
impl Source for SocketSource {
    fn description(&self) -> String {
        format!("TextSocketV2[host: {}, port: {}]", self.host, self.port)
    }

    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    async fn latest_offset(&self, start: Option<&Offset>, _limit: ReadLimit) -> Result<Option<Offset>> {
        self.connect(number(start)?).await?;
        Ok(Some(Offset::new(self.lines.held.lock().last().to_string())))
    }

    fn reported_latest(&self) -> Option<Offset> {
        Some(Offset::new(self.lines.held.lock().last().to_string()))
    }

    async fn plan_batch(&self, start: Option<&Offset>, end: &Offset) -> Result<Vec<Arc<dyn Split>>> {
        let (start, end) = (number(start)?, number(Some(end))?);
        if end <= start {
            return Ok(Vec::new());
        }
        let held = self.lines.held.lock();
        if start + 1 < held.first || end > held.last() {
            return Err(option_error(format!(
                "The socket source has lost the lines {} to {end}: it cannot be read again after a restart",
                start + 1
            )));
        }
        let skip = usize::try_from(start + 1 - held.first).unwrap_or(0);
        let count = usize::try_from(end - start).unwrap_or(0);
        let lines = held.lines.iter().skip(skip).take(count).cloned().collect();
        Ok(vec![Arc::new(LinesSplit { lines, schema: Arc::clone(&self.schema) })])
    }

    async fn prepare_available_now(&self) -> Result<()> {
        Ok(())
    }

    async fn commit(&self, end: &Offset) -> Result<()> {
        let end = number(Some(end))?;
        let mut held = self.lines.held.lock();
        while held.first <= end && held.lines.pop_front().is_some() {
            held.first += 1;
        }
        Ok(())
    }

    async fn changed(&self) {
        self.lines.arrived.notified().await;
    }
}

/// Some lines.
#[derive(Debug)]
struct LinesSplit {
    lines: Vec<Line>,
    schema: SchemaRef,
}

#[async_trait]
impl Split for LinesSplit {
    async fn open(&self, projection: &[usize]) -> Result<SendableRecordBatchStream> {
        let schema = Arc::new(self.schema.project(projection)?);
        let column = |index: &usize| -> ArrayRef {
            if *index == 0 {
                Arc::new(self.lines.iter().map(|line| Some(line.text.as_str())).collect::<StringArray>())
            } else {
                let micros = self.lines.iter().map(|line| Some(line.micros));
                Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
            }
        };
        let options = RecordBatchOptions::new().with_row_count(Some(self.lines.len()));
        let columns = projection.iter().map(column).collect();
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, futures::stream::iter([Ok(batch)]))))
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use futures::TryStreamExt;
    use tokio::{io::AsyncWriteExt, net::TcpListener};

    use super::*;
    use crate::time::SystemClock;

    fn spec(options: &[(&str, String)]) -> SourceSpec {
        let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.clone())));
        let schema = Arc::new(Schema::empty());
        SourceSpec { format: "socket".to_string(), schema, options, paths: vec![] }
    }

    async fn until(source: &SocketSource, last: &str) -> Offset {
        loop {
            let offset = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
            if offset.json() == last {
                return offset;
            }
            source.changed().await;
        }
    }

    #[tokio::test]
    async fn lines_are_rows_until_they_are_committed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let options = spec(&[("host", "127.0.0.1".to_string()), ("port", port)]);
        let source = SocketSource::new(&options, Arc::new(SystemClock::new())).unwrap();
        let accept = tokio::spawn(async move { listener.accept().await.unwrap().0 });
        let nothing = source.latest_offset(None, ReadLimit::Admission).await.unwrap().unwrap();
        assert_eq!(nothing.json(), "-1");
        assert!(source.plan_batch(None, &nothing).await.unwrap().is_empty());
        let mut peer = accept.await.unwrap();
        peer.write_all(b"one\ntwo\r\n\nthr").await.unwrap();
        let first = until(&source, "2").await;
        peer.write_all(b"ee\nlast").await.unwrap();
        drop(peer);
        let second = until(&source, "4").await;
        let mut seen = vec![];
        for (start, end) in [(None, &first), (Some(&first), &second)] {
            for split in source.plan_batch(start, end).await.unwrap() {
                let rows: Vec<RecordBatch> = split.open(&[0]).await.unwrap().try_collect().await.unwrap();
                let values = rows.iter().flat_map(|b| b.column(0).as_string::<i32>().iter().flatten());
                seen.push(values.map(ToString::to_string).collect::<Vec<_>>());
            }
        }
        assert_eq!(seen, vec![vec!["one", "two", ""], vec!["three", "last"]]);
        source.commit(&first).await.unwrap();
        let error = source.plan_batch(None, &second).await.unwrap_err();
        assert!(error.to_string().contains("has lost the lines 0 to 4"), "{error}");
        assert_eq!(source.plan_batch(Some(&first), &second).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn options_are_sparks() {
        let class = |options: &[(&str, String)]| socket_schema(&spec(options).options).unwrap_err().class();
        let text = |s: &str| s.to_string();
        assert_eq!(class(&[]), "_LEGACY_ERROR_TEMP_1295");
        assert_eq!(class(&[("host", text("h"))]), "_LEGACY_ERROR_TEMP_1296");
        let both = [("host", text("127.0.0.1")), ("port", text("1"))];
        assert_eq!(socket_schema(&spec(&both).options).unwrap().fields().len(), 1);
        let three = [both[0].clone(), both[1].clone(), ("includeTimestamp", text("maybe"))];
        assert_eq!(class(&three), "_LEGACY_ERROR_TEMP_1297");
        let source = SocketSource::new(&spec(&both), Arc::new(SystemClock::new())).unwrap();
        let refused = source.latest_offset(None, ReadLimit::Admission).await.unwrap_err();
        assert_eq!(refused.to_string(), "Connection refused");
    }
}
