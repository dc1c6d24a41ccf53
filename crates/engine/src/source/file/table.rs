//! A set of files as a table of a batch query.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use datafusion::{
    arrow::datatypes::SchemaRef,
    catalog::{Session, TableProvider},
    common::{Result as DfResult, tree_node::TreeNodeRecursion},
    datasource::TableType,
    error::DataFusionError,
    execution::{SendableRecordBatchStream, TaskContext},
    logical_expr::Expr,
    physical_expr::{EquivalenceProperties, Partitioning},
    physical_plan::{
        DisplayAs, DisplayFormatType, ExecutionPlan, PhysicalExpr, PlanProperties,
        execution_plan::{Boundedness, EmissionType},
        stream::RecordBatchStreamAdapter,
    },
};
use futures::TryStreamExt;

use super::{
    listing::ListedFile,
    split::{FileSplit, Tolerance, splits},
};
use crate::{
    Result,
    format::{Options, ReadFormatRef},
    time::Zone,
};

/// Files with one schema, partition columns last. The list of files is fixed when the
/// table is made, as in Spark; scans read the files again each time.
#[derive(Debug)]
pub struct FileTable {
    format: ReadFormatRef,
    schema: SchemaRef,
    files: Vec<ListedFile>,
    splits: Vec<Arc<FileSplit>>,
    /// What was asked for: paths and options.
    origin: String,
}

impl FileTable {
    /// The table of `files`, in reading order, with columns `schema`; of `options` those count
    /// that say which unreadable files are passed over.
    ///
    /// # Errors
    /// Partition directories whose values do not fit the schema.
    pub fn new(
        format: ReadFormatRef,
        schema: SchemaRef,
        files: Vec<ListedFile>,
        options: &Options,
        zone: Zone,
    ) -> Result<Self> {
        let readable: Vec<ListedFile> = files.iter().filter(|f| f.file.size > 0).cloned().collect();
        let splits = splits(&format, &schema, &readable, zone, Tolerance::of(options)?)?;
        Ok(Self { format, schema, files, splits, origin: String::new() })
    }

    /// The same table, asked for in these words.
    pub(super) fn with_origin(self, origin: String) -> Self {
        Self { origin, ..self }
    }

    /// The paths and options the table was read by, as Spark tells its tables apart: the state
    /// of the files does not count.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Data columns, then partition columns; all nullable.
    pub fn table_schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The files, in reading order.
    pub fn files(&self) -> &[ListedFile] {
        &self.files
    }

    /// As Spark names the format: `CSV`, `JSON`, `Parquet`, `Text`.
    pub fn format_name(&self) -> &'static str {
        self.format.name()
    }

    /// A scan of the columns `projection` on at most `partitions` partitions.
    ///
    /// # Errors
    /// When `projection` names a column that does not exist.
    pub fn scan_exec(&self, projection: Option<&Vec<usize>>, partitions: usize) -> Result<FileScanExec> {
        let projection = projection.cloned().unwrap_or_else(|| (0..self.schema.fields().len()).collect());
        let schema: SchemaRef = Arc::new(self.schema.project(&projection)?);
        let groups = group(&self.splits, partitions);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Ok(FileScanExec {
            format: self.format.name(),
            schema,
            projection,
            groups,
            files: self.files.len(),
            properties: Arc::new(properties),
        })
    }
}

/// Neighbouring splits in at most `partitions` groups of similar size; at least one group.
fn group(splits: &[Arc<FileSplit>], partitions: usize) -> Vec<Vec<Arc<FileSplit>>> {
    use crate::source::Split;
    let total: u64 = splits.iter().map(|s| s.size_hint()).sum();
    let count = partitions.clamp(1, splits.len().max(1));
    let share = total / count as u64 + 1;
    let mut groups: Vec<Vec<Arc<FileSplit>>> = vec![Vec::new()];
    let mut bytes = 0;
    for split in splits {
        if bytes >= share && groups.len() < count {
            groups.push(Vec::new());
            bytes = 0;
        }
        bytes += split.size_hint();
        if let Some(last) = groups.last_mut() {
            last.push(Arc::clone(split));
        }
    }
    groups
}

#[async_trait]
impl TableProvider for FileTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.scan_exec(projection, state.config().target_partitions())?))
    }
}

/// Reads files; can be executed any number of times.
#[derive(Debug)]
pub struct FileScanExec {
    format: &'static str,
    schema: SchemaRef,
    projection: Vec<usize>,
    groups: Vec<Vec<Arc<FileSplit>>>,
    files: usize,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for FileScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.schema.fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "FileScan {} [{}] {} files", self.format, names.join(", "), self.files)
    }
}

impl ExecutionPlan for FileScanExec {
    fn name(&self) -> &'static str {
        "FileScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>,
    ) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let group = self.groups.get(partition).cloned().unwrap_or_default();
        let projection = self.projection.clone();
        let streams =
            group.into_iter().map(move |split| split.stream(&projection).map_err(DataFusionError::from));
        let batches = futures::stream::iter(streams).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), batches)))
    }
}
