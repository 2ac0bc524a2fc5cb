-- What was refused, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id. A row may stand for many calls
-- that only repeated the one before (tags.repeats).

-- name: refusals
-- Everything in one look, as JSON: the rows are read once, by the index request_logs_refused. A refused call costs nothing and
-- has no answer of a provider; both are counted all the same, so that the page says what the rows say. Strangers are of the
-- whole installation, and without their examples, which may have been meant for any organisation.
with refused as materialized (
  select created_at, id, status_code as status, binding_status, coalesce(reason, '') as reason, agent_sub, project_id, key_id,
         coalesce(tags ->> 'client', '') as client, coalesce(caller, '') as caller,
         coalesce((tags ->> 'repeats')::bigint, 1) as calls, cost_nusd, upstream_request_id
    from vis.request_logs
   where org_id = %(org_id)s and decision = 'refused' and entry = 'call' and created_at >= %(start)s and created_at < %(end)s)
select json_build_object(
  'counted', (select coalesce(json_agg(x), '[]') from (
     select (created_at at time zone 'UTC')::date as day, status, binding_status, reason, sum(calls)::bigint as calls,
            sum(cost_nusd)::bigint as cost_nusd, count(upstream_request_id) as answered, max(created_at) as last_at
       from refused group by 1, 2, 3, 4) x),
  'keys', (select coalesce(json_agg(x), '[]') from (
     select key_id, agent_sub, project_id, sum(calls)::bigint as calls, max(created_at) as last_at
       from refused group by 1, 2, 3 order by 4 desc, 5 desc limit %(most)s) x),
  'clients', (select coalesce(json_agg(x), '[]') from (
     select client, caller, sum(calls)::bigint as calls, max(created_at) as last_at
       from refused group by 1, 2 order by 3 desc, 4 desc limit %(most)s) x),
  'newest', (select coalesce(json_agg(x), '[]') from (
     select id, created_at, status, reason, binding_status, agent_sub, project_id, calls
       from refused order by refused.created_at desc, id desc limit %(newest)s) x),
  'strangers', (select coalesce(json_agg(x), '[]') from (
     select code, sum(times)::bigint as times, max(minute) as last_at from vis.strangers
      where minute >= %(start)s and minute < %(end)s group by 1 order by 2 desc, 1) x)) as found;
