//! What a plan means, as a text that equal plans share: `sameSemantics`, and finding what is cached.
//!
//! Internal ids and the names shown do not count: a column is its place among the columns below. What
//! a leaf reads counts, whatever it is called. A cached plan counts as the plan it stands for.

use std::{
    collections::HashMap,
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use datafusion::{
    arrow::array::ArrayData,
    common::tree_node::{TreeNode, TreeNodeRecursion},
    datasource::{MemTable, source_as_provider},
    logical_expr::{Expr, LogicalPlan, TableScan},
};
use millstream_engine::{batch::CachedTable, source::file::FileTable};

use super::translated::Translated;

impl Translated {
    /// The meaning of the plan: equal for plans that give the same rows for the same reason.
    pub fn meaning(&self) -> String {
        meaning(&self.plan)
    }
}

/// The meaning of `plan`.
pub(super) fn meaning(plan: &LogicalPlan) -> String {
    if let LogicalPlan::Projection(projection) = plan
        && let Some(cached) = cached(&projection.input)
    {
        return cached.key().to_string();
    }
    let mut out = String::new();
    let mut places: HashMap<String, String> = HashMap::new();
    for (own, field) in plan.schema().fields().iter().enumerate() {
        places.insert(field.name().clone(), format!("@{own}"));
    }
    // A column from below is meant by its place there, also where it is passed on.
    let mut below = 0;
    for input in plan.inputs() {
        for field in input.schema().fields() {
            places.insert(field.name().clone(), format!("${below}"));
            below += 1;
        }
    }
    match plan {
        LogicalPlan::TableScan(scan) => out.push_str(&leaf(scan)),
        other => rename(&other.display().to_string(), &mut places, &mut out),
    }
    let subqueries = subqueries(plan);
    let inputs = plan.inputs().into_iter().chain(subqueries.iter().map(AsRef::as_ref));
    let inputs: Vec<String> = inputs.map(meaning).collect();
    let _ = write!(out, "({})", inputs.join(","));
    // Deep plans would be spelled out at every level above.
    if out.len() > 512 { format!("{:x}", hash_of(&out)) } else { out }
}

/// The kept rows a plan scans, if that is all it does.
fn cached(plan: &LogicalPlan) -> Option<CachedTable> {
    let LogicalPlan::TableScan(scan) = plan else { return None };
    source_as_provider(&scan.source).ok()?.downcast_ref::<CachedTable>().cloned()
}

/// The plans inside the expressions of `plan`: where they are shown there is no word of what they hold.
fn subqueries(plan: &LogicalPlan) -> Vec<Arc<LogicalPlan>> {
    let mut found = Vec::new();
    for expr in plan.expressions() {
        let seen = expr.apply(|part| {
            found.extend(match part {
                Expr::ScalarSubquery(subquery) => Some(Arc::clone(&subquery.subquery)),
                Expr::Exists(exists) => Some(Arc::clone(&exists.subquery.subquery)),
                Expr::InSubquery(list) => Some(Arc::clone(&list.subquery.subquery)),
                Expr::SetComparison(comparison) => Some(Arc::clone(&comparison.subquery.subquery)),
                _ => None,
            });
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(seen.is_ok(), "nothing above fails");
    }
    found
}

/// `text` with each id (`#12`) replaced by its place. Other ids (names of scans, variables of lambdas)
/// are told apart by their first appearance.
fn rename(text: &str, places: &mut HashMap<String, String>, out: &mut String) {
    let mut rest = text;
    while let Some(start) = rest.find('#') {
        let (before, id) = rest.split_at(start);
        out.push_str(before);
        let digits = id.bytes().skip(1).take_while(u8::is_ascii_digit).count();
        let (id, after) = id.split_at(1 + digits);
        let others = places.len();
        out.push_str(places.entry(id.to_string()).or_insert_with(|| format!("?{others}")));
        rest = after;
    }
    out.push_str(rest);
}

/// What a scan reads: files by their paths, rows at hand by their contents.
fn leaf(scan: &TableScan) -> String {
    let fields = scan.projected_schema.fields();
    let columns: Vec<String> = fields.iter().map(|f| format!("{}:{}", f.name(), f.data_type())).collect();
    let Ok(provider) = source_as_provider(&scan.source) else { return scan.table_name.to_string() };
    let content = if let Some(files) = provider.downcast_ref::<FileTable>() {
        format!("{} {}", files.format_name(), files.origin())
    } else if let Some(table) = provider.downcast_ref::<MemTable>() {
        let mut hasher = DefaultHasher::new();
        for partition in &table.batches {
            match partition.try_read() {
                Ok(batches) => {
                    let columns = batches.iter().flat_map(|batch| batch.columns().to_vec());
                    columns.for_each(|column| hash_data(&column.to_data(), &mut hasher));
                }
                Err(_) => return scan.table_name.to_string(),
            }
        }
        format!("rows {:x}", hasher.finish())
    } else {
        format!("{provider:?}")
    };
    // Ids of scanned columns mean nothing; rows at hand have only those.
    let types: Vec<String> = fields.iter().map(|f| f.data_type().to_string()).collect();
    let shown = if content.starts_with("rows ") { types } else { columns };
    format!("{content} [{}]", shown.join(", "))
}

fn hash_of(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn hash_data(data: &ArrayData, hasher: &mut DefaultHasher) {
    (data.len(), data.offset(), data.data_type()).hash(hasher);
    data.buffers().iter().for_each(|buffer| buffer.as_slice().hash(hasher));
    if let Some(nulls) = data.nulls() {
        nulls.iter().for_each(|valid| valid.hash(hasher));
    }
    data.child_data().iter().for_each(|child| hash_data(child, hasher));
}
