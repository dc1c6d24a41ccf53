use std::sync::Arc;

use datafusion::arrow::{
    array::{
        Array, ArrayRef, DurationMicrosecondArray, Int32Array, Int64Array, IntervalYearMonthArray,
        RecordBatch, StringArray, TimestampMicrosecondArray,
    },
    compute::concat_batches,
    datatypes::{DataType, Field, Schema, SchemaRef},
};
use futures::TryStreamExt;

use datafusion::parquet::arrow::arrow_reader::ArrowReaderMetadata;

use super::{column_sets::column_sets, *};
use crate::{
    format::{FileRef, Options, ReadFormat, WriteFormat},
    time::Millis,
};

fn written(batch: &RecordBatch, options: &[(&str, &str)]) -> (tempfile::TempDir, FileRef) {
    let options = Options::new(options.iter().map(|(k, v)| (k.to_string(), v.to_string())));
    let format = ParquetWriter::new(&options).unwrap();
    let mut encoder = format.encoder(batch.schema()).unwrap();
    encoder.write(batch).unwrap();
    let bytes = encoder.finish().unwrap().concat();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(format!("x.{}", format.extension()));
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &bytes).unwrap();
    let size = bytes.len() as u64;
    (dir, FileRef::whole(path, size, Millis(0)))
}

#[tokio::test]
async fn types_and_metadata_survive_and_columns_are_found_by_name() {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int32Array::from(vec![Some(1), None]))),
        ("name", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![5, 6]).with_timezone("UTC"))),
        ("ym", Arc::new(IntervalYearMonthArray::from(vec![14, -1]))),
        ("dt", Arc::new(DurationMicrosecondArray::from(vec![7, 8]))),
    ];
    let batch =
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    for codec in ["snappy", "gzip", "zstd", "none"] {
        let (_dir, file) = written(&batch, &[("compression", codec)]);
        let reader = ParquetReader::new(&Options::default()).unwrap();
        let schema = reader.infer_schema(std::slice::from_ref(&file)).unwrap();
        assert_eq!(schema, batch.schema(), "{codec}");
        let rows: Vec<_> =
            reader.open(&file, &schema, &[0, 1, 2, 3, 4]).unwrap().try_collect().await.unwrap();
        assert_eq!(rows, std::slice::from_ref(&batch), "{codec}");

        let wanted: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("none", DataType::Utf8, true),
            Field::new("ID", DataType::Int64, true),
            Field::new("name", DataType::Int32, true),
        ]));
        let rows: Vec<_> = reader.open(&file, &wanted, &[1, 0]).unwrap().try_collect().await.unwrap();
        assert_eq!(rows[0].column(1).null_count(), 2);
        assert_eq!(rows[0].column(0).data_type(), &DataType::Int64);
        let error = reader.open(&file, &wanted, &[2]).unwrap().try_collect::<Vec<_>>().await.unwrap_err();
        let error: crate::SparkError = error.into();
        assert_eq!(error.class(), "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH");
    }
}

#[test]
fn what_is_no_parquet_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), b"hello there").unwrap();
    let reader = ParquetReader::new(&Options::default()).unwrap();
    let error = reader.infer_schema(&[FileRef::whole(path, 11, Millis(0))]).unwrap_err();
    assert_eq!(error.class(), "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER");
}

/// Larger than what one task decodes, and of several batches.
#[tokio::test]
async fn columns_decoded_in_sets_are_the_rows_of_the_file() {
    let rows = 90_000_i64;
    let mixed = |n: i64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("a", Arc::new((0..rows).map(mixed).collect::<Int64Array>()) as ArrayRef, true),
        ("b", Arc::new((0..rows).map(|n| Some(format!("{:x}", mixed(n)))).collect::<StringArray>()), true),
        ("c", Arc::new((0..rows).map(|n| (n % 7 > 0).then_some(n as i32)).collect::<Int32Array>()), true),
    ])
    .unwrap();
    let (_dir, file) = written(&batch, &[]);
    assert!(file.size > 1 << 20);
    let metadata = ArrowReaderMetadata::load(&std::fs::File::open(&file.path).unwrap(), Default::default());
    let sets = column_sets(metadata.unwrap().metadata(), file.size, &[0, 1, 2]);
    let cores = std::thread::available_parallelism().unwrap().get();
    assert_eq!(sets.len(), cores.min(3));
    assert_eq!(sets[0], [1], "strings are the most work");

    let reader = ParquetReader::new(&Options::default()).unwrap();
    let missing = Field::new("none", DataType::Utf8, true);
    let own = batch.schema();
    let fields = own.fields().iter().map(|f| f.as_ref().clone()).chain([missing]);
    let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    for projection in [vec![0, 1, 2], vec![2, 3, 0], vec![1], vec![]] {
        let read: Vec<RecordBatch> =
            reader.open(&file, &schema, &projection).unwrap().try_collect().await.unwrap();
        assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), rows as usize);
        let read = concat_batches(&Arc::new(schema.project(&projection).unwrap()), &read).unwrap();
        for (column, index) in read.columns().iter().zip(&projection) {
            match batch.columns().get(*index) {
                Some(expected) => assert_eq!(column, expected),
                None => assert_eq!(column.null_count(), rows as usize),
            }
        }
    }
    let failed = reader.open(&file, &wrong_b(), &[0, 1]).unwrap().try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(crate::SparkError::from(failed).class(), "FAILED_READ_FILE.PARQUET_COLUMN_DATA_TYPE_MISMATCH");
}

fn wrong_b() -> SchemaRef {
    let fields = [("a", DataType::Int64), ("b", DataType::Int32)];
    Arc::new(Schema::new(fields.map(|(name, data_type)| Field::new(name, data_type, true)).to_vec()))
}
