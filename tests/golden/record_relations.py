"""Records what real Spark makes of relations: `relations.json`.

Run with Spark's own Python package (4.3) and Java: `python record_relations.py`; with `--new`
only cases that are new or changed are recorded.
Each case is an expression giving a DataFrame. Recorded are the plan the client sends (so
that tests translate exactly those bytes), whether it streams, the schema, and the rows or
the error. Rows are compared as multisets unless the case's name ends in `, in order`.
"""

import base64
import datetime
import decimal
import json
import os
import sys

from pyspark.errors import PySparkException
from pyspark.sql import Row, SparkSession, Window  # noqa: F401
from pyspark.sql import functions as F  # noqa: F401  (used by the cases)
from pyspark.sql.types import *  # noqa: F401,F403

HERE = os.path.dirname(os.path.abspath(__file__))

SETUP = """
people = spark.createDataFrame(
    [(1, "ann", 3.5, "x"), (2, "bob", None, "y"), (3, None, 1.25, "x"), (4, "dee", 8.0, None)],
    "id INT, name STRING, score DOUBLE, team STRING")
teams = spark.createDataFrame([("x", "red"), ("y", "blue"), ("z", "green")], "team STRING, colour STRING")
nested = spark.createDataFrame(
    [(1, ["a", "b"], {"k": 1}, (1, "p")), (2, [], None, (2, None)), (3, None, {"l": 2, "m": None}, None)],
    "id BIGINT, tags ARRAY<STRING>, props MAP<STRING, INT>, s STRUCT<n: INT, t: STRING>")
events = spark.createDataFrame(
    [("2024-01-01 00:00:03", "a", 1), ("2024-01-01 00:00:12", "a", 2), ("2024-01-01 00:00:14", "b", 3), (None, "b", 4)],
    "at STRING, k STRING, v INT").select(F.to_timestamp("at").alias("at"), "k", "v")
dup = people.select("id", "name", F.col("score").alias("name"))
rate = spark.readStream.format("rate").load()
"""

CASES = {
    # leaves
    "range": "spark.range(3)",
    "range with start and step": "spark.range(10, 2, -3)",
    "range is empty": "spark.range(5, 5)",
    "local relation": "people",
    "local relation with nested types": "nested",
    "local relation is empty": "spark.createDataFrame([], 'a INT, b STRING')",
    "rate stream": "rate",
    # project
    "select": "people.select('id', F.col('name').alias('n'), people.score + 1)",
    "select star": "people.select('*', (F.col('id') * 2).alias('twice'))",
    "select the same column twice": "people.select('id', 'id').select('id')",
    "select struct fields": "nested.select('s.n', 's.t', 's.*')",
    "select with a qualifier": "people.alias('p').select('p.id', 'p.*')",
    "selectExpr": "people.selectExpr('id + 1 AS next', 'upper(name)', 'team')",
    "select an aggregate": "people.select(F.sum('id'), F.count('*'), F.max('name').alias('m'))",
    "select unresolved": "people.select('idd')",
    "select unresolved with qualifier": "people.alias('p').select('p.nam')",
    "select ambiguous": "dup.select('name')",
    "select missing field": "nested.select('s.zzz')",
    "select field of a number": "people.select('id.x')",
    "select aggregate and column": "people.select('id', F.sum('score'))",
    "select star of nothing": "people.select('q.*')",
    "select another frame's column": "people.select(teams.colour)",
    "select case insensitively": "people.select('ID', 'Name')",
    # columns
    "withColumn new": "people.withColumn('twice', F.col('id') * 2)",
    "withColumn replaces": "people.withColumn('ID', F.col('id') * 2)",
    "withColumns": "people.withColumns({'a': F.lit(1), 'name': F.upper('name')})",
    "withColumnRenamed": "people.withColumnRenamed('name', 'n').withColumnRenamed('nope', 'x')",
    "withColumnsRenamed": "people.withColumnsRenamed({'id': 'i', 'name': 'n'})",
    "drop": "people.drop('name', 'nope').drop(people.team)",
    "drop duplicates of a name": "dup.drop('name')",
    "toDF": "people.toDF('a', 'b', 'c', 'd')",
    "toDF with too few names": "people.toDF('a', 'b')",
    "to schema": "people.to(StructType([StructField('name', StringType()), StructField('id', LongType())]))",
    "to schema without the column": "people.to(StructType([StructField('nope', StringType())]))",
    # filter
    "filter": "people.filter('score > 1.5')",
    "filter by a column expression": "people.where((F.col('id') > 1) & F.col('name').isNotNull())",
    "filter by a hidden column": "people.select('name').filter(people.id > 2)",
    "filter by a number": "people.filter('id')",
    "filter by an aggregate": "people.filter(F.sum('id') > 1)",
    # sort and limit
    "sort, in order": "people.orderBy('score')",
    "sort descending, in order": "people.orderBy(F.desc('score'), 'id')",
    "sort with nulls placed, in order": "people.orderBy(F.col('score').desc_nulls_first())",
    "sort by a hidden column, in order": "people.select('name').orderBy('id')",
    "sort by a hidden column below a filter, in order": "people.select('name').filter('name is not null').orderBy(F.desc('id'))",
    "sort by position, in order": "people.orderBy(F.lit(2))",
    "limit, in order": "people.orderBy('id').limit(2)",
    "offset, in order": "people.orderBy('id').offset(1).limit(2)",
    "limit is negative": "people.limit(-1)",
    # set operations
    "union": "people.select('id').union(spark.range(2))",
    "union widens": "people.select('id', 'score').union(people.select('score', 'id'))",
    "unionByName": "people.select('id', 'name').unionByName(people.select('name', 'id'))",
    "unionByName with missing columns": "people.select('id').unionByName(teams, allowMissingColumns=True)",
    "unionByName without the column": "people.select('id').unionByName(people.select('name'))",
    "union keeps the left columns": "people.union(people).select(people.id)",
    "union of unequal width": "people.union(teams)",
    "union of unlike types": "people.select('id').union(nested.select('tags'))",
    "distinct": "people.union(people).distinct()",
    "intersect": "people.select('team').intersect(teams.select('team'))",
    "except": "people.select('team').subtract(teams.select('team'))",
    "dropDuplicates": "people.select('team').dropDuplicates()",
    "dropDuplicates by a column": "people.filter('team is not null and id <> 3').dropDuplicates(['team'])",
    "dropDuplicates by an unknown column": "people.dropDuplicates(['nope'])",
    # joins
    "join by column": "people.join(teams, 'team')",
    "left join by column": "people.join(teams, 'team', 'left')",
    "right join by column": "people.join(teams, 'team', 'right')",
    "full join by column": "people.join(teams, ['team'], 'outer')",
    "semi join": "people.join(teams, 'team', 'left_semi')",
    "anti join": "people.join(teams, 'team', 'left_anti')",
    "join by condition": "people.join(teams, people.team == teams.team)",
    "left join by condition": "people.join(teams, people.team == teams.team, 'left').select(people.team, teams.team, 'id')",
    "join with two parts": "people.join(teams, (people.team == teams.team) & (people.id > 1), 'left')",
    "cross join": "people.select('id').crossJoin(teams.select('colour'))",
    "self join": "people.alias('a').join(people.alias('b'), F.col('a.id') == F.col('b.id') - 1).select('a.name', 'b.name')",
    "self join by frame": "people.join(people.filter('id > 1'), people.id == people.id)",
    "join ambiguous": "people.join(teams, people.team == teams.team).select('team')",
    "join by an unknown column": "people.join(teams, 'nope')",
    "join by a number": "people.join(teams, people.id)",
    "join then group": "people.join(teams, 'team').groupBy('colour').agg(F.sum('id'))",
    # aggregation
    "groupBy count": "people.groupBy('team').count()",
    "groupBy sum": "people.groupBy('team').sum('score')",
    "groupBy all sums": "people.groupBy('team').sum()",
    "groupBy agg": "people.groupBy('team').agg(F.sum('score').alias('s'), F.avg('id'), F.count('name'))",
    "groupBy expression": "people.groupBy((F.col('id') % 2).alias('odd'), F.upper('team')).agg(F.max('id'))",
    "groupBy nothing": "people.groupBy().agg(F.sum('id'), F.min('name'))",
    "aggregates in arithmetic": "people.groupBy('team').agg((F.sum('id') / F.count('*') + 1).alias('x'), F.col('team'))",
    "aggregate of the key": "people.groupBy('team').agg(F.upper('team'), F.max('team'))",
    "groupBy with a stray column": "people.groupBy('team').agg(F.col('name'))",
    "nested aggregates": "people.agg(F.sum(F.max('id')))",
    "having, as a filter": "people.groupBy('team').agg(F.sum('id').alias('s')).filter('s > 1')",
    "sort by an aggregate, in order": "people.groupBy('team').agg(F.sum('id').alias('s')).orderBy(F.sum('id'), 'team')",
    "sort by the aggregate's name, in order": "people.groupBy('team').count().orderBy(F.desc('count'), F.desc('team'))",
    "group by a hidden column's frame": "people.groupBy(people.team).agg(F.max(people.id)).select(people.team)",
    "groupBy by position": "people.groupBy(F.lit(1)).count()",
    "rollup": "people.rollup('team').count()",
    "cube": "people.cube('team', 'name').agg(F.sum('id'))",
    "pivot": "people.groupBy('team').pivot('name', ['ann', 'bob']).sum('id')",
    # windows in time
    "tumbling window": "events.groupBy(F.window('at', '10 seconds'), 'k').agg(F.sum('v'))",
    "sliding window": "events.groupBy(F.window('at', '10 seconds', '5 seconds')).count()",
    "window in a select": "events.select(F.window('at', '10 seconds').alias('w'), 'v').select('w.start', 'w.end', 'v')",
    "window with start": "events.groupBy(F.window('at', '10 seconds', '10 seconds', '3 seconds').alias('w')).count()",
    "two windows": "events.select(F.window('at', '10 seconds'), F.window('at', '20 seconds'))",
    "window as a new column": "events.withColumn('w', F.window('at', '1 minute'))",
    "streaming window": "rate.withWatermark('timestamp', '5 seconds').groupBy(F.window('timestamp', '30 seconds')).sum()",
    "streaming sliding window": "rate.withWatermark('timestamp', '5 seconds').groupBy(F.window('timestamp', '30 seconds', '15 seconds'), (F.col('value') % 3).alias('m')).agg(F.count('*'))",
    # watermark
    "watermark": "rate.withWatermark('timestamp', '1 minute 5 seconds')",
    "watermark on a batch": "events.withWatermark('at', '10 seconds')",
    "watermark on a number": "rate.withWatermark('value', '10 seconds')",
    "watermark on an unknown column": "rate.withWatermark('nope', '10 seconds')",
    "watermark with a bad delay": "rate.withWatermark('timestamp', 'ten seconds')",
    "watermark with a negative delay": "rate.withWatermark('timestamp', '-10 seconds')",
    # missing values
    "fillna number": "people.fillna(0)",
    "fillna text": "people.fillna('?')",
    "fillna by column": "people.fillna({'name': '?', 'score': 1})",
    "fillna unknown column": "people.fillna({'nope': 1})",
    "dropna": "people.dropna()",
    "dropna all of some": "people.dropna(how='all', subset=['name', 'score'])",
    "dropna by threshold": "people.dropna(thresh=3)",
    "replace": "people.replace('ann', 'ANN')",
    "replace numbers": "people.replace({1: 10, 2: 20}, subset=['id'])",
    "replace by null": "people.replace('ann', None)",
    # other
    "coalesce": "people.coalesce(1)",
    "repartition": "people.repartition(3, 'team')",
    "hint": "people.join(teams.hint('broadcast'), 'team')",
    "describe": "people.describe()",
    "describe some": "people.describe('id', 'name')",
    "summary": "people.select('id').summary('count', 'min', 'max', 'mean')",
    "unpivot": "people.unpivot(['id'], ['name', 'team'], 'what', 'value')",
    "explode": "nested.select('id', F.explode('tags'))",
    "explode_outer": "nested.select('id', F.explode_outer('tags').alias('tag'))",
    "explode a map": "nested.select('id', F.explode('props'))",
    "posexplode": "nested.select(F.posexplode('tags'), 'id')",
    "window function": "people.select('id', F.row_number().over(__import__('pyspark').sql.Window.partitionBy('team').orderBy('id')).alias('n'))",
    "sample": "spark.range(0, 20, 1, 1).sample(False, 0.4, 7)",
    # SQL
    "sql literals": "spark.sql(\"SELECT 1, 2L, 3S, 4Y, 1.5, 1.0D, 2.5BD, 1.5F, 'a', \\\"b\\\", true, NULL, X'1F', 1e3\")",
    "sql select": "spark.sql('SELECT id, name AS n, score * 2 FROM {p} WHERE id > 1', p=people)",
    "sql order, in order": "spark.sql('SELECT id, team FROM {p} ORDER BY 2 DESC NULLS LAST, id', p=people)",
    "sql group": "spark.sql('SELECT team, count(*) AS n, sum(id) + 1 FROM {p} GROUP BY team', p=people)",
    "sql group, keys last": "spark.sql('SELECT count(*), upper(team) FROM {p} GROUP BY upper(team)', p=people)",
    "sql group by position": "spark.sql('SELECT team, max(id) FROM {p} GROUP BY 1', p=people)",
    "sql group by all": "spark.sql('SELECT team, max(id) FROM {p} GROUP BY ALL', p=people)",
    "sql group by alias": "spark.sql('SELECT id % 2 AS odd, count(*) FROM {p} GROUP BY odd', p=people)",
    "sql having": "spark.sql('SELECT team, count(*) FROM {p} GROUP BY team HAVING sum(id) > 2', p=people)",
    "sql having and order, in order": "spark.sql('SELECT team FROM {p} GROUP BY team HAVING count(*) > 0 ORDER BY sum(id) DESC', p=people)",
    "sql global aggregate": "spark.sql('SELECT count(*), max(name) m FROM {p}', p=people)",
    "sql stray column": "spark.sql('SELECT name, count(*) FROM {p} GROUP BY team', p=people)",
    "sql no group": "spark.sql('SELECT name, count(*) FROM {p}', p=people)",
    "sql join": "spark.sql('SELECT p.id, t.colour FROM {p} p LEFT JOIN {t} AS t ON p.team = t.team', p=people, t=teams)",
    "sql join using": "spark.sql('SELECT * FROM {p} JOIN {t} USING (team)', p=people, t=teams)",
    "sql cross join": "spark.sql('SELECT a.id, b.colour FROM {p} a, {t} b WHERE a.team = b.team', p=people, t=teams)",
    "sql semi join": "spark.sql('SELECT * FROM {p} p LEFT SEMI JOIN {t} t ON p.team = t.team', p=people, t=teams)",
    "sql distinct": "spark.sql('SELECT DISTINCT team FROM {p}', p=people)",
    "sql limit, in order": "spark.sql('SELECT id FROM {p} ORDER BY id LIMIT 2 OFFSET 1', p=people)",
    "sql cte": "spark.sql('WITH a AS (SELECT id, team FROM {p}), b AS (SELECT * FROM a WHERE id > 1) SELECT * FROM b JOIN a USING (id)', p=people)",
    "sql subquery": "spark.sql('SELECT x.* FROM (SELECT id, name FROM {p}) x WHERE x.id < 3', p=people)",
    "sql union": "spark.sql('SELECT 1 AS a UNION ALL SELECT 2 UNION SELECT 2')",
    "sql intersect": "spark.sql('SELECT team FROM {p} INTERSECT SELECT team FROM {t}', p=people, t=teams)",
    "sql values": "spark.sql(\"SELECT * FROM VALUES (1, 'a'), (2, NULL) AS t(x, y)\")",
    "sql case": "spark.sql(\"SELECT CASE WHEN id > 2 THEN 'big' ELSE 'small' END, CASE id WHEN 1 THEN 'one' END AS c FROM {p}\", p=people)",
    "sql casts": "spark.sql(\"SELECT CAST('1' AS INT), '2'::bigint, TRY_CAST('x' AS INT), CAST(1 AS STRING)\")",
    "sql predicates": "spark.sql(\"SELECT id FROM {p} WHERE id IN (1, 2, 3) AND id BETWEEN 1 AND 3 AND name LIKE 'a%' OR team IS NULL OR NOT id NOT IN (2)\", p=people)",
    "sql window": "spark.sql(\"SELECT window.start, window.end, sum(v) AS s FROM {e} GROUP BY window(at, '10 seconds')\", e=events)",
    "sql intervals": "spark.sql(\"SELECT INTERVAL 1 DAY, INTERVAL '10' MINUTES, INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 2:03:04' DAY TO SECOND\")",
    "sql date literals": "spark.sql(\"SELECT DATE '2024-01-02', TIMESTAMP '2024-01-02 03:04:05', TIMESTAMP_NTZ '2024-01-02 03:04:05'\")",
    "sql arrays and maps": "spark.sql(\"SELECT array(1, 2)[0], map('a', 1)['a'], named_struct('x', 1).x, struct(1, 2)\")",
    "sql range": "spark.sql('SELECT * FROM range(2, 8, 3)')",
    "sql lateral view": "spark.sql('SELECT id, tag FROM {n} LATERAL VIEW explode(tags) t AS tag', n=nested)",
    "sql explode": "spark.sql('SELECT id, explode(tags) AS tag FROM {n}', n=nested)",
    "sql named parameters": "spark.sql('SELECT :a + 1, :b', {'a': 1, 'b': 'x'})",
    "sql positional parameters": "spark.sql('SELECT ? + 1, ?', [1, 'x'])",
    "sql scalar subquery": "spark.sql('SELECT id FROM {p} WHERE id = (SELECT max(id) FROM {p})', p=people)",
    "sql in subquery": "spark.sql('SELECT id FROM {p} WHERE team IN (SELECT team FROM {t})', p=people, t=teams)",
    "sql exists": "spark.sql('SELECT id FROM {p} p WHERE EXISTS (SELECT 1 FROM {t} t WHERE t.team = p.team)', p=people, t=teams)",
    "sql lateral alias": "spark.sql('SELECT id + 1 AS a, a * 2 AS b FROM {p}', p=people)",
    "sql unknown table": "spark.sql('SELECT * FROM nowhere')",
    "sql unknown column": "spark.sql('SELECT nam FROM {p}', p=people)",
    "sql syntax error": "spark.sql('SELEC 1')",
    "sql syntax error at the end": "spark.sql('SELECT 1 FROM')",
    "sql syntax error in the middle": "spark.sql('SELECT a b c FROM t')",
    "sql empty": "spark.sql('')",
    "sql group by out of range": "spark.sql('SELECT team FROM {p} GROUP BY 3', p=people)",
    "sql order by out of range": "spark.sql('SELECT team FROM {p} ORDER BY 3', p=people)",
    "sql group by aggregate": "spark.sql('SELECT count(*) FROM {p} GROUP BY sum(id)', p=people)",
    "expr operators": "people.selectExpr('id div 2', 'id % 2 = 1', 'not (id > 1)', '-id', 'id & 1', 'name || team', 'id <=> null', 'name is distinct from team')",
    "expr strings": "people.selectExpr(\"name rlike '^a'\", \"name not like '%n'\", \"'it\\\\'s'\", \"r'\\\\d'\", \"substring(name from 1 for 2)\", \"position('n' in name)\", \"trim(both 'a' from name)\", \"extract(year from date'2024-05-06')\")",
    # rows by their place
    "rand": "spark.range(0, 5, 1, 1).select(F.rand(42), F.randn(42), F.rand(7), F.monotonically_increasing_id(), F.spark_partition_id())",
    "rand twice and in an expression": "spark.range(0, 3, 1, 1).select((F.rand(1) * 10).cast('int').alias('a'), F.rand(1) + 1, 'id')",
    "rand as a filter": "spark.range(0, 20, 1, 1).filter(F.rand(3) < 0.5)",
    "rand below a filter": "spark.range(0, 20, 1, 1).withColumn('r', F.rand(3)).filter('id > 10 and r < 0.5').select('r')",
    "rand in SQL": "spark.sql('SELECT rand(3), randn(3), random(3), rand(NULL), id FROM range(0, 4, 1, 1)')",
    "rand as a key": "spark.range(0, 9, 1, 1).groupBy((F.rand(1) * 2).cast('int')).count()",
    "sort by rand, in order": "spark.range(0, 6, 1, 1).orderBy(F.rand(1))",
    "rand in an aggregate": "spark.range(0, 5, 1, 1).agg(F.sum(F.rand(1)))",
    "rand of a column": "spark.range(0, 5, 1, 1).selectExpr('rand(id)')",
    "rand of a string": "spark.range(0, 5, 1, 1).selectExpr(\"rand('x')\")",
    "row ids of a filter's rows": "people.filter('id <> 2').select('id', F.monotonically_increasing_id().alias('n'))",
    # statistics
    "median": "people.groupBy('team').agg(F.median('id'), F.median('score'))",
    "percentile": "people.agg(F.percentile('id', 0.25), F.percentile('score', [0.1, 0.5, 1.0]), F.median(F.lit(None)))",
    "percentile_approx": "people.agg(F.percentile_approx('id', 0.5), F.percentile_approx('score', [0.1, 0.5, 1.0], 100), F.approx_percentile('id', 0.9))",
    "percentile in SQL": "spark.sql('SELECT percentile(id, 0.3), percentile_approx(id, 0.3), approx_percentile(score, array(0.2, 0.8)), median(id), percentile_cont(0.5) WITHIN GROUP (ORDER BY id), percentile_disc(0.5) WITHIN GROUP (ORDER BY id DESC) FROM {p}', p=people)",
    "percentile out of range": "people.agg(F.percentile('id', 1.5))",
    "percentile of a string": "people.agg(F.percentile('name', 0.5))",
    "mode": "spark.createDataFrame([(1, 'a'), (1, 'b'), (2, 'b'), (None, None), (None, None), (None, None)], 'i INT, s STRING').agg(F.mode('i'), F.mode('s'))",
    "mode, deterministic": "spark.createDataFrame([(3,), (1,), (2,), (1,), (2,)], 'i INT').agg(F.mode('i', True))",
    "median by window": "events.groupBy(F.window('at', '10 seconds')).agg(F.median('v'), F.percentile_approx('v', 0.5))",
    "product": "people.agg(F.product('id'))",
    "listagg": "people.agg(F.listagg('name', ','), F.listagg('id'), F.string_agg('team', '-'), F.listagg_distinct('team', ','))",
    "regr": "people.agg(F.regr_count('score', 'id'), F.regr_avgx('score', 'id'), F.regr_avgy('score', 'id'), F.regr_slope('score', 'id'), F.regr_intercept('score', 'id'), F.regr_r2('score', 'id'), F.regr_sxx('score', 'id'), F.regr_syy('score', 'id'), F.regr_sxy('score', 'id'))",
    # higher-order functions
    "map functions": "nested.select(F.transform_keys('props', lambda k, v: F.upper(k)), F.transform_values('props', lambda k, v: v + 1), F.map_filter('props', lambda k, v: v > 0), F.map_zip_with('props', 'props', lambda k, a, b: F.concat(k, (a + b).cast('string'))))",
    "map functions in SQL": "spark.sql(\"SELECT transform_keys(props, (k, v) -> k || '!'), map_filter(props, (k, v) -> v IS NULL), map_zip_with(props, map('k', 5.5D, 'z', 1D), (k, a, b) -> coalesce(a, 0) + coalesce(b, 0)) FROM {n}\", n=nested)",
    "transform_keys to duplicates": "spark.sql(\"SELECT transform_keys(map('a', 1, 'b', 2), (k, v) -> 'x')\")",
    "transform_keys to null": "spark.sql(\"SELECT transform_keys(map('a', 1, 'b', 2), (k, v) -> CAST(NULL AS STRING))\")",
    "array_sort": "nested.select(F.array_sort('tags'), F.array_sort(F.array(F.lit(3), F.lit(None), F.lit(1))), F.array_sort('tags', lambda a, b: F.when(a < b, 1).when(a > b, -1).otherwise(0)))",
    "array_sort in SQL": "spark.sql(\"SELECT array_sort(array('bc', 'ab', 'dca'), (l, r) -> CASE WHEN length(l) < length(r) THEN -1 WHEN length(l) > length(r) THEN 1 ELSE 0 END), array_sort(array(5, 6, 1), (l, r) -> r - l)\")",
    "zip_with": "nested.select(F.zip_with('tags', F.array(F.lit(1), F.lit(2), F.lit(3)), lambda a, b: F.concat_ws('-', a, b.cast('string'))))",
    "current_timestamp in a lambda": "nested.select(F.transform('tags', lambda x: F.current_timestamp() > F.lit('2020-01-01').cast('timestamp')))",
    # window functions
    "window functions": "people.select('id', *[f.over(Window.partitionBy('team').orderBy('id')).alias(n) for n, f in [('rn', F.row_number()), ('rk', F.rank()), ('dr', F.dense_rank()), ('pr', F.percent_rank()), ('cd', F.cume_dist()), ('nt', F.ntile(2)), ('lg', F.lag('id')), ('ld', F.lead('id', 1, -1)), ('nv', F.nth_value('id', 2)), ('fv', F.first('id')), ('lv', F.last('id'))]])",
    "window functions, ties": "people.withColumn('g', F.col('id') % 2).select('id', F.rank().over(Window.orderBy('g')), F.dense_rank().over(Window.orderBy(F.desc('g'))), F.row_number().over(Window.orderBy('g', 'id')))",
    "window aggregates": "people.select('id', F.sum('id').over(Window.partitionBy('team')), F.avg('score').over(Window.orderBy('id')), F.sum('id').over(Window.orderBy('id').rowsBetween(-1, 1)), F.count('*').over(Window.orderBy('id').rowsBetween(Window.unboundedPreceding, Window.currentRow)), F.collect_list('id').over(Window.orderBy('id')))",
    "window ranges": "people.select('id', F.sum('id').over(Window.orderBy('id').rangeBetween(-1, 1)), F.max('id').over(Window.orderBy(F.desc('id')).rangeBetween(0, 2)))",
    "window lag with nulls": "people.select('id', F.lag('score', 1, 0.0).over(Window.orderBy('id')), F.lag('score', 2).over(Window.orderBy('id')), F.lead('name', 1, '?').over(Window.orderBy('id')))",
    "window function without order": "people.select(F.rank().over(Window.partitionBy('team')))",
    "window in an expression": "people.select('id', (F.col('id') - F.lag('id').over(Window.orderBy('id')) + F.sum('id').over(Window.partitionBy('team'))).alias('x'))",
    "window over an aggregate": "people.groupBy('team').agg(F.sum('id').alias('s'), F.rank().over(Window.orderBy(F.sum('id'))).alias('r'))",
    "window function as a filter": "people.withColumn('n', F.row_number().over(Window.partitionBy('team').orderBy(F.desc('id')))).filter('n = 1').drop('n')",
    "window function in where": "people.filter(F.row_number().over(Window.orderBy('id')) == 1)",
    "sql window functions": "spark.sql('SELECT id, row_number() OVER (PARTITION BY team ORDER BY id DESC) AS n, sum(id) OVER w, lag(id, 1) OVER (ORDER BY id) FROM {p} WINDOW w AS (PARTITION BY team)', p=people)",
    "sql named windows": "spark.sql('SELECT id, rank() OVER w1, count(*) OVER w2 FROM {p} WINDOW w1 AS (ORDER BY id), w2 AS (PARTITION BY team)', p=people)",
    "sql unknown window": "spark.sql('SELECT rank() OVER w9 FROM {p}', p=people)",
    "sql qualify": "spark.sql('SELECT id, team FROM {p} QUALIFY row_number() OVER (PARTITION BY team ORDER BY id DESC) = 1', p=people)",
    "sql window of a group": "spark.sql('SELECT team, sum(id), rank() OVER (ORDER BY sum(id) DESC) AS r FROM {p} GROUP BY team', p=people)",
    # pivots
    "pivot without values": "people.groupBy('team').pivot('name').sum('id')",
    "pivot with several aggregates": "people.groupBy('team').pivot('name', ['ann', 'bob']).agg(F.sum('id').alias('s'), F.count('id'))",
    "pivot with one named aggregate": "people.groupBy('team').pivot('id', [1, 2]).agg(F.max('score').alias('m'))",
    "pivot of numbers": "people.groupBy().pivot('id', [1, 3]).agg(F.first('name'))",
    "sql pivot": "spark.sql(\"SELECT * FROM (SELECT team, name, id FROM {p}) PIVOT (sum(id) AS s, max(id) FOR name IN ('ann' AS a, 'bob'))\", p=people)",
    "sql unpivot": "spark.sql('SELECT * FROM (SELECT id, name, team FROM {p}) UNPIVOT (v FOR k IN (name, team AS t))', p=people)",
    "sql unpivot with nulls": "spark.sql('SELECT * FROM (SELECT id, name, team FROM {p}) UNPIVOT INCLUDE NULLS (v FOR k IN (name, team)) AS u WHERE u.id < 3', p=people)",
    "unpivot all": "people.select('id', F.col('score').cast('int').alias('s')).unpivot([], None, 'k', 'v')",
    "unpivot of unlike types": "people.unpivot('id', ['name', 'score'], 'k', 'v')",
    # totals
    "sql grouping sets": "spark.sql('SELECT team, name, sum(id), grouping(team), grouping_id() FROM {p} GROUP BY GROUPING SETS ((team, name), (team), ())', p=people)",
    "sql grouping sets of keys": "spark.sql('SELECT team, name, count(*) FROM {p} GROUP BY team, name GROUPING SETS ((team), (name))', p=people)",
    "sql rollup": "spark.sql('SELECT team, id % 2 AS odd, count(*), grouping_id(team, id % 2) FROM {p} GROUP BY ROLLUP (team, id % 2)', p=people)",
    "sql cube with": "spark.sql('SELECT team, name, count(*) FROM {p} GROUP BY team, name WITH CUBE', p=people)",
    "sql key and rollup": "spark.sql('SELECT team, name, sum(id) FROM {p} GROUP BY team, ROLLUP (name)', p=people)",
    "rollup with grouping": "people.rollup('team', 'name').agg(F.grouping('team'), F.grouping_id(), F.sum('id'))",
    "groupingSets": "people.groupingSets([['team'], ['name'], []], 'team', 'name').agg(F.sum('id'))",
    "grouping without totals": "people.groupBy('team').agg(F.grouping('team'))",
    "rollup then having": "spark.sql('SELECT team, sum(id) s FROM {p} GROUP BY ROLLUP (team) HAVING sum(id) > 3', p=people)",
    # set operations
    "intersectAll": "people.select('team').union(people.select('team')).intersectAll(people.select('team').union(people.select('team')))",
    "exceptAll": "people.select('team').union(people.select('team')).exceptAll(people.select('team'))",
    "sql intersect all": "spark.sql('SELECT * FROM VALUES (1), (1), (2), (NULL), (NULL) INTERSECT ALL SELECT * FROM VALUES (1), (1), (NULL), (3)')",
    "sql except all": "spark.sql('SELECT * FROM VALUES (1), (1), (2), (NULL), (NULL) EXCEPT ALL SELECT * FROM VALUES (1), (NULL), (3)')",
    "sql minus": "spark.sql('SELECT 1 AS a MINUS SELECT 2')",
    # joins and clauses
    "sql natural join": "spark.sql('SELECT * FROM {p} NATURAL JOIN {t}', p=people, t=teams)",
    "sql natural left join": "spark.sql('SELECT * FROM {p} NATURAL LEFT JOIN {t}', p=people, t=teams)",
    "sql natural join of nothing": "spark.sql('SELECT * FROM (SELECT id FROM {p}) NATURAL JOIN (SELECT colour FROM {t})', p=people, t=teams)",
    "sql filter clause": "spark.sql(\"SELECT count(*) FILTER (WHERE id > 1), sum(id) FILTER (WHERE team = 'x') AS s, team IS NULL FROM {p} GROUP BY team IS NULL\", p=people)",
    "sql filter clause of a window": "spark.sql('SELECT id, count(*) FILTER (WHERE id > 1) OVER (ORDER BY id) FROM {p}', p=people)",
    "sql distinct filter": "spark.sql('SELECT count(DISTINCT team) FILTER (WHERE id < 4) FROM {p}', p=people)",
    "sql tablesample percent": "spark.sql('SELECT * FROM (SELECT * FROM range(0, 20, 1, 1)) TABLESAMPLE (40 PERCENT) REPEATABLE (7)')",
    "sql tablesample rows": "spark.sql('SELECT * FROM (SELECT * FROM range(0, 20, 1, 1)) TABLESAMPLE (3 ROWS)')",
    "sql tablesample bucket": "spark.sql('SELECT * FROM (SELECT * FROM range(0, 20, 1, 1)) TABLESAMPLE (BUCKET 3 OUT OF 10) REPEATABLE (7)')",
    "sql order by all, in order": "spark.sql('SELECT team, id FROM {p} ORDER BY ALL', p=people)",
    "sql sort by": "spark.sql('SELECT id FROM {p} SORT BY id', p=people)",
    "sql distribute by": "spark.sql('SELECT id FROM {p} DISTRIBUTE BY team', p=people)",
    "sql cluster by": "spark.sql('SELECT id FROM {p} CLUSTER BY team', p=people)",
    "sql pipe": "spark.sql('FROM {p} |> WHERE id > 1 |> SELECT id, name', p=people)",
    "sql from first": "spark.sql('FROM {p} SELECT id', p=people)",
    # intervals
    "intervals in arithmetic": "spark.sql(\"SELECT DATE'2024-01-31' + INTERVAL 1 DAY, DATE'2024-01-31' - INTERVAL '1' DAY, DATE'2024-01-31' + INTERVAL 1 MONTH, DATE'2024-01-31' + INTERVAL 1 HOUR, DATE'2024-03-01' - DATE'2024-02-01', INTERVAL 1 DAY + INTERVAL 2 HOURS, INTERVAL 3 DAYS * 2, INTERVAL 1 DAY / 2, -INTERVAL 1 DAY, array(INTERVAL 1 DAY, INTERVAL 1 HOUR), coalesce(INTERVAL 1 DAY, INTERVAL 1 SECOND), named_struct('d', INTERVAL 2 HOURS)\")",
    "intervals as text": "spark.sql(\"SELECT CAST(INTERVAL 1 DAY AS STRING), CAST(INTERVAL '2:03' HOUR TO MINUTE AS STRING), CAST(INTERVAL 1.5 SECONDS AS STRING), CAST(INTERVAL 1 YEAR AS STRING), CAST(INTERVAL '1-2' YEAR TO MONTH AS STRING), CAST(INTERVAL -90 MINUTES AS STRING), typeof(INTERVAL 1 DAY), typeof(INTERVAL 3 MONTHS), CAST(array(INTERVAL 1 DAY) AS STRING)\")",
    "interval of a column": "events.select('v', (F.col('at') - F.expr('INTERVAL 10 MINUTES')).alias('b'), F.expr('at - timestamp\\'2024-01-01 00:00:00\\''), F.expr('INTERVAL 1 DAY * v'), F.expr('max(INTERVAL 2 DAYS) OVER ()'))",
    "interval sum": "people.agg(F.expr('sum(INTERVAL 1 DAY)'), F.expr('max(INTERVAL 1 HOUR)'), F.expr('avg(INTERVAL 1 DAY)'))",
    "interval cast": "spark.sql(\"SELECT CAST('1' AS INTERVAL DAY), CAST(2 AS INTERVAL HOUR), CAST(INTERVAL 1 DAY AS INT), CAST(INTERVAL 1 DAY AS INTERVAL DAY TO SECOND)\")",
    "interval mix": "spark.sql('SELECT INTERVAL 1 DAY 1 MONTH')",
    "timestampadd": "spark.sql(\"SELECT timestampadd(HOUR, 3, TIMESTAMP'2024-01-01 00:00:00'), timestampadd(MONTH, 1, TIMESTAMP_NTZ'2024-01-31 00:00:00'), timestampdiff(DAY, TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-02-01 12:00:00'), timestampdiff(MONTH, DATE'2024-01-31', DATE'2024-03-01'), dateadd(DAY, 1, TIMESTAMP'2024-01-01 00:00:00'), date_add(WEEK, 1, DATE'2024-01-01'), datediff(HOUR, DATE'2024-01-01', DATE'2024-01-02'), date_diff(QUARTER, DATE'2024-01-01', DATE'2025-01-01'), timediff(SECOND, TIMESTAMP'2024-01-01 00:00:00', TIMESTAMP'2024-01-01 00:01:00')\")",
}


def cell(value):
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, decimal.Decimal):
        return {"decimal": format(value, "f")}
    if isinstance(value, (bytes, bytearray)):
        return {"binary": bytes(value).hex()}
    if isinstance(value, datetime.datetime):
        return {"micros": round((value - datetime.datetime(1970, 1, 1)) / datetime.timedelta(microseconds=1))}
    if isinstance(value, datetime.date):
        return {"days": (value - datetime.date(1970, 1, 1)).days}
    if isinstance(value, datetime.timedelta):
        return {"duration": value // datetime.timedelta(microseconds=1)}
    if isinstance(value, Row):
        return {"struct": [cell(v) for v in value]}
    if isinstance(value, dict):
        return {"map": [[cell(k), cell(v)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"array": [cell(v) for v in value]}
    return {"repr": repr(value)}


def record(spark, name, code, scope):
    case = {"name": name, "code": code}
    try:
        frame = eval(code, scope)
        case["plan"] = base64.b64encode(frame._plan.to_proto(spark._client).SerializeToString()).decode()
        case["streaming"] = frame.isStreaming
        case["schema"] = json.loads(frame.schema.json())
        if not frame.isStreaming:
            case["rows"] = [[cell(v) for v in row] for row in frame.collect()]
    except PySparkException as e:
        case["error"] = {"class": e.getCondition(), "parameters": e.getMessageParameters()}
    except Exception as e:  # noqa: BLE001
        case["unrecorded"] = repr(e)
    return case


def main():
    os.environ["TZ"] = "UTC"
    spark = (
        SparkSession.builder.remote("local[1]")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "1")
        .getOrCreate()
    )
    scope = dict(globals(), spark=spark)
    exec(SETUP, scope)
    path = os.path.join(HERE, "relations.json")
    known = {}
    if "--new" in sys.argv:
        with open(path) as file:
            known = {case["name"]: case for case in json.load(file)}
    kept = {name for name, case in known.items() if CASES.get(name) == case["code"]}
    cases = [known[name] if name in kept else record(spark, name, code, scope) for name, code in CASES.items()]
    with open(path, "w") as out:
        out.write("[\n" + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "\n]\n")
    for case in cases:
        if "unrecorded" in case:
            print(case["name"], case["unrecorded"], file=sys.stderr)
    spark.stop()


if __name__ == "__main__":
    main()
