-- What the sqlite3 trace is recorded from: a small shop, loaded, indexed, asked and changed, in memory.
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT, since INTEGER);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, price REAL, note TEXT);

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
INSERT INTO customer SELECT i, 'customer ' || (i * 7919 % 20011), 'city ' || (i % 211), 1970 + i % 50 FROM n;

WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO purchase
SELECT i, i * 31 % 20000 + 1, 'item ' || (i * 101 % 997), (i % 10007) / 100.0,
       substr('delivered in the morning, left with the neighbour, paid by card, returned once', 1 + i % 40, i % 60)
FROM n;

CREATE INDEX customer_city ON customer (city, name);
CREATE INDEX purchase_customer ON purchase (customer);
CREATE INDEX purchase_item ON purchase (item, price);

SELECT city, count(*), min(name), max(since) FROM customer GROUP BY city ORDER BY 2 DESC, 1 LIMIT 5;
SELECT c.city, round(sum(p.price), 2) FROM customer c JOIN purchase p ON p.customer = c.id
GROUP BY c.city ORDER BY 2 DESC LIMIT 5;
SELECT item, count(DISTINCT customer), group_concat(DISTINCT round(price)) FROM purchase
WHERE item LIKE 'item 9%' GROUP BY item ORDER BY item LIMIT 3;
SELECT upper(name) || ' of ' || city, length(replace(name, 'customer', 'guest')) FROM customer
ORDER BY name || city DESC LIMIT 3;
SELECT count(*) FROM (SELECT name, city, since, row_number() OVER (PARTITION BY city ORDER BY name) AS place
                      FROM customer) WHERE place <= 3;

CREATE TEMP TABLE summary AS SELECT customer, json_group_array(item) AS items, sum(price) AS total
FROM purchase GROUP BY customer;
SELECT sum(json_array_length(items)), round(avg(total), 3) FROM summary;
UPDATE purchase SET note = note || ' (' || item || ')' WHERE id % 3 = 0;
DELETE FROM purchase WHERE id % 7 = 0;
SELECT count(*), sum(length(note)) FROM purchase;
