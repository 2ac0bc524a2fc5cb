-- The work of projects by day, for psycopg: how it is kept and checked. Braces take a fragment of this file or of sums.sql.

-- name: worked
-- Rows by project, day and all that work is told by. What they count for is as in the chargeback's reports.
select org_id, project_id, day, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model,
       sum(calls)::bigint as calls, sum(input_tokens)::bigint as input_tokens, sum(cache_read_tokens)::bigint as cache_read_tokens,
       sum(cache_write_tokens)::bigint as cache_write_tokens, sum(output_tokens)::bigint as output_tokens,
       sum(cost_nusd)::bigint as cost_nusd, min(called_at) as first_call, max(called_at) as last_call,
       min(made_at) as first_made, max(made_at) as last_made
  from (select r.org_id, r.project_id, (r.created_at at time zone 'UTC')::date as day, r.currency, r.task_id, r.epic_id, r.repo, r.branch,
               r.commit_sha, r.pr_url, r.agent_owner, coalesce(r.model_used, r.model_requested) as model,
               {call} as calls, r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.cost_nusd,
               {called_at} as called_at, {made_at} as made_at
          from {rows} r where r.project_id is not null and r.provider <> 'sandbox' and {is_served}) served
 group by org_id, project_id, day, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model

-- name: called_at
-- When the call of a row r was made that it counts as.
case when r.entry = 'call' then r.created_at when r.tags ->> 'correction' = 'rebooking' then (r.tags ->> 'of')::timestamptz end

-- name: made_at
-- When the call was made that a row r is of, whether it counts or not.
coalesce((r.tags ->> 'of')::timestamptz, r.created_at)

-- name: digested
sha256(convert_to(json_build_array(task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model)::text, 'UTF8'))

-- name: add
insert into vis.work_day as d (
  org_id, project_id, day, digest, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model,
  calls, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_nusd, first_call, last_call, first_made, last_made)
select org_id, project_id, day, {digested}, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model,
       calls, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_nusd, first_call, last_call, first_made, last_made
  from ({worked}) w
on conflict (org_id, project_id, day, digest, currency) do update set
  calls = d.calls + excluded.calls, input_tokens = d.input_tokens + excluded.input_tokens,
  cache_read_tokens = d.cache_read_tokens + excluded.cache_read_tokens,
  cache_write_tokens = d.cache_write_tokens + excluded.cache_write_tokens, output_tokens = d.output_tokens + excluded.output_tokens,
  cost_nusd = d.cost_nusd + excluded.cost_nusd, first_call = least(d.first_call, excluded.first_call),
  last_call = greatest(d.last_call, excluded.last_call), first_made = least(d.first_made, excluded.first_made),
  last_made = greatest(d.last_made, excluded.last_made);

-- name: differences
-- Where the work of a day is not that of its rows, in one moment of both: by the sums of a project and what they are about.
select org_id, day, 'work' as dim, project_id as key, encode(digest, 'hex') as key2, currency, '' as source,
       coalesce(s.cost_nusd, 0) as summed_nusd, coalesce(l.cost_nusd, 0) as ledger_nusd
  from (select org_id, project_id, day, {digested} as digest, currency, calls, input_tokens, cache_read_tokens, cache_write_tokens,
               output_tokens, cost_nusd, first_call, last_call, first_made, last_made from ({worked}) w) l
  full join (select * from vis.work_day where day = %(day)s) s using (org_id, project_id, day, digest, currency)
 where (l.calls, l.input_tokens, l.cache_read_tokens, l.cache_write_tokens, l.output_tokens, l.cost_nusd, l.first_call, l.last_call,
        l.first_made, l.last_made) is distinct from
       (s.calls, s.input_tokens, s.cache_read_tokens, s.cache_write_tokens, s.output_tokens, s.cost_nusd, s.first_call, s.last_call,
        s.first_made, s.last_made)
 order by 1, 2, 3, 4, 5, 6;
