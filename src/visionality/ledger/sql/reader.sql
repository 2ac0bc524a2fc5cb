-- Rows and totals for people, for psycopg. Run as vis_reader inside a transaction that has set vis.org_id, so that
-- row security lets one organisation's rows through. Braces take the filter, whose values are literals that psycopg has quoted.

-- name: newest
-- The newest rows first.
select * from vis.request_logs
 where {filter} and (created_at, id) < (%(before)s::timestamptz, %(before_id)s::uuid)
 order by created_at desc, id desc
 limit %(limit)s;

-- name: days
-- The UTC days of which the sums know rows by what a filter asks for, or of which rows are in no sum yet; the last day first.
({summed}) union select (created_at at time zone 'UTC')::date from {tail} tail order by day desc;

-- name: summed
-- The UTC days of which the sums know rows with a value, which is an empty key where they name nothing.
select day from vis.spend_day where org_id = {org_id} and dim = {dim} and key = {key}

-- name: above
-- The rows that follow a row in time, the oldest first.
select * from vis.request_logs
 where {filter} and (created_at, id) > (%(after)s::timestamptz, %(after_id)s::uuid)
 order by created_at, id
 limit %(limit)s;

-- name: after
-- What each writer has written since it was last looked at: exact, whatever the clocks of the writers say.
select r.* from vis.request_logs r
  left join unnest(%(writers)s::int[], %(seen)s::bigint[]) c(writer_no, wseq) on c.writer_no = r.writer_no
 where {filter}
   and r.created_at > %(since)s
   and r.wseq > coalesce(c.wseq, 0)
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

-- name: totals
-- What the rows of a range add up to, with how sure that is. Amounts in nano-USD, of rows in US dollars; simulated money is
-- apart. A row that was corrected counts where it was booked again, and no longer where it was. What is served is as in sums.sql.
select coalesce(sum(weight) filter (where is_call), 0)::bigint as calls,
       coalesce(sum(weight) filter (where is_call and is_real and (decision = 'allowed' or cost_nusd <> 0)
                                      and (task_class is distinct from 'catalogue' or cost_nusd <> 0)), 0)::bigint as served,
       coalesce(sum(cost_nusd) filter (where is_real), 0)::bigint as cost_nusd,
       coalesce(sum(cost_nusd) filter (where is_real and usage_source = 'provider_final'), 0)::bigint as final_nusd,
       coalesce(sum(weight) filter (where price_state = 'unknown'), 0)::bigint as unpriced,
       coalesce(sum(weight) filter (where project_id is null), 0)::bigint as unattributed,
       coalesce(sum(cost_nusd) filter (where provider = 'sandbox' and currency = 'USD'), 0)::bigint as sandbox_nusd,
       coalesce(array_agg(distinct currency) filter (where currency <> 'USD'), '{{}}') as others
  from vis.request_logs
 cross join lateral (select case when entry not in ('correction', 'true_up') or tags ->> 'correction' = 'rebooking' then 1
                                 when tags ->> 'correction' = 'reversal' then -1 else 0 end as weight,
                            entry = 'call' or entry = 'correction' and tags ->> 'entry' = 'call' as is_call,
                            provider <> 'sandbox' and currency = 'USD' as is_real) counted
 where {filter};
