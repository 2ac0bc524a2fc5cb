-- The append-only check, again and again, for psycopg. Run as vis_jobs.

-- name: keep
-- The last result. It stands since an earlier moment where that found the very same.
insert into vis.privilege_check as c (checked_at, since, findings) values (%(now)s, %(now)s, %(findings)s)
on conflict (one) do update
   set checked_at = excluded.checked_at, findings = excluded.findings,
       since = case when c.findings = excluded.findings then c.since else excluded.since end
returning since;

-- name: organisations
select org_id from vis.orgs_v1 order by org_id;
