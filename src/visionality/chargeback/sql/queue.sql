-- What waits for an operator, for psycopg. Run as vis_web or vis_reader, in a transaction that has set vis.org_id. Braces
-- take the filter; all values are literals that psycopg has quoted.

-- name: waits
-- Served work without a project, or whose evidence disagrees or leads where its key may not go, that no correction has
-- settled. With each row its true-ups. The index request_logs_waiting has such rows.
select r.id, r.created_at, r.project_id, r.repo, r.branch, r.agent_sub, r.currency, r.entry = 'call' as is_call,
       r.tags ->> 'client' as client, r.tags ->> 'attribution_conflict' as conflict, r.tags ->> 'project_denied' as denied,
       (r.cost_nusd + coalesce((select sum(t.cost_nusd) from vis.request_logs t
                                 where t.org_id = r.org_id and t.corrects = r.id and t.entry = 'true_up'), 0))::bigint as cost_nusd
  from vis.request_logs r
 where {filter} and entry in ('call', 'attempt', 'import')
   and (project_id is null or tags ? 'attribution_conflict' or tags ? 'project_denied')
   and not exists (select from vis.request_logs c where c.org_id = r.org_id and c.corrects = r.id and c.entry = 'correction')

-- name: waiting
{waits} order by created_at, id;

-- name: alike
-- What waits, rows with one evidence as one line.
select project_id, repo, branch, client, conflict, denied, currency, count(*) filter (where is_call) as calls,
       sum(cost_nusd)::bigint as cost_nusd, min(created_at) as first, max(created_at) as last
  from ({waits}) w group by 1, 2, 3, 4, 5, 6, 7 order by first;

-- name: named
-- Rows by their ids, which hold the moment when they were made, and what a correction of each would move.
select r.id, r.created_at, r.project_id, r.entry, r.corrects, r.currency,
       (r.cost_nusd + coalesce((select sum(t.cost_nusd) from vis.request_logs t
                                 where t.org_id = r.org_id and t.corrects = r.id and t.entry = 'true_up'), 0))::bigint as cost_nusd
  from vis.request_logs r
 where org_id = {org_id} and id = any({ids}) and created_at >= {since} and created_at < {until};
