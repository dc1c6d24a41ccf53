//! Tables in the warehouse directory (`spark.sql.warehouse.dir`).
//!
//! A table's rows are the files in its location, `<warehouse>/<name>` unless it was given
//! one; its definition is `<warehouse>/_millstream/<name>.json`. There is one database,
//! `default`. `Spark differs:` without Hive it forgets its tables when it ends.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use millstream_engine::{
    Result, SparkError,
    checkpoint::{
        LocalStorage, StorageRef,
        storage::{blocking, read_failed, write_failed},
    },
    format::Options,
};
use millstream_spark::{plan::quote_parts, types};
use serde::{Deserialize, Serialize};

use super::{resolve::absolute, write_stream::local_path};
use crate::session::Session;

/// The only catalog.
pub const CATALOG: &str = "spark_catalog";
/// Its only database.
pub const DATABASE: &str = "default";
/// Formats tables may have.
const PROVIDERS: &[&str] = &["csv", "json", "parquet", "text"];

/// Formats that tables may have in Spark and not here.
const SPARK_PROVIDERS: &[&str] = &["avro", "delta", "hive", "hudi", "iceberg", "jdbc", "kafka", "orc", "xml"];

/// A table's definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name as given.
    pub name: String,
    /// Format of its files, lower case.
    pub provider: String,
    /// Columns as Spark's JSON, partition columns last.
    schema: String,
    /// Partition columns, outermost first.
    pub partition_by: Vec<String>,
    /// Options of reading and writing.
    options: BTreeMap<String, String>,
    /// Directory of its files.
    pub location: String,
    /// Whether the location was given: then it outlives the table.
    pub external: bool,
    /// `COMMENT`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `TBLPROPERTIES`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
}

impl Table {
    /// The columns.
    ///
    /// # Errors
    /// A damaged definition.
    pub fn schema(&self) -> Result<SchemaRef> {
        match types::from_json(&self.schema)? {
            DataType::Struct(fields) => Ok(Arc::new(Schema::new(fields))),
            other => Err(SparkError::internal(format!("the table {} has the type {other}", self.name))),
        }
    }

    /// The same table with other columns.
    #[must_use]
    pub fn with_columns(mut self, schema: &Schema) -> Self {
        self.schema = kept_columns(schema, &self.partition_by);
        self
    }

    /// The same table with a comment and properties.
    #[must_use]
    pub fn described(mut self, comment: Option<String>, properties: BTreeMap<String, String>) -> Self {
        self.comment = comment;
        self.properties = properties;
        self
    }

    /// Options of reading and writing.
    pub fn options(&self) -> Options {
        Options::new(self.options.clone())
    }
}

/// What a new table is to be.
#[derive(Debug, Clone)]
pub struct NewTable {
    /// Its name.
    pub name: String,
    /// Format, the session's default if none.
    pub provider: Option<String>,
    /// Columns.
    pub schema: SchemaRef,
    /// Partition columns.
    pub partition_by: Vec<String>,
    /// Options, `path` not among them.
    pub options: BTreeMap<String, String>,
    /// Directory, if one is given.
    pub location: Option<String>,
}

/// The tables of a warehouse directory.
#[derive(Debug, Clone)]
pub struct Tables {
    directory: PathBuf,
    default_provider: String,
    storage: StorageRef,
}

impl Tables {
    /// The tables a session sees.
    ///
    /// # Errors
    /// A warehouse that is no local directory.
    pub fn of(session: &Session) -> Result<Self> {
        let conf = session.conf.read();
        let directory =
            conf.value("spark.sql.warehouse.dir").unwrap_or_else(|| "spark-warehouse".to_string());
        let default_provider =
            conf.value("spark.sql.sources.default").unwrap_or_else(|| "parquet".to_string());
        Ok(Self {
            directory: local_path(&absolute(&directory))?,
            default_provider,
            storage: Arc::new(LocalStorage),
        })
    }

    /// The warehouse directory as a URI.
    pub fn location(&self) -> String {
        format!("file:{}", self.directory.display())
    }

    /// The table's own name in a qualified one.
    ///
    /// # Errors
    /// `SCHEMA_NOT_FOUND` for another database than `default`.
    pub fn own_name(name: &[String]) -> Result<&str> {
        match name {
            [table] => Ok(table),
            [database, table] if database.eq_ignore_ascii_case(DATABASE) => Ok(table),
            [catalog, database, table]
                if catalog.eq_ignore_ascii_case(CATALOG) && database.eq_ignore_ascii_case(DATABASE) =>
            {
                Ok(table)
            }
            _ => {
                let mut schema: Vec<String> = name.iter().take(name.len().max(1) - 1).cloned().collect();
                if schema.len() == 1 {
                    schema.insert(0, CATALOG.to_string());
                }
                Err(SparkError::new("SCHEMA_NOT_FOUND").with("schemaName", quote_parts(&schema)))
            }
        }
    }

    fn definition(&self, name: &str) -> PathBuf {
        self.directory.join("_millstream").join(format!("{}.json", name.to_lowercase()))
    }

    /// The table called `name`.
    ///
    /// # Errors
    /// A definition that cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Table>> {
        let (path, storage) = (self.definition(name), Arc::clone(&self.storage));
        blocking(move || {
            if storage.info(&path).map_err(|e| read_failed(&path, e))?.is_none() {
                return Ok(None);
            }
            let bytes = storage.read(&path).map_err(|e| read_failed(&path, e))?;
            serde_json::from_slice(&bytes).map(Some).map_err(|e| {
                SparkError::internal(format!("the definition {} is damaged", path.display())).caused_by(e)
            })
        })
        .await
    }

    /// All tables, sorted by name.
    ///
    /// # Errors
    /// As [`Tables::get`].
    pub async fn list(&self) -> Result<Vec<Table>> {
        let (directory, storage) = (self.directory.join("_millstream"), Arc::clone(&self.storage));
        let found =
            blocking(move || storage.list(&directory).map_err(|e| read_failed(&directory, e))).await?;
        let mut names: Vec<String> = found
            .iter()
            .filter_map(|file| file.name.strip_suffix(".json"))
            .map(ToString::to_string)
            .collect();
        names.sort();
        let mut tables = Vec::with_capacity(names.len());
        for name in names {
            tables.extend(self.get(&name).await?);
        }
        Ok(tables)
    }

    /// What a new table will be; nothing is written.
    ///
    /// # Errors
    /// Formats that tables cannot have; `LOCATION_ALREADY_EXISTS` where files lie in the
    /// place of a table that has no place of its own.
    pub async fn define(&self, new: NewTable) -> Result<Table> {
        let provider =
            new.provider.filter(|p| !p.is_empty()).unwrap_or_else(|| self.default_provider.clone());
        let provider = provider.to_ascii_lowercase();
        if !PROVIDERS.contains(&provider.as_str()) && !SPARK_PROVIDERS.contains(&provider.as_str()) {
            return Err(SparkError::new("DATA_SOURCE_NOT_FOUND").with("provider", provider));
        }
        if !PROVIDERS.contains(&provider.as_str()) {
            return Err(SparkError::unsupported(format!("tables of the format `{provider}`")));
        }
        let external = new.location.is_some();
        let location = match new.location {
            Some(given) => local_path(&absolute(&given))?,
            None => {
                let own = self.directory.join(new.name.to_lowercase());
                let (path, storage) = (own.clone(), Arc::clone(&self.storage));
                let filled =
                    blocking(move || Ok(!storage.list(&path).map_err(|e| read_failed(&path, e))?.is_empty()));
                if filled.await? {
                    return Err(SparkError::new("LOCATION_ALREADY_EXISTS")
                        .with("location", format!("'file:{}'", own.display()))
                        .with("identifier", full_name(&new.name)));
                }
                own
            }
        };
        Ok(Table {
            name: new.name,
            provider,
            schema: kept_columns(&new.schema, &new.partition_by),
            partition_by: new.partition_by,
            options: new.options,
            location: location.display().to_string(),
            external,
            comment: None,
            properties: BTreeMap::new(),
        })
    }

    /// Makes a table known; its directory is there afterwards.
    ///
    /// # Errors
    /// The storage's.
    pub async fn put(&self, table: &Table) -> Result<()> {
        let bytes = serde_json::to_vec(table).map_err(|e| SparkError::internal("no JSON").caused_by(e))?;
        let (path, location) = (self.definition(&table.name), PathBuf::from(&table.location));
        let (own, storage) = (self.directory.join("_millstream"), Arc::clone(&self.storage));
        blocking(move || {
            for directory in [&own, &location] {
                storage.create_dir_all(directory).map_err(|e| write_failed(directory, e))?;
            }
            storage.write_atomic(&path, &bytes).map_err(|e| write_failed(&path, e))
        })
        .await
    }

    /// Forgets a table, and its files unless they lie in a place that was given.
    ///
    /// # Errors
    /// The storage's.
    pub async fn drop_table(&self, table: &Table) -> Result<()> {
        let (path, location) = (self.definition(&table.name), PathBuf::from(&table.location));
        let (external, storage) = (table.external, Arc::clone(&self.storage));
        blocking(move || {
            storage.delete(&path).map_err(|e| write_failed(&path, e))?;
            if external {
                return Ok(());
            }
            storage.delete_dir_all(&location).map_err(|e| write_failed(&location, e))
        })
        .await
    }
}

/// Columns as a definition keeps them: partition columns last, all may be null, only comments beside.
fn kept_columns(schema: &Schema, partition_by: &[String]) -> String {
    let is_partition = |name: &str| partition_by.iter().any(|p| p.eq_ignore_ascii_case(name));
    let (last, first): (Vec<_>, Vec<_>) =
        schema.fields().iter().cloned().partition(|f| is_partition(f.name()));
    let fields: Vec<_> = first
        .into_iter()
        .chain(last)
        .map(|f| {
            let comment = f.metadata().iter().filter(|(key, _)| *key == "comment");
            let metadata = comment.map(|(key, value)| (key.clone(), value.clone())).collect();
            f.as_ref().clone().with_nullable(true).with_metadata(metadata)
        })
        .collect();
    types::schema_json(fields.iter())
}

/// A table's name as messages show it.
pub fn full_name(name: &str) -> String {
    quote_parts(&[CATALOG.to_string(), DATABASE.to_string(), name.to_string()])
}

/// Spark's error for a table that is there already.
pub fn already_exists(name: &str) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_ALREADY_EXISTS").with("relationName", full_name(name))
}

/// Spark's error for a table that is not there.
pub fn not_found(name: &[String]) -> SparkError {
    SparkError::new("TABLE_OR_VIEW_NOT_FOUND")
        .with("relationName", quote_parts(name))
        .with("searchPath", "[`system`.`builtin`, `system`.`session`, `spark_catalog`.`default`]")
}
