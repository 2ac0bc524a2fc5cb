-- Heads on their way out of the house, for psycopg. Run as vis_jobs; `places` as any role that reads one organisation.

-- name: organisations
select o.org_id, o.slug, o.time_zone, i.installation_id from vis.orgs_v1 o cross join vis.installation i order by o.org_id;

-- name: kept
insert into vis.head_places (org_id, place, log, size, kept_at) values (%(org_id)s, %(place)s, %(log)s, %(size)s, %(now)s)
on conflict (org_id, place, log) do update
   set size = excluded.size, kept_at = excluded.kept_at, error = null, failed_since = null, contradicts = false;

-- name: agrees
-- What failed there for a while does so no longer.
update vis.head_places set error = null, failed_since = null, contradicts = false
 where org_id = %(org_id)s and place = %(place)s and log = %(log)s and error is not null;

-- name: not_kept
-- Since when it has failed, and whether it has failed before.
insert into vis.head_places as p (org_id, place, log, error, failed_since, contradicts)
values (%(org_id)s, %(place)s, %(log)s, %(error)s, %(now)s, %(contradicts)s)
on conflict (org_id, place, log) do update
   set error = excluded.error, contradicts = excluded.contradicts,
       failed_since = case when p.contradicts = excluded.contradicts then coalesce(p.failed_since, excluded.failed_since)
                           else excluded.failed_since end
returning failed_since;

-- name: places
select place, log, size, kept_at, error, failed_since, contradicts from vis.head_places
 where org_id = %(org_id)s order by place, log;

-- name: mailed
-- The last day of which a digest left.
select max(kept_at) from vis.head_places where org_id = %(org_id)s and place = %(place)s;
