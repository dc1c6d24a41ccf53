-- A declarative pipeline in SQL alone:
--
--     millstream run examples/pipeline/pipeline.sql
--
-- Run it, drop another file into examples/pipeline/orders, run it again: the streaming table reads
-- the new file alone, the materialized view is made anew. Checkpoints are in pipeline-storage beside
-- this file, tables in ./spark-warehouse. `--full-refresh-all` begins from nothing.

CREATE TABLE IF NOT EXISTS orders (id INT, customer STRING, amount DECIMAL(10, 2), ordered_at TIMESTAMP)
  USING csv OPTIONS (header 'true') LOCATION 'examples/pipeline/orders';

CREATE TEMPORARY VIEW paid AS
  SELECT * FROM STREAM orders WHERE amount > 0;

CREATE STREAMING TABLE sales COMMENT 'every paid order, once'
  AS SELECT id, customer, amount, CAST(ordered_at AS DATE) AS day FROM STREAM paid;

CREATE MATERIALIZED VIEW sales_by_day COMMENT 'what each day brought'
  AS SELECT day, count(*) AS orders, sum(amount) AS total FROM sales GROUP BY day;

SELECT * FROM sales_by_day ORDER BY day;
