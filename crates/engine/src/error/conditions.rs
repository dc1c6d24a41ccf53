//! The table of Spark error conditions that millstream raises.
//!
//! Class names, SQLSTATEs, parameter names and texts follow Spark 4.3's
//! `error-conditions.json`, so that a script which reads them sees no difference.
//! Keep the table sorted by class.

use std::collections::BTreeMap;

/// The exception type a PySpark client raises for a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExceptionKind {
    /// `AnalysisException`: the query cannot be analysed. Fix the query.
    Analysis,
    /// `ParseException`: the SQL text cannot be parsed. Fix the query.
    Parse,
    /// `IllegalArgumentException`: an option or argument is wrong.
    IllegalArgument,
    /// `ArithmeticException`: overflow, division by zero. Fix the data or use `try_*`.
    Arithmetic,
    /// `DateTimeException`: a date or time that does not exist or does not parse.
    DateTime,
    /// `NumberFormatException`: text that is no number. Fix the data or use `try_cast`.
    NumberFormat,
    /// `ArrayIndexOutOfBoundsException`.
    ArrayIndex,
    /// `SparkRuntimeException`: the query failed on its data.
    Runtime,
    /// `UnsupportedOperationException`.
    Unsupported,
    /// `StreamingQueryException`: a streaming query stopped with an error.
    StreamingQuery,
    /// `SparkNoSuchElementException`: a configuration or element that does not exist.
    NoSuchElement,
    /// `SparkConcurrentModificationException`: another run holds the resource.
    Concurrent,
    /// `SparkException`: everything else.
    Spark,
}

/// One row of the table.
#[derive(Debug)]
pub struct Condition {
    /// `MAIN` or `MAIN.SUB`.
    pub class: &'static str,
    /// Five characters.
    pub sql_state: &'static str,
    /// What the client raises.
    pub kind: ExceptionKind,
    /// Text with `<param>` placeholders; main text and sub-class text joined by a space.
    pub template: &'static str,
}

impl Condition {
    /// The text with its placeholders filled; a missing parameter stays visible as `<name>`.
    pub fn render(&self, params: &BTreeMap<String, String>) -> String {
        let mut out = String::with_capacity(self.template.len());
        let mut rest = self.template;
        while let Some(open) = rest.find('<') {
            let (before, from) = rest.split_at(open);
            out.push_str(before);
            let Some(close) = from.find('>') else { break };
            let name = from.get(1..close).unwrap_or_default();
            match params.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(from.get(..=close).unwrap_or_default()),
            }
            rest = from.get(close + 1..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// Looks a class up by its full name.
pub fn find(class: &str) -> Option<&'static Condition> {
    CONDITIONS.binary_search_by(|c| c.class.cmp(class)).ok().and_then(|i| CONDITIONS.get(i))
}

/// The condition for defects of ours.
pub fn internal() -> &'static Condition {
    const INTERNAL: Condition = Condition {
        class: "INTERNAL_ERROR",
        sql_state: "XX000",
        kind: ExceptionKind::Spark,
        template: "<message>",
    };
    find("INTERNAL_ERROR").unwrap_or(&INTERNAL)
}

macro_rules! conditions {
    ($($class:literal $state:literal $kind:ident $template:literal;)*) => {
        /// Every condition, sorted by class (byte order).
        pub static CONDITIONS: &[Condition] = &[
            $(Condition { class: $class, sql_state: $state, kind: ExceptionKind::$kind, template: $template },)*
        ];
    };
}

// One line a class; sorted; texts as in Spark 4.3's error-conditions.json.
conditions! {
    "AGGREGATE_FUNCTION_WITH_NONDETERMINISTIC_EXPRESSION" "42845" Analysis "Non-deterministic expression <sqlExpr> should not appear in the arguments of an aggregate function.";
    "ALL_PARTITION_COLUMNS_NOT_ALLOWED" "KD005" Analysis "Cannot use all columns for partition columns.";
    "AMBIGUOUS_COLUMN_OR_FIELD" "42702" Analysis "Column or field <name> is ambiguous and has <n> matches.";
    "AMBIGUOUS_COLUMN_REFERENCE" "42702" Analysis "Column <name> is ambiguous. It's because you joined several DataFrame together, and some of these DataFrames are the same.\nThis column points to one of the DataFrames but Spark is unable to figure out which one.\nPlease alias the DataFrames with different names via `DataFrame.alias` before joining them,\nand specify the column using qualified name, e.g. `df.alias(\"a\").join(df.alias(\"b\"), col(\"a.id\") > col(\"b.id\"))`.";
    "AMBIGUOUS_REFERENCE" "42704" Analysis "Reference <name> is ambiguous, could be: <referenceNames>.";
    "AMBIGUOUS_REFERENCE_TO_FIELDS" "42000" Analysis "Ambiguous reference to the field <field>. It appears <count> times in the schema.";
    "ARITHMETIC_OVERFLOW" "22003" Arithmetic "<message>.<alternative> If necessary set <config> to \"false\" to bypass this error.";
    "ASSIGNMENT_ARITY_MISMATCH" "42802" Analysis "The number of columns or variables assigned or aliased: <numTarget> does not match the number of source expressions: <numExpr>.";
    "ATTEMPT_ANALYSIS_IN_PIPELINE_QUERY_FUNCTION" "0A000" Analysis "Operations that trigger DataFrame analysis or execution are not allowed in pipeline query functions. Move code outside of the pipeline query function.";
    "BATCH_METADATA_NOT_FOUND" "42K03" Spark "Unable to find batch <batchMetadataFile>.";
    "BINARY_ARITHMETIC_OVERFLOW" "22003" Arithmetic "<value1> <symbol> <value2> caused overflow. Use <functionName> to ignore overflow problem and return NULL.";
    "CANNOT_LOAD_STATE_STORE.CANNOT_READ_MISSING_SNAPSHOT_FILE" "58030" Spark "An error occurred during loading state. Error reading snapshot file <fileToRead> of <clazz>: <fileToRead> does not exist.";
    "CANNOT_LOAD_STATE_STORE.CANNOT_READ_STREAMING_STATE_FILE" "58030" Spark "An error occurred during loading state. Error reading streaming state file of <fileToRead> does not exist. If the stream job is restarted with a new or updated state operation, please create a new checkpoint location or clear the existing checkpoint location.";
    "CANNOT_LOAD_STATE_STORE.MILLSTREAM_DAMAGED_FILE" "58030" Spark "An error occurred during loading state. The state file <fileToRead> is damaged: <reason>.";
    "CANNOT_LOAD_STATE_STORE.SNAPSHOT_PARTITION_ID_NOT_FOUND" "58030" Spark "An error occurred during loading state. Partition id <snapshotPartitionId> not found for state of operator <operatorId> at <checkpointLocation>.";
    "CANNOT_MERGE_SCHEMAS" "42KD9" Analysis "Failed merging schemas: Initial schema: <left> Schema that cannot be merged with the initial schema: <right>.";
    "CANNOT_MODIFY_CONFIG" "46110" Analysis "Cannot modify the value of the Spark config: <key>.\nSee also '<docroot>/sql-migration-guide.html#ddl-statements'.";
    "CANNOT_MODIFY_STATIC_CONFIG" "46110" Analysis "Cannot modify the value of the static Spark config: <key>.";
    "CANNOT_PARSE_INTERVAL" "22006" Analysis "Unable to parse <intervalString>. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. If the issue persists, please double check that the input value is not null or empty and try again.";
    "CANNOT_PARSE_TIMESTAMP" "22007" DateTime "<message>. Use <func> to tolerate invalid input string and return NULL instead.";
    "CANNOT_RESOLVE_DATAFRAME_COLUMN" "42704" Analysis "Cannot resolve dataframe column <name>. It's probably because of illegal references like `df1.select(df2.col(\"a\"))`.";
    "CANNOT_RESOLVE_STAR_EXPAND" "42704" Analysis "Cannot resolve <targetString>.* given input columns <columns>. Please check that the specified table or struct exists and is accessible in the input columns.";
    "CANNOT_UPDATE_PARTITION_COLUMNS" "42000" Analysis "Declared partitioning <requestedPartitionColumns> conflicts with existing table partitioning <existingPartitionColumns>.\nPlease delete the table or change the declared partitioning to match its partitions.";
    "CAST_INVALID_INPUT" "22018" NumberFormat "The value <expression> of the type <sourceType> cannot be cast to <targetType> because it is malformed. Correct the value as per the syntax, or change its target type. Use `try_cast` to tolerate malformed input and return NULL instead.";
    "CAST_OVERFLOW" "22003" Arithmetic "The value <value> of the type <sourceType> cannot be cast to <targetType> due to an overflow. Use `try_cast` to tolerate overflow and return NULL instead.";
    "CODEC_NOT_AVAILABLE.WITH_AVAILABLE_CODECS_SUGGESTION" "56038" IllegalArgument "The codec <codecName> is not available. Available codecs are <availableCodecs>.";
    "CODEC_NOT_AVAILABLE.WITH_CONF_SUGGESTION" "56038" IllegalArgument "The codec <codecName> is not available. Consider to set the config <configKey> to <configVal>.";
    "COLUMN_ALREADY_EXISTS" "42711" Analysis "The column <columnName> already exists. Choose another name or rename the existing column.";
    "COLUMN_NOT_DEFINED_IN_TABLE" "42703" Analysis "<colType> column <colName> is not defined in table <tableName>, defined table columns are: <tableCols>.";
    "COMPARATOR_RETURNS_NULL" "22004" Runtime "The comparator has returned a NULL for a comparison between <firstValue> and <secondValue>.\nIt should return a positive integer for \"greater than\", 0 for \"equal\" and a negative integer for \"less than\".\nTo revert to deprecated behavior where NULL is treated as 0 (equal), you must set \"spark.sql.legacy.allowNullComparisonResultInArraySort\" to \"true\".";
    "CONCURRENT_QUERY" "0A000" Concurrent "Another instance of this query was just started by a concurrent session.";
    "CONCURRENT_STREAM_LOG_UPDATE" "40000" Concurrent "Concurrent update to the log. Multiple streaming jobs detected for <batchId>. Please make sure only one streaming job runs on a specific checkpoint location at a time.";
    "CONFLICTING_DIRECTORY_STRUCTURES" "KD009" Spark "Conflicting directory structures detected.\nSuspicious paths:\n<discoveredBasePaths>\nIf provided paths are partition directories, please set \"basePath\" in the options of the data source to specify the root directory of the table.\nIf there are multiple root directories, please load them separately and then union them.";
    "CONFLICTING_PARTITION_COLUMN_NAMES" "KD009" Spark "Conflicting partition column names detected:\n<distinctPartColLists>\nFor partitioned table directories, data files should only live in leaf directories.\nAnd directories at the same level should have the same partition column name.\nPlease check the following directories for unexpected files or inconsistent partition column names:\n<suspiciousPaths>";
    "CONNECT_INVALID_PLAN.ASSERTION_FAILURE" "56K00" Spark "The Spark Connect plan is invalid. <message>";
    "CONNECT_INVALID_PLAN.CANNOT_FIND_CACHED_LOCAL_RELATION" "56K00" Spark "The Spark Connect plan is invalid. Cannot find a cached local relation for hash: <hash>";
    "CONNECT_INVALID_PLAN.CANNOT_PARSE" "56K00" Spark "The Spark Connect plan is invalid. Cannot decompress or parse the input plan (<errorMsg>)\nThis may be caused by a corrupted compressed plan.\nTo disable plan compression, set 'spark.connect.session.planCompression.threshold' to -1.";
    "CONNECT_INVALID_PLAN.STREAMING_QUERY_NOT_FOUND" "56K00" Spark "The Spark Connect plan is invalid. Streaming query <id> is not found";
    "CONNECT_INVALID_PLAN.STREAMING_QUERY_RUN_ID_MISMATCH" "56K00" Spark "The Spark Connect plan is invalid. Run id mismatch for query id <id>. Run id in the request <runId> does not match one on the server <serverRunId>. The query might have restarted.";
    "CONVERSION_INVALID_INPUT" "22018" Runtime "The value <str> (<fmt>) cannot be converted to <targetType> because it is malformed. Correct the value as per the syntax, or change its format. Use <suggestion> to tolerate malformed input and return NULL instead.";
    "DATAFLOW_GRAPH_NOT_FOUND" "KD011" Spark "Dataflow graph with id <graphId> could not be found";
    "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to <functionName> should have been <dataType> followed by a value with same element type, but it's [<leftType>, <rightType>].";
    "DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to function <functionName> should have been two <arrayType> with same element type, but it's [<leftType>, <rightType>].";
    "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: the left and right operands of the binary operator have incompatible types (<left> and <right>).";
    "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: the binary operator requires the input type <inputType>, not <actualDataType>.";
    "DATATYPE_MISMATCH.CANNOT_CONVERT_TO_JSON" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Unable to convert column <name> of type <type> to JSON.";
    "DATATYPE_MISMATCH.CANNOT_DROP_ALL_FIELDS" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Cannot drop all fields in struct.";
    "DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: cannot cast <srcType> to <targetType>.";
    "DATATYPE_MISMATCH.CAST_WITH_CONF_SUGGESTION" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: cannot cast <srcType> to <targetType> with ANSI mode on. If you have to cast <srcType> to <targetType>, you can set <config> as <configVal>.";
    "DATATYPE_MISMATCH.CAST_WITH_FUNC_SUGGESTION" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: cannot cast <srcType> to <targetType>. To convert values from <srcType> to <targetType>, you can use the functions <functionNames> instead.";
    "DATATYPE_MISMATCH.CREATE_MAP_KEY_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The given keys of function <functionName> should all be the same type, but they are <dataType>.";
    "DATATYPE_MISMATCH.CREATE_MAP_VALUE_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The given values of function <functionName> should all be the same type, but they are <dataType>.";
    "DATATYPE_MISMATCH.CREATE_NAMED_STRUCT_WITHOUT_FOLDABLE_STRING" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Only foldable `STRING` expressions are allowed to appear at odd position, but they are <inputExprs>.";
    "DATATYPE_MISMATCH.DATA_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to <functionName> should all be the same type, but it's <dataType>.";
    "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Filter expression <filter> of type <type> is not a boolean.";
    "DATATYPE_MISMATCH.HASH_MAP_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to the function <functionName> cannot contain elements of the \"MAP\" type. In Spark, same maps may have different hashcode, thus hash expressions are prohibited on \"MAP\" elements. To restore previous behavior set \"spark.sql.legacy.allowHashOnMapType\" to \"true\".";
    "DATATYPE_MISMATCH.INVALID_ARG_VALUE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <inputName> value must to be a <requireType> literal of <validValues>, but got <inputValue>.";
    "DATATYPE_MISMATCH.INVALID_JSON_SCHEMA" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input schema <schema> must be a struct, an array, a map or a variant.";
    "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <functionName> does not support ordering on type <dataType>.";
    "DATATYPE_MISMATCH.IN_SUBQUERY_DATA_TYPE_MISMATCH" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The data type of one or more elements in the left hand side of an IN subquery is not compatible with the data type of the output of the subquery. Mismatched columns: [<mismatchedColumns>], left side: [<leftType>], right side: [<rightType>].";
    "DATATYPE_MISMATCH.IN_SUBQUERY_LENGTH_MISMATCH" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The number of columns in the left hand side of an IN subquery does not match the number of columns in the output of subquery. Left hand side columns(length: <leftLength>): [<leftColumns>], right hand side columns(length: <rightLength>): [<rightColumns>].";
    "DATATYPE_MISMATCH.MAP_FUNCTION_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to <functionName> should have been <dataType> followed by a value with same key type, but it's [<leftType>, <rightType>].";
    "DATATYPE_MISMATCH.MAP_ZIP_WITH_DIFF_TYPES" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Input to the <functionName> should have been two maps with compatible key types, but it's [<leftType>, <rightType>].";
    "DATATYPE_MISMATCH.NON_FOLDABLE_INPUT" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: the input <inputName> should be a foldable <inputType> expression; however, got <inputExpr>.";
    "DATATYPE_MISMATCH.NON_STRUCT_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: the input <inputName> should be a struct expression; however, got <inputType>.";
    "DATATYPE_MISMATCH.NULL_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: Null typed values cannot be used as arguments of <functionName>.";
    "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <leftExprName>(<leftExprValue>) must be <constraint> the <rightExprName>(<rightExprValue>).";
    "DATATYPE_MISMATCH.TYPE_CHECK_FAILURE_WITH_HINT" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: <msg><hint>.";
    "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <paramIndex> parameter requires the <requiredType> type, however <inputSql> has the type <inputType>.";
    "DATATYPE_MISMATCH.UNEXPECTED_NULL" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <exprName> must not be null.";
    "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE" "42K09" Analysis "Cannot resolve <sqlExpr> due to data type mismatch: The <exprName> must be between <valueRange> (current value = <currentValue>).";
    "DATA_SOURCE_NOT_FOUND" "42K02" Analysis "Failed to find the data source: <provider>. Make sure the provider name is correct and the package is properly registered and compatible with your Spark version.";
    "DATETIME_FIELD_OUT_OF_BOUNDS.WITHOUT_SUGGESTION" "22023" DateTime "<rangeMessage>.";
    "DATETIME_OVERFLOW" "22008" Arithmetic "Datetime operation overflow: <operation>.";
    "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION" "22003" Arithmetic "Decimal precision <precision> exceeds max precision <maxPrecision>.";
    "DECIMAL_SCALE_EXCEEDS_PRECISION" "22003" Analysis "Decimal scale (<scale>) cannot be greater than precision (<precision>).";
    "DEFINE_FLOW_ONCE_OPTION_NOT_SUPPORTED" "0A000" Analysis "Defining a one-time flow <flowName> with the 'once' option is not supported.";
    "DISTINCT_WINDOW_FUNCTION_UNSUPPORTED" "0A000" Analysis "Distinct window functions are not supported: <windowExpr>.";
    "DIVIDE_BY_ZERO" "22012" Arithmetic "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead. If necessary set <config> to \"false\" to bypass this error.";
    "DUPLICATED_MAP_KEY" "23505" Runtime "Duplicate map key <key> was found, please check the input data. If you want to remove the duplicated keys, you can set <mapKeyDedupPolicy> to \"LAST_WIN\" so that the key inserted at last takes precedence.";
    "DUPLICATE_FLOW_SQL_CONF" "42710" Analysis "Found duplicate sql conf for dataset '<datasetName>': '<key>' is defined by both '<flowName1>' and '<flowName2>'";
    "EMPTY_SCHEMA_NOT_SUPPORTED_FOR_DATASOURCE" "0A000" Analysis "The <format> datasource does not support writing empty or nested empty schemas. Please make sure the data schema has at least one or more column(s).";
    "EVENT_TIME_IS_NOT_ON_TIMESTAMP_TYPE" "42K09" Analysis "The event time <eventName> has the invalid type <eventType>, but expected \"TIMESTAMP\".";
    "FAILED_FUNCTION_CALL" "38000" Analysis "Failed preparing of the function <funcName> for call. Please, double check function's arguments.";
    "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER" "KD001" Spark "Encountered error while reading file <path>. Could not read footer. Please ensure that the file is in either ORC or Parquet format. If not, please convert it to a valid format. If the file is in the valid format, please check if it is corrupt. If it is, you can choose to either ignore it or fix the corruption.";
    "FAILED_READ_FILE.FILE_NOT_EXIST" "KD001" Spark "Encountered error while reading file <path>. File does not exist. It is possible the underlying files have been updated. You can explicitly invalidate the cache in Spark by running 'REFRESH TABLE tableName' command in SQL or by recreating the Dataset/DataFrame involved.";
    "FAILED_READ_FILE.NO_HINT" "KD001" Spark "Encountered error while reading file <path>. ";
    "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH" "KD001" Spark "Encountered error while reading file <path>. Data type mismatches when reading Parquet column <column>. Expected Spark type <expectedType>, actual Parquet type <actualType>.";
    "FIELD_NOT_FOUND" "42704" Analysis "No such struct field <fieldName> in <fields>.";
    "FOREACH_BATCH_USER_FUNCTION_ERROR" "39000" Spark "An error occurred in the user provided function in foreach batch sink. Reason: <reason>";
    "FOREACH_USER_FUNCTION_ERROR" "39000" Spark "An error occurred in the user provided function in foreach sink. Reason: <reason>";
    "GROUPING_COLUMN_MISMATCH" "42803" Analysis "Column of grouping (<grouping>) can't be found in grouping columns <groupingColumns>.";
    "GROUPING_ID_COLUMN_MISMATCH" "42803" Analysis "Columns of grouping_id (<groupingIdColumn>) does not match grouping columns (<groupByColumns>).";
    "GROUPING_SIZE_LIMIT_EXCEEDED" "54000" Analysis "Grouping sets size cannot be greater than <maxSize>.";
    "GROUP_BY_AGGREGATE" "42903" Analysis "Aggregate functions are not allowed in GROUP BY, but found <sqlExpr>.";
    "GROUP_BY_POS_AGGREGATE" "42903" Analysis "GROUP BY <index> refers to an expression <aggExpr> that contains an aggregate function. Aggregate functions are not allowed in GROUP BY.";
    "GROUP_BY_POS_OUT_OF_RANGE" "42805" Analysis "GROUP BY position <index> is not in select list (valid range is [1, <size>]).";
    "ILLEGAL_DAY_OF_WEEK" "22009" IllegalArgument "Illegal input for day of week: <string>.";
    "INCOMPATIBLE_BATCH_VIEW_READ" "42000" Analysis "View <datasetIdentifier> is a batch view and must be referenced using SparkSession#read. This check can be disabled by setting Spark conf pipelines.incompatibleViewCheck.enabled = false.";
    "INCOMPATIBLE_COLUMN_TYPE" "42825" Analysis "<operator> can only be performed on tables with compatible column types. The <columnOrdinalNumber> column of the <tableOrdinalNumber> table is <dataType1> type which is not compatible with <dataType2> at the same column of the first table.<hint>.";
    "INCOMPATIBLE_STREAMING_VIEW_READ" "42000" Analysis "View <datasetIdentifier> is a streaming view and must be referenced using SparkSession#readStream. This check can be disabled by setting Spark conf pipelines.incompatibleViewCheck.enabled = false.";
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_PATTERN_RECOGNITION" "42K0B" Spark "You may get a different result due to the upgrading to Spark >= 3.0:\nFail to recognize <pattern> pattern in the DateTimeFormatter.\n1) You can set <config> to \"LEGACY\" to restore the behavior before Spark 3.0.\n2) You can form a valid datetime pattern with the guide from '<docroot>/sql-ref-datetime-pattern.html'.";
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.DATETIME_WEEK_BASED_PATTERN" "42K0B" Spark "You may get a different result due to the upgrading to Spark >= 3.0:\nAll week-based patterns are unsupported since Spark 3.0, detected week-based character: <c>.\nPlease use the SQL function EXTRACT instead.";
    "INCONSISTENT_BEHAVIOR_CROSS_VERSION.PARSE_DATETIME_BY_NEW_PARSER" "42K0B" Spark "You may get a different result due to the upgrading to Spark >= 3.0: Fail to parse <datetime> in the new parser. You can set <config> to \"LEGACY\" to restore the behavior before Spark 3.0, or set to \"CORRECTED\" and treat it as an invalid datetime string.";
    "INCORRECT_END_OFFSET" "22003" Arithmetic "Max offset with <rowsPerSecond> rowsPerSecond is <maxSeconds>, but it's <endSeconds> now.";
    "INCORRECT_RAMP_UP_RATE" "22003" Arithmetic "Max offset with <rowsPerSecond> rowsPerSecond is <maxSeconds>, but 'rampUpTimeSeconds' is <rampUpTimeSeconds>.";
    "INSERT_COLUMN_ARITY_MISMATCH.NOT_ENOUGH_DATA_COLUMNS" "21S01" Analysis "Cannot write to <tableName>, the reason is not enough data columns:\nTable columns: <tableColumns>.\nData columns: <dataColumns>.";
    "INSERT_COLUMN_ARITY_MISMATCH.TOO_MANY_DATA_COLUMNS" "21S01" Analysis "Cannot write to <tableName>, the reason is too many data columns:\nTable columns: <tableColumns>.\nData columns: <dataColumns>.";
    "INTERNAL_ERROR" "XX000" Spark "<message>";
    "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION" "22015" Arithmetic "Integer overflow while operating with intervals. Try devising appropriate values for the interval parameters.";
    "INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION" "22015" Arithmetic "Integer overflow while operating with intervals. Use <functionName> to tolerate overflow and return NULL instead.";
    "INTERVAL_DIVIDED_BY_ZERO" "22012" Arithmetic "Division by zero. Use `try_divide` to tolerate divisor being 0 and return NULL instead.";
    "INVALID_ARRAY_INDEX" "22003" ArrayIndex "The index <indexValue> is out of bounds. The array has <arraySize> elements. Use the SQL function `get()` to tolerate accessing element at invalid index and return NULL instead.";
    "INVALID_ARRAY_INDEX_IN_ELEMENT_AT" "22003" ArrayIndex "The index <indexValue> is out of bounds. The array has <arraySize> elements. Use `try_element_at` to tolerate accessing element at invalid index and return NULL instead.";
    "INVALID_ARTIFACT_PATH" "22023" Spark "Artifact with name <name> is invalid. The name must be a relative path and cannot reference parent/sibling/nephew directories.";
    "INVALID_ATTRIBUTE_NAME_SYNTAX" "42601" Analysis "Syntax error in the attribute name: <name>. Check that backticks appear in pairs, a quoted string is a complete name part and use a backtick only inside quoted name parts.";
    "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_ALREADY_CLOSED" "42K04" Spark "Invalid session clone request. Cannot clone session to target session ID <targetSessionId> because a session with this ID was previously closed.";
    "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_ALREADY_EXISTS" "42K04" Spark "Invalid session clone request. Cannot clone session to target session ID <targetSessionId> because a session with this ID already exists.";
    "INVALID_CLONE_SESSION_REQUEST.TARGET_SESSION_ID_FORMAT" "42K04" Spark "Invalid session clone request. Target session ID <targetSessionId> for clone operation must be an UUID string of the format '00112233-4455-6677-8899-aabbccddeeff'.";
    "INVALID_COLUMN_OR_FIELD_DATA_TYPE" "42000" Analysis "Column or field <name> is of type <type> while it's required to be <expectedType>.";
    "INVALID_CONF_VALUE.OUT_OF_RANGE_OF_OPTIONS" "22022" IllegalArgument "The value '<confValue>' in the config \"<confName>\" is invalid. It should be one of '<confOptions>'.";
    "INVALID_CONF_VALUE.REQUIREMENT" "22022" IllegalArgument "The value '<confValue>' in the config \"<confName>\" is invalid. <confRequirement>";
    "INVALID_CONF_VALUE.TIME_ZONE" "22022" IllegalArgument "The value '<confValue>' in the config \"<confName>\" is invalid. Cannot resolve the given timezone.";
    "INVALID_CONF_VALUE.TYPE_MISMATCH" "22022" IllegalArgument "The value '<confValue>' in the config \"<confName>\" is invalid. It should be a/an '<confType>' value.";
    "INVALID_CORRUPT_RECORD_TYPE" "42804" Analysis "The column <columnName> for corrupt records must have the nullable STRING type, but got <actualType>.";
    "INVALID_CURSOR.DISCONNECTED" "HY109" Spark "The cursor is invalid. The cursor has been disconnected by the server.";
    "INVALID_CURSOR.NOT_REATTACHABLE" "HY109" Spark "The cursor is invalid. The cursor is not reattachable.";
    "INVALID_CURSOR.POSITION_NOT_AVAILABLE" "HY109" Spark "The cursor is invalid. The cursor position id <responseId> is no longer available at index <index>.";
    "INVALID_CURSOR.POSITION_NOT_FOUND" "HY109" Spark "The cursor is invalid. The cursor position id <responseId> is not found.";
    "INVALID_DATETIME_PATTERN.ILLEGAL_CHARACTER" "22007" IllegalArgument "Unrecognized datetime pattern: <pattern>. Illegal pattern character found in datetime pattern: <c>. Please provide legal character.";
    "INVALID_DATETIME_PATTERN.LENGTH" "22007" IllegalArgument "Unrecognized datetime pattern: <pattern>. Too many letters in datetime pattern: <pattern>. Please reduce pattern length.";
    "INVALID_DATETIME_PATTERN.WITH_SUGGESTION" "22007" IllegalArgument "Unrecognized datetime pattern: <pattern>. You can form a valid datetime pattern with the guide from '<docroot>/sql-ref-datetime-pattern.html'.";
    "INVALID_DELIMITER_VALUE.EMPTY_STRING" "42602" IllegalArgument "Invalid value for delimiter. Delimiter cannot be empty string.";
    "INVALID_DELIMITER_VALUE.SINGLE_BACKSLASH" "42602" IllegalArgument "Invalid value for delimiter. Single backslash is prohibited. It has special meaning as beginning of an escape sequence. To get the backslash character, pass a string with two backslashes as the delimiter.";
    "INVALID_DELIMITER_VALUE.UNSUPPORTED_SPECIAL_CHARACTER" "42602" IllegalArgument "Invalid value for delimiter. Unsupported special character for delimiter: <str>.";
    "INVALID_EXTRACT_BASE_FIELD_TYPE" "42000" Analysis "Can't extract a value from <base>. Need a complex type [STRUCT, ARRAY, MAP] but got <other>.";
    "INVALID_EXTRACT_FIELD" "42601" Analysis "Cannot extract <field> from <expr>.";
    "INVALID_EXTRACT_FIELD_TYPE" "42000" Analysis "Field name should be a non-null string literal, but it's <extraction>.";
    "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE" "42000" Analysis "Flow <flowIdentifier> returns an invalid relation type. Streaming tables may only be defined by streaming relations, but the flow <flowIdentifier> attempts to write a batch relation to the streaming table <tableIdentifier>. Consider using the STREAM operator in Spark-SQL to convert the batch relation into a streaming relation, or populating the streaming table with an append once-flow instead.";
    "INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_MATERIALIZED_VIEW" "42000" Analysis "Flow <flowIdentifier> returns an invalid relation type. Materialized views may only be defined by a batch relation, but the flow <flowIdentifier> attempts to write a streaming relation to the materialized view <tableIdentifier>.";
    "INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_ONCE_FLOW" "42000" Analysis "Flow <flowIdentifier> returns an invalid relation type. <flowIdentifier> is an append once-flow that is defined by a streaming relation. Append once-flows may only be defined by or return a batch relation.";
    "INVALID_FORMAT.EMPTY" "42601" Analysis "The format is invalid: <format>. The number format string cannot be empty.";
    "INVALID_FORMAT.ESC_AT_THE_END" "42601" Analysis "The format is invalid: <format>. The escape character is not allowed to end with.";
    "INVALID_FORMAT.ESC_IN_THE_MIDDLE" "42601" Analysis "The format is invalid: <format>. The escape character is not allowed to precede <char>.";
    "INVALID_FRACTION_OF_SECOND" "22023" DateTime "Valid range for seconds is [0, 60] (inclusive), but the provided value is <secAndMicros>. To avoid this error, use `try_make_timestamp`, which returns NULL on error. If you do not want to use the session default timestamp version of this function, use `try_make_timestamp_ntz` or `try_make_timestamp_ltz`.";
    "INVALID_HANDLE.FORMAT" "HY000" Spark "The handle <handle> is invalid. Handle must be an UUID string of the format '00112233-4455-6677-8899-aabbccddeeff'";
    "INVALID_HANDLE.OPERATION_ABANDONED" "HY000" Spark "The handle <handle> is invalid. Operation was considered abandoned because of inactivity and removed.";
    "INVALID_HANDLE.OPERATION_ALREADY_EXISTS" "HY000" Spark "The handle <handle> is invalid. Operation already exists.";
    "INVALID_HANDLE.OPERATION_NOT_FOUND" "HY000" Spark "The handle <handle> is invalid. Operation not found.";
    "INVALID_HANDLE.SESSION_CHANGED" "08003" Spark "The handle <handle> is invalid. The existing Spark server driver instance has restarted. Please reconnect.";
    "INVALID_HANDLE.SESSION_CLOSED" "08003" Spark "The handle <handle> is invalid. Session was closed.";
    "INVALID_HANDLE.SESSION_NOT_FOUND" "08003" Spark "The handle <handle> is invalid. Session not found.";
    "INVALID_INDEX_OF_ZERO" "22003" Runtime "The index 0 is invalid. An index shall be either < 0 or > 0 (the first element has index 1).";
    "INVALID_INLINE_TABLE.NUM_COLUMNS_MISMATCH" "42000" Analysis "Invalid inline table. Inline table expected <expectedNumCols> columns but found <actualNumCols> columns in row <rowIndex>.";
    "INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Uncaught arithmetic exception while parsing '<input>'.";
    "INVALID_INTERVAL_FORMAT.INPUT_IS_EMPTY" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Interval string cannot be empty.";
    "INVALID_INTERVAL_FORMAT.INTERVAL_PARSING" "22006" IllegalArgument "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Error parsing interval <interval> string.";
    "INVALID_INTERVAL_FORMAT.INVALID_FRACTION" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. <unit> cannot have fractional part.";
    "INVALID_INTERVAL_FORMAT.INVALID_UNIT" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Invalid unit <unit>.";
    "INVALID_INTERVAL_FORMAT.MISSING_UNIT" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Expect a unit name after <word> but hit EOL.";
    "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Interval string does not match <intervalStr> format of <supportedFormat> when cast to <typeName>: <input>.";
    "INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER" "22006" Analysis "Error parsing '<input>' to interval. Please ensure that the value provided is in a valid format for defining an interval. You can reference the documentation for the correct format. Unrecognized number <number>.";
    "INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION" "22006" IllegalArgument "Cannot add an interval to a date because its microseconds part is not 0. To resolve this, cast the input date to a timestamp, which supports the addition of intervals with non-zero microseconds.";
    "INVALID_JSON_DATA_TYPE" "2203G" Analysis "Failed to convert the JSON string '<invalidType>' to a data type. Please enter a valid data type.";
    "INVALID_LAMBDA_FUNCTION_CALL.NON_HIGHER_ORDER_FUNCTION" "42K0D" Analysis "Invalid lambda function call. A lambda function should only be used in a higher order function. However, its class is <class>, which is not a higher order function.";
    "INVALID_LAMBDA_FUNCTION_CALL.NUM_ARGS_MISMATCH" "42K0D" Analysis "Invalid lambda function call. A higher order function expects <expectedNumArgs> arguments, but got <actualNumArgs>.";
    "INVALID_LAMBDA_FUNCTION_CALL.PARAMETER_DOES_NOT_ACCEPT_LAMBDA_FUNCTION" "42K0D" Analysis "Invalid lambda function call. You passed a lambda function to a parameter that does not accept it. Please check if lambda function argument is in the correct position.";
    "INVALID_LIMIT_LIKE_EXPRESSION.DATA_TYPE" "42K0E" Analysis "The limit like expression <expr> is invalid. The <name> expression must be integer type, but got <dataType>.";
    "INVALID_LIMIT_LIKE_EXPRESSION.IS_NEGATIVE" "42K0E" Analysis "The limit like expression <expr> is invalid. The <name> expression must be equal to or greater than 0, but got <v>.";
    "INVALID_LINE_SEPARATOR.EMPTY" "22023" IllegalArgument "Invalid line separator configuration. The 'lineSep' option cannot be an empty string.";
    "INVALID_LINE_SEPARATOR.TOO_LONG" "22023" IllegalArgument "Invalid line separator configuration. The 'lineSep' option can contain at most 2 characters, but got <length> characters.";
    "INVALID_LOG_VERSION.MAX_SUPPORTED_VERSION" "KD002" Spark "UnsupportedLogVersion. The maximum supported log version is v<maxSupportedVersion>, but encountered v<version>. The log file was produced by a newer version of Spark and cannot be read by this version. You need to upgrade.";
    "INVALID_NUMERIC_LITERAL_RANGE" "22003" Analysis "Numeric literal <rawStrippedQualifier> is outside the valid range for <typeName> with minimum value of <minValue> and maximum value of <maxValue>. Please adjust the value accordingly.";
    "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: expects an integer value in [0, <upper>), but got <invalidValue>.";
    "INVALID_PARAMETER_VALUE.BOOLEAN" "22023" IllegalArgument "The value of parameter(s) <parameter> in <functionName> is invalid: expects a boolean literal, but got <invalidValue>.";
    "INVALID_PARAMETER_VALUE.CHARSET" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: expects one of the <charsets>, but got <charset>.";
    "INVALID_PARAMETER_VALUE.DATETIME_UNIT" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: expects one of the units without quotes YEAR, QUARTER, MONTH, WEEK, DAY, DAYOFYEAR, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND, but got the string literal <invalidValue>.";
    "INVALID_PARAMETER_VALUE.INTEGER" "22023" IllegalArgument "The value of parameter(s) <parameter> in <functionName> is invalid: expects an integer literal, but got <invalidValue>.";
    "INVALID_PARAMETER_VALUE.LENGTH" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: Expects `length` greater than or equal to 0, but got <length>.";
    "INVALID_PARAMETER_VALUE.PATTERN" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: <value>.";
    "INVALID_PARAMETER_VALUE.REGEX_GROUP_INDEX" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: Expects group index between 0 and <groupCount>, but got <groupIndex>.";
    "INVALID_PARAMETER_VALUE.START" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: Expects a positive or a negative value for `start`, but got 0.";
    "INVALID_PARAMETER_VALUE.ZERO_INDEX" "22023" Runtime "The value of parameter(s) <parameter> in <functionName> is invalid: expects %1$, %2$ and so on, but got %0$.";
    "INVALID_PARTITION_COLUMN_DATA_TYPE" "0A000" Analysis "Cannot use <type> for partition column.";
    "INVALID_REGEXP_REPLACE" "22023" Runtime "Could not perform regexp_replace for source = \"<source>\", pattern = \"<pattern>\", replacement = \"<replacement>\" and position = <position>.";
    "INVALID_RESETTABLE_DEPENDENCY" "42000" Analysis "Tables <upstreamResettableTables> are resettable but have a non-resettable downstream dependency '<downstreamTable>'. `reset` will fail as Spark Streaming does not support deleted source data. You can either remove the <resetAllowedKey>=false property from '<downstreamTable>' or add it to its upstream dependencies.";
    "INVALID_SCHEMA.NON_STRUCT_TYPE" "42K07" Analysis "The input schema <inputSchema> is not a valid schema string. The input expression should be evaluated to struct type, but got <dataType>.";
    "INVALID_SUBQUERY_EXPRESSION.SCALAR_SUBQUERY_RETURN_MORE_THAN_ONE_OUTPUT_COLUMN" "42823" Analysis "Invalid subquery: Scalar subquery must return only one column, but got <number>.";
    "INVALID_TABLESAMPLE_FRACTION" "22023" Parse "Sampling fraction (<fraction>) must be on interval [0, 1].";
    "INVALID_TEMP_OBJ_QUALIFIER" "42602" Parse "Temporary <objectType> <objectName> cannot be qualified with <qualifier>. Temporary objects can only be qualified with SESSION or SYSTEM.SESSION.";
    "INVALID_TIMEZONE" "22009" DateTime "The timezone: <timeZone> is invalid. The timezone must be either a region-based zone ID or a zone offset. Region IDs must have the form 'area/city', such as 'America/Los_Angeles'. Zone offsets must be in the format '(+|-)HH', '(+|-)HH:mm’ or '(+|-)HH:mm:ss', e.g '-08' , '+01:00' or '-13:33:33', and must be in the range from -18:00 to +18:00. 'Z' and 'UTC' are accepted as synonyms for '+00:00'.";
    "INVALID_TYPED_LITERAL" "42604" Analysis "The value of the typed literal <valueType> is invalid: <value>.";
    "INVALID_USAGE_OF_STAR_OR_REGEX" "42000" Analysis "Invalid usage of <elem> in <prettyName>.";
    "INVALID_WHERE_CONDITION" "42903" Analysis "The WHERE condition <condition> contains invalid expressions: <expressionList>.\nRewrite the query to avoid window functions, aggregate functions, and generator functions in the WHERE clause.";
    "JOIN_CONDITION_IS_NOT_BOOLEAN_TYPE" "42K0E" Analysis "The join condition <joinCondition> has the invalid type <conditionType>, expected \"BOOLEAN\".";
    "LOCATION_ALREADY_EXISTS" "42710" Analysis "Cannot name the managed table as <identifier>, as its associated location <location> already exists. Please pick a different table name, or remove the existing location first.";
    "MALFORMED_CHARACTER_CODING" "22000" Analysis "Invalid value found when performing <function> with <charset>";
    "MALFORMED_CSV_RECORD" "KD000" Runtime "Malformed CSV record: <badRecord>";
    "MALFORMED_LOG_FILE" "KD002" Spark "Log file was malformed: failed to read correct log version from <text>.";
    "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION" "22023" Spark "Malformed records are detected in record parsing: <badRecord>.\nParse Mode: <failFastMode>. To process malformed records as null result, try setting the option 'mode' as 'PERMISSIVE'. ";
    "MATERIALIZED_VIEW_WITH_MULTIPLE_QUERIES" "42000" Analysis "Invalid destination <tableName> with multiple flows: <flows>.";
    "MISSING_AGGREGATION" "42803" Analysis "The non-aggregating expression <expression> is based on columns which are not participating in the GROUP BY clause.\nAdd the columns or the expression to the GROUP BY, aggregate the expression, or use <expressionAnyValue> if you do not care which of the values within a group is returned.";
    "MISSING_GROUP_BY" "42803" Analysis "The query does not include a GROUP BY clause. Add GROUP BY or turn it into the window functions using OVER clauses.";
    "MISSING_WINDOW_SPECIFICATION" "42P20" Parse "Window specification is not defined in the WINDOW clause for <windowName>. For more information about WINDOW clauses, please refer to '<docroot>/sql-ref-syntax-qry-select-window.html'.";
    "MULTIPART_FLOW_NAME_NOT_SUPPORTED" "0A000" Analysis "Flow with multipart name '<flowName>' is not supported.";
    "MULTIPLE_EVENT_TIME_COLUMNS" "42K09" Analysis "More than one event time columns are available. Please ensure there is at most one event time column per stream. event time columns: <eventTimeCols>";
    "MULTI_ALIAS_WITHOUT_GENERATOR" "42K0E" Analysis "Multi part aliasing (<names>) is not supported with <expr> as it is not a generator function.";
    "NEGATIVE_SCALE_DISALLOWED" "0A000" Analysis "Negative scale is not allowed: '<scale>'. Set the config <sqlConf> to \"true\" to allow it.";
    "NESTED_AGGREGATE_FUNCTION" "42607" Analysis "It is not allowed to use an aggregate function in the argument of another aggregate function. Please use the inner aggregate function in a sub-query.";
    "NON_FOLDABLE_ARGUMENT" "42K08" Analysis "The function <funcName> requires the parameter <paramName> to be a foldable expression of the type <paramType>, but the actual argument is a non-foldable.";
    "NON_TIME_WINDOW_NOT_SUPPORTED_IN_STREAMING" "42KDE" Analysis "Window function is not supported in <windowFunc> (as column <columnName>) on streaming DataFrames/Datasets.\nStructured Streaming only supports time-window aggregation using the WINDOW function. (window specification: <windowSpec>)";
    "NULLABLE_COLUMN_OR_FIELD" "42000" Analysis "Column or field <name> is nullable while it's required to be non-nullable.";
    "NULL_MAP_KEY" "2200E" Runtime "Cannot use null as map key.";
    "NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION" "22003" Arithmetic "The <roundedValue> rounded half up from <originalValue> cannot be represented as Decimal(<precision>, <scale>).";
    "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION" "22003" Arithmetic "<value> cannot be represented as Decimal(<precision>, <scale>). If necessary set <config> to \"false\" to bypass this error, and return NULL instead.";
    "NUM_COLUMNS_MISMATCH" "42826" Analysis "<operator> can only be performed on inputs with the same number of columns, but the first input has <firstNumColumns> columns and the <invalidOrdinalNum> input has <invalidNumColumns> columns.";
    "OPERATION_CANCELED" "HY008" Spark "Operation has been canceled.";
    "OPTION_VALUE_EXCEEDS_ONE_CHARACTER" "22023" IllegalArgument "The value of <paramName> cannot be more than one character, but got <actualValue>.";
    "ORDER_BY_POS_OUT_OF_RANGE" "42805" Analysis "ORDER BY position <index> is not in select list (valid range is [1, <size>]).";
    "PARSE_EMPTY_STATEMENT" "42617" Parse "Syntax error, unexpected empty statement.";
    "PARSE_SYNTAX_ERROR" "42601" Parse "Syntax error at or near <error><hint>.";
    "PATH_ALREADY_EXISTS" "42K04" Analysis "Path <outputPath> already exists. Set mode as \"overwrite\" to overwrite the existing path.";
    "PATH_NOT_FOUND" "42K03" Analysis "Path does not exist: <path>.";
    "PIPELINE_DATASET_WITHOUT_FLOW" "0A000" Analysis "Pipeline dataset <identifier> does not have any defined flows. Please attach a query with the dataset's definition, or explicitly define at least one flow that writes to the dataset.";
    "PIPELINE_DUPLICATE_IDENTIFIERS.FLOW" "42710" Analysis "A duplicate identifier was found for elements registered in the pipeline's dataflow graph. Flow <flowName> was found in multiple datasets: <datasetNames>";
    "PIPELINE_DUPLICATE_IDENTIFIERS.OUTPUT" "42710" Analysis "A duplicate identifier was found for elements registered in the pipeline's dataflow graph. Attempted to register a <outputType1> with identifier <outputName>, but a <outputType2> has already been registered with that identifier. Please ensure all outputs created within this pipeline have unique identifiers.";
    "PIPELINE_RUN_FAILED" "42K0S" Spark "<message>";
    "PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR" "42000" Analysis "<message>\n<offendingQuery>\n<codeLocation>";
    "PIPELINE_STORAGE_ROOT_INVALID" "42K03" Analysis "Pipeline storage root must be an absolute path with a URI scheme (e.g., file://, s3a://, hdfs://). Got: `<storage_root>`.";
    "REMAINDER_BY_ZERO" "22012" Arithmetic "Remainder by zero. Use `try_mod` to tolerate divisor being 0 and return NULL instead. If necessary set <config> to \"false\" to bypass this error.";
    "REQUIRES_EXPLICIT_NAME_IN_WATERMARK_CLAUSE" "42000" Analysis "The watermark clause requires an explicit name if expression is specified, but got <sqlExpr>.";
    "RUN_EMPTY_PIPELINE" "42617" Analysis "Pipelines are expected to have at least one non-temporary dataset defined (tables, persisted views) but no non-temporary datasets were found in your pipeline.\nPlease verify that you have included the expected source files, and that your source code includes table definitions (e.g., CREATE MATERIALIZED VIEW in SQL code, @dp.table in python code).";
    "SCHEMA_NOT_FOUND" "42704" Analysis "The schema <schemaName> cannot be found. Verify the spelling and correctness of the schema and catalog.\nIf you did not qualify the name with a catalog, verify the current_schema() output, or qualify the name with the correct catalog.\nTo tolerate the error on drop use DROP SCHEMA IF EXISTS.";
    "SEED_EXPRESSION_IS_UNFOLDABLE" "42K08" Analysis "The seed expression <seedExpr> of the expression <exprWithSeed> must be foldable.";
    "SQL_CONF_NOT_FOUND" "42K0I" NoSuchElement "The SQL config <sqlConf> cannot be found. Please verify that the config exists.";
    "STATE_STORE_KEY_SCHEMA_NOT_COMPATIBLE" "XXKST" Spark "Provided key schema does not match existing state key schema.\nPlease check number and type of fields.\nExisting key_schema=<storedKeySchema> and new key_schema=<newKeySchema>.\nIf you want to force running the query without schema validation, please set spark.sql.streaming.stateStore.stateSchemaCheck to false.\nHowever, please note that running the query with incompatible schema could cause non-deterministic behavior.";
    "STATE_STORE_VALUE_SCHEMA_NOT_COMPATIBLE" "XXKST" Spark "Provided value schema does not match existing state value schema.\nPlease check number and type of fields.\nExisting value_schema=<storedValueSchema> and new value_schema=<newValueSchema>.\nIf you want to force running the query without schema validation, please set spark.sql.streaming.stateStore.stateSchemaCheck to false.\nHowever, please note that running the query with incompatible schema could cause non-deterministic behavior.";
    "STDS_COMMITTED_BATCH_UNAVAILABLE" "KD006" Analysis "No committed batch found, checkpoint location: <checkpointLocation>. Ensure that the query has run and committed any microbatch before stopping.";
    "STDS_CONFLICT_OPTIONS" "42613" Analysis "The options <options> cannot be specified together. Please specify the one.";
    "STDS_FAILED_TO_READ_STATE_SCHEMA" "42K03" Analysis "Failed to read the state schema. Either the file does not exist, or the file is corrupted. options: <sourceOptions>.\nRerun the streaming query to construct the state schema, and report to the corresponding communities or vendors if the error persists.";
    "STDS_INVALID_OPTION_VALUE.IS_EMPTY" "42616" Analysis "Invalid value for source option '<optionName>': cannot be empty.";
    "STDS_INVALID_OPTION_VALUE.IS_NEGATIVE" "42616" Analysis "Invalid value for source option '<optionName>': cannot be negative.";
    "STDS_INVALID_OPTION_VALUE.WITH_MESSAGE" "42616" Analysis "Invalid value for source option '<optionName>': <message>";
    "STDS_OFFSET_LOG_UNAVAILABLE" "KD006" Analysis "The offset log for <batchId> does not exist, checkpoint location: <checkpointLocation>.\nPlease specify the batch ID which is available for querying - you can query the available batch IDs via using state metadata data source.";
    "STDS_REQUIRED_OPTION_UNSPECIFIED" "42601" Analysis "'<optionName>' must be specified.";
    "STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.COMMIT_LOG" "58030" Spark "Failed to write a streaming query checkpoint log entry. Failed to write commit log entry for batch <batchId> at checkpoint location <checkpointLocation>. Check that the checkpoint location is writable and retry the query.";
    "STREAMING_CHECKPOINT_LOG_WRITE_FAILURE.OFFSET_LOG" "58030" Spark "Failed to write a streaming query checkpoint log entry. Failed to write offset log entry for batch <batchId> at checkpoint location <checkpointLocation>. Check that the checkpoint location is writable and retry the query.";
    "STREAMING_CHECKPOINT_MISSING_METADATA_FILE" "42K03" Spark "Checkpoint location <checkpointLocation> is in an inconsistent state: the metadata file is missing but offset and/or commit logs contain data. Please restore the metadata file or create a new checkpoint directory.";
    "STREAMING_OUTPUT_MODE.INVALID" "42KDE" Analysis "Invalid streaming output mode: <outputMode>. Accepted output modes are 'Append', 'Complete', 'Update'.";
    "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE" "42KDE" Analysis "Invalid streaming output mode: <outputMode>. This output mode is not supported in Data Source <className>.";
    "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION" "42KDE" Analysis "Invalid streaming output mode: <outputMode>. This output mode is not supported for <operation> on streaming DataFrames/DataSets.";
    "STREAMING_QUERY_EVOLUTION_ERROR.SOURCE_NAMING_NOT_SUPPORTED" "42KDE" Analysis "Streaming query evolution error: Streaming source naming is not supported. Source name '<name>' was provided but the feature is disabled. Please enable the feature by setting spark.sql.streaming.queryEvolution.enableSourceEvolution to true.";
    "STREAMING_STATEFUL_OPERATOR_NOT_MATCH_IN_STATE_METADATA" "42K03" Analysis "Streaming stateful operator name does not match with the operator in state metadata. This likely to happen when user adds/removes/changes stateful operator of existing streaming query.\nStateful operators in the metadata: [<OpsInMetadataSeq>]; Stateful operators in current batch: [<OpsInCurBatchSeq>].";
    "STREAM_FAILED" "XXKST" StreamingQuery "Query [id = <id>, runId = <runId>] terminated with exception: <message>";
    "TABLE_OR_VIEW_ALREADY_EXISTS" "42P07" Analysis "Cannot create table or view <relationName> because it already exists.\nChoose a different name, drop or replace the existing object, or add the IF NOT EXISTS clause to tolerate pre-existing objects.";
    "TABLE_OR_VIEW_NOT_FOUND" "42P01" Analysis "The table or view <relationName> cannot be found. Verify the spelling and correctness of the schema and catalog.\nSearch path: <searchPath>.\nIf you did not qualify the name with a schema, verify the current_schema() output, or qualify the name with the correct schema and catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS or DROP TABLE IF EXISTS.";
    "TASK_WRITE_FAILED" "58030" Spark "Task failed while writing rows to <path>.";
    "TEMP_TABLE_OR_VIEW_ALREADY_EXISTS" "42P07" Analysis "Cannot create the temporary view <relationName> because it already exists.\nChoose a different name, drop or replace the existing view.";
    "TEMP_VIEW_NAME_TOO_MANY_NAME_PARTS" "428EK" Analysis "CREATE TEMPORARY VIEW or the corresponding Dataset APIs only accept single-part view names, but got: <actualName>.";
    "UDTF_ALIAS_NUMBER_MISMATCH" "42802" Analysis "The number of aliases supplied in the AS clause does not match the number of columns output by the UDTF.\nExpected <aliasesSize> aliases, but got <aliasesNames>.\nPlease ensure that the number of aliases provided matches the number of columns output by the UDTF.";
    "UNABLE_TO_INFER_PIPELINE_TABLE_SCHEMA" "42KD9" Analysis "Failed to infer the schema for table <tableName> from its upstream flows.\nPlease modify the flows that write to this table to make their schemas compatible.\n\nInferred schema so far:\n<inferredDataSchema>\n\nIncompatible schema:\n<incompatibleDataSchema>";
    "UNABLE_TO_INFER_SCHEMA" "42KD9" Analysis "Unable to infer schema for <format>. It must be specified manually.";
    "UNBOUND_SQL_PARAMETER" "42P02" Analysis "Found the unbound parameter: <name>. Please, fix `args` and provide a mapping of the parameter to either a SQL literal or collection constructor functions such as `map()`, `array()`, `struct()`.";
    "UNPIVOT_REQUIRES_VALUE_COLUMNS" "42K0A" Analysis "At least one value column needs to be specified for UNPIVOT, all columns specified as ids.";
    "UNPIVOT_VALUE_DATA_TYPE_MISMATCH" "42K09" Analysis "Unpivot value columns must share a least common type, some types do not: [<types>].";
    "UNRESOLVED_COLUMN.WITHOUT_SUGGESTION" "42703" Analysis "A column, variable, or function parameter with name <objectName> cannot be resolved.";
    "UNRESOLVED_COLUMN.WITH_SUGGESTION" "42703" Analysis "A column, variable, or function parameter with name <objectName> cannot be resolved. Did you mean one of the following? [<proposal>].";
    "UNRESOLVED_COLUMN_AMONG_FIELD_NAMES" "42703" Analysis "Cannot resolve column name \"<colName>\" among (<fieldNames>).";
    "UNRESOLVED_ROUTINE" "42883" Analysis "Cannot resolve routine <routineName> on search path <searchPath>.";
    "UNRESOLVED_USING_COLUMN_FOR_JOIN" "42703" Analysis "USING column <colName> cannot be resolved on the <side> side of the join. The <side>-side columns: [<suggestion>].";
    "UNSUPPORTED_ARROWTYPE" "0A000" Analysis "Unsupported arrow type <typeName>.";
    "UNSUPPORTED_CHAR_OR_VARCHAR_AS_STRING" "0A000" Analysis "The char/varchar type can't be used in the table schema.\nIf you want Spark treat them as string type as same as Spark 3.0 and earlier, please set \"spark.sql.legacy.charVarcharAsString\" to \"true\".";
    "UNSUPPORTED_DATATYPE" "0A000" Parse "Unsupported data type <typeName>.";
    "UNSUPPORTED_DATA_TYPE_FOR_DATASOURCE" "0A000" Analysis "The <format> datasource doesn't support the column <columnName> of the type <columnType>.";
    "UNSUPPORTED_EXPR_FOR_WINDOW" "42P20" Analysis "Expression <sqlExpr> not supported within a window function.";
    "UNSUPPORTED_FEATURE.MILLSTREAM" "0A000" Unsupported "The feature is not supported: <feature> is not supported by millstream yet.";
    "UNSUPPORTED_FEATURE.QUERY_ONLY_CORRUPT_RECORD_COLUMN" "0A000" Analysis "The feature is not supported: Queries from raw JSON/CSV/XML files are disallowed when the\nreferenced columns only include the internal corrupt record column\n(named `_corrupt_record` by default). For example:\n`spark.read.schema(schema).json(file).filter($\"_corrupt_record\".isNotNull).count()`\nand `spark.read.schema(schema).json(file).select(\"_corrupt_record\").show()`.\nInstead, you can cache or save the parsed results and then send the same query.\nFor example, `val df = spark.read.schema(schema).json(file).cache()` and then\n`df.filter($\"_corrupt_record\".isNotNull).count()`.";
    "UNSUPPORTED_GENERATOR.MULTI_GENERATOR" "42K0E" Analysis "The generator is not supported: only one generator allowed per SELECT clause but found <num>: <generators>.";
    "UNSUPPORTED_GROUPING_EXPRESSION" "42K0E" Analysis "grouping()/grouping_id() can only be used with GroupingSets/Cube/Rollup.";
    "UNSUPPORTED_PIPELINE_SPARK_SQL_COMMAND" "0A000" Analysis "'<command>' is not supported in spark.sql(\"...\") API in Spark Declarative Pipeline.";
    "UNSUPPORTED_SAVE_MODE.EXISTENT_PATH" "0A000" Analysis "The save mode <saveMode> is not supported for: an existent path.";
    "USER_RAISED_EXCEPTION" "P0001" Runtime "<errorMessage>";
    "USER_SPECIFIED_AND_INFERRED_SCHEMA_NOT_COMPATIBLE" "42000" Analysis "Table '<tableName>' has a user-specified schema that is incompatible with the schema\ninferred from its query.\n<streamingTableHint>\n\nDeclared schema:\n<specifiedSchema>\n\nInferred schema:\n<inferredDataSchema>";
    "VIEW_NOT_FOUND" "42P01" Analysis "The view <relationName> cannot be found. Verify the spelling and correctness of the schema and catalog.\nIf you did not qualify the name with a schema, verify the current_schema() output, or qualify the name with the correct schema and catalog.\nTo tolerate the error on drop use DROP VIEW IF EXISTS.";
    "WINDOW_FUNCTION_FRAME_NOT_ORDERED" "42601" Analysis "Window function <wf_name> requires the window to be ordered. You need to add an ORDER BY clause. For example: SELECT <wf_expr> OVER (PARTITION BY window_partition ORDER BY window_ordering) FROM table.";
    "WINDOW_FUNCTION_NOT_ALLOWED_IN_CLAUSE" "42601" Analysis "It is not allowed to use window functions inside <clauseName> clause.";
    "WINDOW_FUNCTION_WITHOUT_OVER_CLAUSE" "42601" Analysis "Window function <funcName> requires an OVER clause.";
    "WRITE_STREAM_NOT_ALLOWED" "42601" Analysis "`writeStream` can be called only on streaming Dataset/DataFrame.";
    "WRONG_NUM_ARGS.WITHOUT_SUGGESTION" "42605" Analysis "The <functionName> requires <expectedNum> parameters but the actual number is <actualNum>. Please, refer to '<docroot>/sql-ref-functions.html' for a fix.";
    "_LEGACY_ERROR_TEMP_0029" "XXKST" Parse "Cannot mix year-month and day-time fields: <literal>.";
    "_LEGACY_ERROR_TEMP_1008" "42000" Analysis "<quoted> is not a temp view of streaming logical plan, please use batch API such as `DataFrameReader.table` to read it.";
    "_LEGACY_ERROR_TEMP_1035" "42601" Analysis "Cannot specify window frame for <prettyName> function.";
    "_LEGACY_ERROR_TEMP_1036" "42601" Analysis "Window Frame <wf> must match the required frame <required>.";
    "_LEGACY_ERROR_TEMP_1039" "0A000" Analysis "Multiple time/session window expressions would result in a cartesian product of rows, therefore they are currently not supported.";
    "_LEGACY_ERROR_TEMP_1040" "42000" Analysis "Gap duration expression used in session window must be CalendarIntervalType, but got <dt>.";
    "_LEGACY_ERROR_TEMP_1135" "42000" Analysis "<className> is not a valid Spark SQL Data Source.";
    "_LEGACY_ERROR_TEMP_1155" "42000" Analysis "Partition column `<col>` not found in schema <schemaCatalog>.";
    "_LEGACY_ERROR_TEMP_1161" "42000" Analysis "The column number of the existing table <tableName> (<existingTableSchema>) doesn't match the data schema (<querySchema>).";
    "_LEGACY_ERROR_TEMP_1181" "XXKST" Analysis "Stream-stream join without equality predicate is not supported.";
    "_LEGACY_ERROR_TEMP_1188" "42000" Analysis "There is a 'path' option set and <method>() is called with a path parameter. Either remove the path option, or call <method>() without the parameter. To ignore this check, set '<config>' to 'true'.";
    "_LEGACY_ERROR_TEMP_1190" "42000" Analysis "Temporary view <viewName> doesn't support streaming write.";
    "_LEGACY_ERROR_TEMP_1194" "XXKD0" Analysis "queryName must be specified for memory sink.";
    "_LEGACY_ERROR_TEMP_1196" "42000" Analysis "<columnType> column <columnName> not found in existing columns (<validColumnNames>).";
    "_LEGACY_ERROR_TEMP_1207" "42000" Analysis "The duration and time inputs to window must be an integer, long or string literal.";
    "_LEGACY_ERROR_TEMP_1290" "42000" Analysis "Text data source supports only a single column, and you have <schemaSize> columns.";
    "_LEGACY_ERROR_TEMP_1294" "XXKST" Analysis "The timestamp provided for the '<strategy>' option is invalid. The expected format is 'YYYY-MM-DDTHH:mm:ss', but the provided timestamp: <timeString>.";
    "_LEGACY_ERROR_TEMP_1295" "42000" Analysis "Set a host to read from with option(\"host\", ...).";
    "_LEGACY_ERROR_TEMP_1296" "42000" Analysis "Set a port to read from with option(\"port\", ...).";
    "_LEGACY_ERROR_TEMP_1297" "42000" Analysis "IncludeTimestamp must be set to either \"true\" or \"false\".";
    "_LEGACY_ERROR_TEMP_1298" "XXKST" Analysis "checkpointLocation must be specified either through option(\"checkpointLocation\", ...) or SparkSession.conf.set(\"spark.sql.streaming.checkpointLocation\", ...).";
    "_LEGACY_ERROR_TEMP_1299" "XXKST" Analysis "This query does not support recovering from checkpoint location. Delete <location> to start over.";
    "_LEGACY_ERROR_TEMP_1306" "42000" Analysis "There is a 'path' or 'paths' option set and load() is called with path parameters. Either remove the path option if it's the same as the path parameter, or add it to the load() parameter if you do want to read multiple paths. To ignore this check, set '<config>' to 'true'.";
    "_LEGACY_ERROR_TEMP_2048" "42000" IllegalArgument "Schema must be specified when creating a streaming source DataFrame. If some files already exist in the directory, then depending on the file format you may be able to create a static DataFrame on that directory with 'spark.read.load(directory)' and infer schema from it.";
    "_LEGACY_ERROR_TEMP_2049" "XXKD0" Unsupported "Data source <className> does not support streamed <operator>.";
    "_LEGACY_ERROR_TEMP_2242" "0A000" Unsupported "<provider> source does not support user-specified schema.";
    "_LEGACY_ERROR_TEMP_3076" "XXKST" Analysis "Redefining watermark is disallowed. You can set the config '<config>' to 'false' to restore the previous behavior. Note that multiple stateful operators will be disallowed.";
    "_LEGACY_ERROR_TEMP_3101" "42000" Analysis "The input is not a correct window column: <windowTime>";
    "_LEGACY_ERROR_TEMP_3102" "XXKST" Analysis "<msg>";
    "_LEGACY_ERROR_TEMP_3231" "22006" IllegalArgument "Intervals greater than a month is not supported (<interval>).";
    "_LEGACY_ERROR_TEMP_3241" "22023" IllegalArgument "<msg>";
    "_LEGACY_ERROR_TEMP_REQUIREMENT" "42000" IllegalArgument "requirement failed: <message>";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_is_sorted_and_every_class_is_found() {
        for pair in CONDITIONS.windows(2) {
            assert!(pair[0].class < pair[1].class, "{} must come after {}", pair[0].class, pair[1].class);
        }
        for c in CONDITIONS {
            assert_eq!(find(c.class).map(|f| f.template), Some(c.template));
            assert_eq!(c.sql_state.len(), 5, "{}", c.class);
        }
    }

    #[test]
    fn render_fills_known_and_keeps_unknown_parameters() {
        let c = find("PATH_NOT_FOUND").unwrap();
        assert_eq!(c.render(&BTreeMap::new()), "Path does not exist: <path>.");
        let p = BTreeMap::from([("path".to_string(), "file:/x".to_string())]);
        assert_eq!(c.render(&p), "Path does not exist: file:/x.");
    }
}
