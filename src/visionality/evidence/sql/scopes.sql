-- Scopes: their numbering, and the segments that close it, for psycopg as vis_sealer.

-- name: open
-- The open segments of these scopes.
select o.org_id, o.project_id, o.segment_no, o.first_seq, o.last_seq, o.opened_at, o.first_at, o.last_at, o.totals, o.frontier, o.prev
  from unnest(%(orgs)s::uuid[], %(projects)s::text[]) w(org_id, project_id)
  join vis.scope_open o on o.org_id = w.org_id and o.project_id = w.project_id;

-- name: over
-- Open segments whose first row was sealed before the day of their organisation began.
select o.org_id, o.project_id from unnest(%(orgs)s::uuid[], %(days)s::timestamptz[]) d(org_id, began)
  join vis.scope_open o on o.org_id = d.org_id and o.opened_at < d.began
 order by 1, 2;

-- name: zones
select org_id, time_zone from vis.orgs_v1;

-- name: requests
-- What was asked to be closed, taken off the list.
delete from vis.segment_requests returning org_id, projects, asked_at;

-- name: keep
insert into vis.scope_open (org_id, project_id, segment_no, first_seq, last_seq, opened_at, first_at, last_at, totals, frontier, prev)
select org_id, project_id, segment_no, first_seq, last_seq, opened_at, first_at, last_at, totals::jsonb, frontier, prev
  from unnest(%(org_id)s::uuid[], %(project_id)s::text[], %(segment_no)s::bigint[], %(first_seq)s::bigint[], %(last_seq)s::bigint[],
              %(opened_at)s::timestamptz[], %(first_at)s::timestamptz[], %(last_at)s::timestamptz[], %(totals)s::text[],
              %(frontier)s::bytea[], %(prev)s::bytea[])
       s(org_id, project_id, segment_no, first_seq, last_seq, opened_at, first_at, last_at, totals, frontier, prev)
on conflict (org_id, project_id) do update set
  segment_no = excluded.segment_no, first_seq = excluded.first_seq, last_seq = excluded.last_seq, opened_at = excluded.opened_at,
  first_at = excluded.first_at, last_at = excluded.last_at, totals = excluded.totals, frontier = excluded.frontier, prev = excluded.prev;

-- name: run
insert into vis.scope_runs (org_id, project_id, first_seq, last_seq, segment_no, seal_no, first_at, last_at, row_ids)
values (%(org_id)s, %(project_id)s, %(first_seq)s, %(last_seq)s, %(segment_no)s, %(seal_no)s, %(first_at)s, %(last_at)s, %(row_ids)s);

-- name: segment
insert into vis.scope_segments (org_id, project_id, segment_no, id, leaf_index, closed_at, first_seq, last_seq, first_at, last_at,
                                header, leaf_hash)
values (%(org_id)s, %(project_id)s, %(segment_no)s, %(id)s, %(leaf_index)s, %(closed_at)s, %(first_seq)s, %(last_seq)s, %(first_at)s,
        %(last_at)s, %(header)s, %(leaf_hash)s);
