-- What the splits between cost centers move, for psycopg: how it is kept, read and checked. Braces take a fragment of this file or
-- of sums.sql. The roller is vis_sealer, readers are vis_reader in a transaction that has set vis.org_id.

-- name: every
-- Every split of every organisation; of two from the same moment the one that was added later is last.
select s.org_id, s.split_id, s.scope_kind, s.scope_value, s.parts, s.effective_from, k.split_id is not null as is_known
  from vis.all_splits_v1 s left join vis.moved_by k using (org_id, split_id)
 order by s.org_id, s.effective_from, s.split_id;

-- name: own
select s.org_id, s.split_id, s.scope_kind, s.scope_value, s.parts, s.effective_from, k.split_id is not null as is_known
  from vis.splits_v1 s left join vis.moved_by k using (org_id, split_id)
 where s.org_id = %(org_id)s order by s.effective_from, s.split_id;

-- name: in_scope
-- Served rows of scopes that some split is about, those that are divided alike as one line with the amounts of each. `change` counts
-- the changes of its organisation's rules up to a row. A correction is of the moment of the row that it corrects, so that it takes
-- back what was split then. `billed` is nothing where every row is billed as it cost.
select org_id, day, currency, cost_center, gl_code, project_id, team_id, customer_id, change,
       array_agg(cost_nusd) as costs, case when bool_or(billed_nusd <> cost_nusd) then array_agg(billed_nusd) end as billed
  from (select r.org_id, (r.created_at at time zone 'UTC')::date as day, r.currency,
               coalesce(r.cost_center, '') as cost_center, coalesce(r.gl_code, '') as gl_code, coalesce(r.project_id, '') as project_id,
               coalesce(r.team_id, '') as team_id, coalesce(r.customer_id, '') as customer_id,
               (select count(*) from unnest(%(changing)s::uuid[], %(changes)s::timestamptz[]) c(org_id, at)
                 where c.org_id = r.org_id
                   and c.at <= coalesce(case when r.entry = 'correction' then (r.tags ->> 'of')::timestamptz end, r.created_at)) as change,
               r.cost_nusd, r.billed_nusd
          from {rows} r
         where r.provider <> 'sandbox' and {is_served}
           and exists (select from unnest(%(orgs)s::uuid[], %(kinds)s::text[], %(values)s::text[]) s(org_id, kind, value)
                        where s.org_id = r.org_id
                          and s.value = case s.kind when 'project' then r.project_id when 'team' then r.team_id else r.customer_id end)) r
 group by 1, 2, 3, 4, 5, 6, 7, 8, 9

-- name: range
(select * from vis.request_logs where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(end)s)

-- name: rolled_since
-- The rows of an organisation from a moment on that are in the sums.
(select l.* from vis.request_logs l join vis.rollup_cursor c on c.writer_no = l.writer_no and l.wseq <= c.wseq
  where l.org_id = %(org_id)s and l.created_at >= %(start)s)

-- name: add
insert into vis.moved_day as d (org_id, day, digest, currency, cost_center, gl_code, cost_nusd, billed_nusd, rows)
select org_id, day, sha256(convert_to(json_build_array(cost_center, gl_code)::text, 'UTF8')), currency, cost_center, gl_code,
       cost_nusd, billed_nusd, rows
  from unnest(%(orgs)s::uuid[], %(days)s::date[], %(cost_centers)s::text[], %(gl_codes)s::text[], %(currencies)s::text[],
              %(costs)s::bigint[], %(billed)s::bigint[], %(rows)s::bigint[])
         m(org_id, day, cost_center, gl_code, currency, cost_nusd, billed_nusd, rows)
on conflict (org_id, day, digest, currency) do update set
  cost_nusd = d.cost_nusd + excluded.cost_nusd, billed_nusd = d.billed_nusd + excluded.billed_nusd, rows = d.rows + excluded.rows;

-- name: forget_since
delete from vis.moved_day where org_id = %(org_id)s and day >= %(since)s;

-- name: known
insert into vis.moved_by (org_id, split_id) select %(org_id)s, unnest(%(splits)s::uuid[]);

-- name: moved
select cost_center, gl_code, currency, sum(cost_nusd)::bigint as cost_nusd, sum(billed_nusd)::bigint as billed_nusd, sum(rows)::bigint as rows
  from vis.moved_day where org_id = %(org_id)s and day >= %(since)s and day < %(until)s group by 1, 2, 3;

-- name: of_day
select org_id, day, cost_center, gl_code, currency, cost_nusd, billed_nusd, rows from vis.moved_day where day = %(day)s;
