-- What checks found, kept for the pages, for psycopg. `keep` runs as vis_jobs, the rest as whoever reads one organisation.

-- name: keep
-- A whole check takes the place of one before it on that day; samples of a day are one line.
insert into vis.verifications as v (org_id, extent, day, started_at, ended_at, rows, waiting, findings)
values (%(org_id)s, %(extent)s, %(day)s, %(started_at)s, %(ended_at)s, %(rows)s, %(waiting)s, %(findings)s::jsonb)
on conflict (org_id, extent, day) do update
   set ended_at = excluded.ended_at, waiting = excluded.waiting,
       started_at = case when v.extent = 'full' then excluded.started_at else v.started_at end,
       rows = case when v.extent = 'full' then excluded.rows else v.rows + excluded.rows end,
       findings = case when v.extent = 'full' or excluded.findings <> '[]' then excluded.findings else v.findings end;

-- name: standing
-- One row of all that the jobs found when they last looked: whether history can be changed; the last whole check and the last day's
-- samples; places whose heads contradict the ledger, and how many have not got the newest.
select p.checked_at, p.since, p.findings, f.started_at, f.ended_at, f.rows, f.findings::text, s.ended_at, s.findings::text,
       array(select place || ': ' || error from vis.head_places where org_id = %(org_id)s and contradicts order by place, log),
       (select count(distinct place) from vis.head_places where org_id = %(org_id)s and error is not null)
  from (values (1)) one
  left join vis.privilege_check p on true
  left join lateral (select * from vis.verifications where org_id = %(org_id)s and extent = 'full' order by day desc limit 1) f on true
  left join lateral (select * from vis.verifications where org_id = %(org_id)s and extent = 'sample' order by day desc limit 1) s on true;

-- name: nights
-- The day of each organisation's last whole check, if it ever had one.
select o.org_id, o.slug, o.time_zone, (select max(day) from vis.verifications v where v.org_id = o.org_id and v.extent = 'full') as day
  from vis.orgs_v1 o order by o.org_id;
