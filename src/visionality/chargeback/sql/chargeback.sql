-- The chargeback CSV, for psycopg. Run as vis_reader in one repeatable-read transaction that has set vis.org_id.
-- Braces take the filter, which is the same in both queries; all values are literals that psycopg has quoted.

-- name: total
select currency, count(*) as lines, sum(cost_nusd)::bigint as cost_nusd from vis.request_logs where {filter}
 group by currency order by currency;

-- name: lines
-- A text that a spreadsheet would take for a formula gets a leading apostrophe; money and time are typed.
copy (
  select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at,
         {guarded}, currency, trim_scale(cost_nusd::numeric * 0.000000001) as cost_usd
    from vis.request_logs where {filter} order by created_at, id
) to stdout with (format csv, header true);

-- name: guard
case when {column} ~ '^[-=+@\t\r\n＝＋－＠]' then '''' || {column} else {column} end as {column}

-- name: everything
copy (select * from vis.request_logs where org_id = {} and created_at >= {} and created_at < {} order by created_at, id)
  to stdout with (format csv, header true);
