-- Rows and totals for people, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id, so that
-- row security lets one organisation's rows through.

-- name: newest
-- The newest rows first; every filter that is null lets everything through.
select * from vis.request_logs
 where org_id = %(org_id)s
   and (%(project_id)s::text is null or project_id = %(project_id)s)
   and (%(agent_sub)s::text is null or agent_sub = %(agent_sub)s)
   and (not %(original)s or entry <> 'correction')
   and (%(before)s::timestamptz is null or (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid))
 order by created_at desc, id desc
 limit %(limit)s;

-- name: after
-- What each writer has written since it was last looked at: exact, whatever the clocks of the writers say.
select r.* from vis.request_logs r
  left join unnest(%(writers)s::int[], %(seen)s::bigint[]) c(writer_no, wseq) on c.writer_no = r.writer_no
 where r.org_id = %(org_id)s
   and r.created_at > %(since)s
   and r.wseq > coalesce(c.wseq, 0)
   and (%(project_id)s::text is null or project_id = %(project_id)s)
   and (%(agent_sub)s::text is null or agent_sub = %(agent_sub)s)
   and (not %(original)s or r.entry <> 'correction')
 order by r.created_at, r.id
 limit 1000;

-- name: heads
-- The last number of each writer.
select writer_no, max(wseq) as wseq from vis.request_logs
 where org_id = %(org_id)s and created_at > %(since)s group by writer_no;

-- name: one
-- A row by its id, or all rows of a call by its request id. Both ids hold the moment when they were made, which
-- bounds the rows that are looked at.
select * from vis.request_logs
 where org_id = %(org_id)s and (id = %(id)s or request_id = %(id)s)
   and created_at >= %(since)s and created_at < %(until)s
 order by created_at, id;

-- name: corrections
-- What was appended to correct these rows, in order.
select * from vis.request_logs
 where org_id = %(org_id)s and corrects = any(%(ids)s::uuid[]) and entry = 'correction'
 order by corrects, created_at, writer_no, wseq;

-- name: projects
select distinct project_id from vis.request_logs
 where org_id = %(org_id)s and created_at >= %(since)s and project_id is not null order by 1;

-- name: agents
select distinct agent_sub from vis.request_logs
 where org_id = %(org_id)s and created_at >= %(since)s and agent_sub is not null order by 1;

-- name: totals
-- What the rows of a range add up to, with how sure that is. Amounts in nano-USD; simulated money is apart. A row that was
-- corrected counts where it was booked again, and no longer where it was.
select coalesce(sum(weight) filter (where entry = 'call' or tags ->> 'entry' = 'call'), 0)::bigint as calls,
       coalesce(sum(cost_nusd) filter (where provider <> 'sandbox'), 0)::bigint as cost_nusd,
       coalesce(sum(cost_nusd) filter (where provider <> 'sandbox' and usage_source = 'provider_final'), 0)::bigint
         as final_nusd,
       coalesce(sum(weight) filter (where price_state = 'unknown'), 0)::bigint as unpriced,
       coalesce(sum(weight) filter (where project_id is null), 0)::bigint as unattributed,
       coalesce(sum(cost_nusd) filter (where provider = 'sandbox'), 0)::bigint as sandbox_nusd
  from vis.request_logs
 cross join lateral (select case when entry not in ('correction', 'true_up') or tags ->> 'correction' = 'rebooking' then 1
                                 when tags ->> 'correction' = 'reversal' then -1 else 0 end as weight) counted
 where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(end)s
   and (not %(original)s or entry <> 'correction')
   and (%(project_id)s::text is null or project_id = %(project_id)s)
   and (%(agent_sub)s::text is null or agent_sub = %(agent_sub)s);
