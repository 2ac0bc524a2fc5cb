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
-- By the code of the first character, which takes half the time of a pattern: tab, line feed, carriage return, + - = @, and the
-- last four in full width.
case when ascii({column}) in (9, 10, 13, 43, 45, 61, 64, 65291, 65293, 65309, 65312) then '''' || {column} else {column} end as {column}

-- name: rows_total
select currency, provider = 'sandbox' as is_simulated, sum(cost_nusd)::bigint as cost_nusd from vis.request_logs where {filter}
 group by currency, is_simulated order by is_simulated, currency;

-- name: rows
-- As `lines`, of whatever rows a filter finds: with those that were refused, and with what tells them apart.
copy (
  select to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at, id,
         {guarded}, entry, decision, status_code, usage_source, provider, currency,
         trim_scale(cost_nusd::numeric * 0.000000001) as cost_usd
    from vis.request_logs where {filter} order by created_at, id
) to stdout with (format csv, header true);

-- name: everything
copy (select * from vis.request_logs where org_id = {} and created_at >= {} and created_at < {} order by created_at, id)
  to stdout with (format csv, header true);

-- name: splits
-- Of two from the same moment the one that was added later is last.
select scope_kind, scope_value, parts, effective_from from vis.splits_v1 where org_id = %(org_id)s
 order by effective_from, split_id;

-- name: kinds
-- What decides who pays for a row, and its money. `moment` counts the changes of the rules up to it; a correction is of the
-- moment of the row that it corrects, so that it takes back what was split then.
select coalesce(cost_center, '') as cost_center, coalesce(gl_code, '') as gl_code,
       coalesce(project_id, '') as project_id, currency,
       coalesce(team_id, '') as team_id, coalesce(customer_id, '') as customer_id,
       width_bucket(coalesce(case when entry = 'correction' then (tags ->> 'of')::timestamptz end, created_at),
                    {changes}::timestamptz[]) as moment, cost_nusd, billed_nusd,
       coalesce(project_id = any({project}::text[]), false) or coalesce(team_id = any({team}::text[]), false)
         or coalesce(customer_id = any({customer}::text[]), false) as is_in_scope
  from vis.request_logs where {filter}

-- name: amounts
-- Rows of scopes that have no split are added up, those of others come one by one.
copy (
  with counted as ({kinds})
  select cost_center, gl_code, project_id, currency, team_id, customer_id, moment, cost_nusd, billed_nusd, 1
    from counted where is_in_scope
  union all
  select cost_center, gl_code, project_id, currency, team_id, customer_id, moment, sum(cost_nusd), sum(billed_nusd), count(*)
    from counted where not is_in_scope group by 1, 2, 3, 4, 5, 6, 7
) to stdout;
