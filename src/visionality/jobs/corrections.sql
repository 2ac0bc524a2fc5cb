-- Corrections carried out, for asyncpg. Run as vis_writer.

-- name: open
-- Orders that wait, in the order in which they were given, whose ids are not of before a moment: those that were carried out
-- only ever get more.
select o.org_id, o.correction_id from vis.correction_orders_v1 o
 where o.correction_id >= $1
   and not exists (select from vis.correction_done d where d.org_id = o.org_id and d.correction_id = o.correction_id)
 order by o.made_at, o.correction_id limit 100;

-- name: order
select * from vis.correction_orders_v1 where org_id = $1 and correction_id = $2;

-- name: lead
-- Whether nobody else appends corrections now, for as long as this transaction lasts.
select pg_try_advisory_xact_lock(hashtextextended('visionality corrections', 0));

-- name: rows
-- Of these rows the ones that this order has not moved yet, with what their own project brings along.
select r.*, j.gl_code as project_gl_code, j.business_unit as project_business_unit
  from unnest($2::uuid[], $3::timestamptz[]) with ordinality w(id, created_at, place)
  join vis.request_logs r on r.org_id = $1 and r.created_at = w.created_at and r.id = w.id
                         and r.entry in ('call', 'attempt', 'import')
  left join vis.projects_v1 j on j.org_id = r.org_id and j.project_id = r.project_id
 where not exists (select from vis.request_logs c
                    where c.org_id = $1 and c.corrects = r.id and c.entry = 'correction' and c.tags ->> 'correction_id' = $4)
 order by w.place;

-- name: followed
-- What the true-ups, or the corrections, of each row add up to.
select corrects, currency, sum(input_tokens)::bigint as input_tokens, sum(cache_read_tokens)::bigint as cache_read_tokens,
       sum(cache_write_tokens)::bigint as cache_write_tokens, sum(output_tokens)::bigint as output_tokens,
       sum(reasoning_tokens)::bigint as reasoning_tokens, sum(cost_nusd)::bigint as cost_nusd,
       sum(billed_nusd)::bigint as billed_nusd
  from vis.request_logs where org_id = $1 and corrects = any($2::uuid[]) and entry = $3 group by 1, 2;

-- name: markups
select markup_id, scope_kind, scope_value, multiplier, effective_from
  from vis.markups_v1 where org_id = $1 order by effective_from, markup_id;

-- name: booked
-- The last re-booking of each row.
select distinct on (corrects) * from vis.request_logs
 where org_id = $1 and corrects = any($2::uuid[]) and entry = 'correction' and tags ->> 'correction' = 'rebooking'
 order by corrects, created_at desc, id desc;

-- name: done
-- How many rows an order moved and what they add up to, from the rows themselves.
insert into vis.correction_done (org_id, correction_id, done_at, rows, missing, moved)
select $1, $2, $3, coalesce(sum(by_currency.rows), 0), $4 - coalesce(sum(by_currency.rows), 0),
       coalesce(jsonb_object_agg(currency, jsonb_build_object('rows', by_currency.rows::text, 'reversed_nusd', reversed::text,
                                                              'rebooked_nusd', rebooked::text)), '{}')
  from (select c.currency, count(*) filter (where c.tags ->> 'correction' = 'rebooking') as rows,
               coalesce(sum(c.cost_nusd) filter (where c.tags ->> 'correction' <> 'rebooking'), 0)::bigint as reversed,
               coalesce(sum(c.cost_nusd) filter (where c.tags ->> 'correction' = 'rebooking'), 0)::bigint as rebooked
          from vis.request_logs c
         where c.org_id = $1 and c.corrects = any($5::uuid[]) and c.entry = 'correction' and c.tags ->> 'correction_id' = $6
         group by 1) by_currency
on conflict do nothing;
