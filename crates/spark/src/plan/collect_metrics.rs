//! `CollectMetrics`: `df.observe(name, metrics)`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use millstream_engine::{
    Result, SparkError,
    plan::{CollectMetrics, Observed},
};
use spark_connect_proto as proto;

use super::{
    aggregate::Aggregation,
    scope::RelationScope,
    translator::{Frame, Translator},
};
use crate::types;

impl Translator<'_> {
    pub(super) fn collect_metrics(&self, collect: &proto::CollectMetrics) -> Result<Frame> {
        let input = self.input(collect.input.as_deref())?.trimmed()?;
        if collect.metrics.is_empty() {
            return Err(SparkError::unsupported("observe without metrics"));
        }
        let scope = RelationScope::select(self, &input);
        let mut aggregation = Aggregation::new(input.clone(), Vec::new());
        let mut results = Vec::new();
        let mut fields = Vec::new();
        for metric in &collect.metrics {
            for item in scope.resolve_all(metric)? {
                let field = Field::new(&item.name, item.data_type().clone(), item.nullable());
                fields.push(field.with_metadata(item.field.metadata().clone()));
                results.push(aggregation.output(self, &item)?.expr);
            }
        }
        let schema_json = types::schema_json(&fields);
        // Results of an empty input may be null whatever the schema says.
        let relaxed: Vec<Field> = fields.into_iter().map(|field| field.with_nullable(true)).collect();
        let observed = Observed::new(&collect.name, Arc::new(Schema::new(relaxed)), schema_json);
        let calls = aggregation.into_calls();
        let plan = CollectMetrics::plan(input.plan.as_ref().clone(), calls, results, Arc::new(observed));
        Ok(input.with_plan(plan))
    }
}
