CREATE MATERIALIZED VIEW best_customers AS
SELECT customer, total FROM customers WHERE total > 20;
