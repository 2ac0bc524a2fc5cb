-- The daily sums, for psycopg: how they are made, read and checked. Braces take a fragment of this file. What a row counts
-- for is as in reader.sql and in the chargeback's reports.

-- name: dimensions
-- What each dimension takes from rows r that are alike. Nothing is an empty text.
(values
  ('all', '', ''),
  ('project', r.project_id, ''),
  ('customer', r.customer_id, ''),
  ('team', r.team_id, ''),
  ('agent', r.agent_sub, ''),
  ('person', r.sso_sub, r.agent_owner),
  ('model', r.model, r.model_family),
  ('task_class', r.task_class, ''),
  ('cost_center', r.cost_center, ''),
  ('gl_code', r.gl_code, ''),
  ('provider', r.provider, ''),
  ('key', r.key_id::text, ''),
  ('task', r.task_id, ''),
  ('epic', r.epic_id, ''),
  ('place', r.repo, r.branch),
  ('level', r.attribution_level::text, ''),
  ('project_agent', r.project_id, r.agent_sub),
  ('project_person', r.project_id, r.sso_sub),
  ('project_model', r.project_id, r.model),
  ('project_task_class', r.project_id, r.task_class),
  ('project_customer', r.project_id, r.customer_id),
  ('project_task', r.project_id, r.task_id),
  ('project_epic', r.project_id, r.epic_id),
  ('agent_model', r.agent_sub, r.model),
  ('agent_task_class', r.agent_sub, r.task_class),
  ('person_agent', r.sso_sub, r.agent_sub),
  ('project_repo', r.project_id, r.repo),
  ('project_outcome', r.project_id, json_build_array(r.entry, r.source, r.decision, r.reason, r.status_code, r.binding_status)::text),
  ('client', r.client, concat_ws(' ', coalesce(r.attribution_level::text, '-'),
                                 case when r.project_id is null then case when r.has_said then 'unplaced' else 'silent' end end))) d(dim, one, two)

-- name: counted
-- Rows by day, dimension and key, each with what they count for. `calls` is served work and `asked` is all. Calls of one piece of
-- work are alike in all that a dimension takes, so they are added up once before they go to every dimension.
select r.org_id, r.day, r.currency, case when r.provider = 'sandbox' then 'sandbox' else r.source end as source,
       d.dim, coalesce(d.one, '') as key, coalesce(d.two, '') as key2, calls, asked, refused, failed, cost_nusd, billed_nusd, final_nusd,
       unpriced, unattributed, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, last_at
  from (
    select org_id, day, currency, {alike}, {measures}
      from (
        select r.org_id, (r.created_at at time zone 'UTC')::date as day, r.currency,
               r.project_id, r.customer_id, r.team_id, r.agent_sub, r.sso_sub, r.agent_owner, r.model_family, r.task_class, r.cost_center,
               r.gl_code, r.provider, r.key_id, r.task_id, r.epic_id, r.repo, r.branch, r.attribution_level,
               r.entry, r.source, r.decision, r.reason, r.status_code, r.binding_status,
               coalesce(r.model_used, r.model_requested) as model, split_part(r.tags ->> 'client', ' ', 1) as client, r.tags ? 'evidence' as has_said,
               case when w.is_served then w.call else 0 end as calls, w.call as asked,
               case when w.is_unserved and r.decision = 'refused' then w.call * coalesce((r.tags ->> 'repeats')::bigint, 1) else 0 end as refused,
               case when w.is_unserved and r.decision = 'failed' then w.call else 0 end as failed,
               r.cost_nusd, r.billed_nusd, case when r.usage_source = 'provider_final' then r.cost_nusd else 0 end as final_nusd,
               case when r.price_state = 'unknown' then w.weight else 0 end as unpriced,
               case when r.project_id is null then w.weight else 0 end as unattributed,
               r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.reasoning_tokens,
               case when r.entry = 'call' then r.created_at end as last_at
          from {rows} r
         cross join lateral (
           select {call} as call,
                  case when r.entry not in ('correction', 'true_up') or r.tags ->> 'correction' = 'rebooking' then 1
                       when r.tags ->> 'correction' = 'reversal' then -1 else 0 end as weight,
                  {is_served} as is_served, r.entry in ('call', 'correction') and r.cost_nusd = 0 as is_unserved
           offset 0) w) counted
     group by org_id, day, currency, {alike}
    offset 0) r
 cross join lateral {dimensions}

-- name: alike
project_id, customer_id, team_id, agent_sub, sso_sub, agent_owner, model_family, task_class, cost_center, gl_code, provider, key_id,
         task_id, epic_id, repo, branch, attribution_level, entry, source, decision, reason, status_code, binding_status, model, client, has_said

-- name: call
-- How many calls a row r is. A call that was corrected is one where it was booked again, and none any more where it was.
case when r.entry = 'call' then 1
     when r.entry <> 'correction' or r.tags ->> 'entry' <> 'call' then 0
     when r.tags ->> 'correction' = 'rebooking' then 1 when r.tags ->> 'correction' = 'reversal' then -1 else 0 end

-- name: is_served
-- Whether a row r is of served work: refusals and free catalogue look-ups cost nothing and are none.
(r.decision = 'allowed' or r.cost_nusd <> 0) and (r.task_class is distinct from 'catalogue' or r.cost_nusd <> 0)

-- name: measures
sum(calls)::bigint as calls, sum(asked)::bigint as asked, sum(refused)::bigint as refused, sum(failed)::bigint as failed,
       sum(cost_nusd)::bigint as cost_nusd, sum(billed_nusd)::bigint as billed_nusd, sum(final_nusd)::bigint as final_nusd,
       sum(unpriced)::bigint as unpriced, sum(unattributed)::bigint as unattributed,
       sum(input_tokens)::bigint as input_tokens, sum(cache_read_tokens)::bigint as cache_read_tokens,
       sum(cache_write_tokens)::bigint as cache_write_tokens, sum(output_tokens)::bigint as output_tokens,
       sum(reasoning_tokens)::bigint as reasoning_tokens, max(last_at) as last_at

-- name: tail
-- The rows of a range that no sum has yet: a look into the index for each writer. Planned as a join, it would read every row of
-- the range, hence `offset 0`; the upper bound has the planner expect few.
(select l.*
   from (select w.writer_no, coalesce(c.wseq, 0) as wseq
           from vis.writers w left join vis.rollup_cursor c using (writer_no) offset 0) c
  cross join lateral (
    select * from vis.request_logs
     where writer_no = c.writer_no and wseq > c.wseq and wseq < c.wseq + 1000000000000
       and org_id = %(org_id)s and created_at >= %(start)s and created_at < %(end)s offset 0) l)

-- name: read
-- Sums by some dimensions over whole UTC days, some of them by day, the dearest first. Behind the first `top` of a dimension and
-- currency one line sums up the rest, but not of days; a key that everything was booked away from is no line.
with known as (
  select dim, day, key, key2, currency, calls, asked, refused, failed, cost_nusd, billed_nusd, final_nusd, unpriced, unattributed,
         input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, last_at
    from vis.spend_day
   where org_id = %(org_id)s and dim = any(%(dims)s) and day >= %(since)s and day < %(until)s and (source = 'sandbox') = %(simulated)s
  union all
  select dim, day, key, key2, currency, calls, asked, refused, failed, cost_nusd, billed_nusd, final_nusd, unpriced, unattributed,
         input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, last_at
    from ({counted}) tail where dim = any(%(dims)s) and (source = 'sandbox') = %(simulated)s),
summed as (
  select dim, case when dim = any(%(by_day)s::text[]) then day end as day, key, key2, currency, {measures}
    from known
   where (%(keys)s::text[] is null or key = any(%(keys)s::text[])) and (%(keys2)s::text[] is null or key2 = any(%(keys2)s::text[]))
   group by 1, 2, 3, 4, 5),
placed as (
  select *, day is null and coalesce(row_number() over (partition by dim, currency order by cost_nusd desc, calls desc, key, key2) > %(top)s::int, false) as is_rest
    from summed
   where (calls, asked, refused, failed, cost_nusd, billed_nusd, final_nusd, unpriced, unattributed, input_tokens, cache_read_tokens,
          cache_write_tokens, output_tokens, reasoning_tokens) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))
select dim, day, case when not is_rest then key end as key, case when not is_rest then key2 end as key2, currency, count(*) as members, {measures}
  from placed group by 1, 2, 3, 4, 5, is_rest
 order by day, is_rest, sum(cost_nusd) desc, sum(calls) desc, 3, 4, currency;
