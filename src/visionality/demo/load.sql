-- Loading the demo. `alone`, `organisation` and `said` for psycopg, run as vis_web; `weighed` as vis_owner; `after` and `stands` for asyncpg, run as vis_writer.

-- name: alone
-- One load at a time, until its connection ends.
select pg_try_advisory_lock(hashtextextended('visionality demo', 0));

-- name: organisation
select org_id from vis.orgs_v1 where slug = %(slug)s;

-- name: said
select kind, detail from vis.admin_events where org_id = %(org_id)s and kind in (%(begun)s, %(loaded)s);

-- name: after
-- A load that was cut off may have left this very batch on its way.
select pg_advisory_xact_lock(hashtextextended('visionality demo ' || $1, 0));

-- name: stands
select exists (select from vis.request_logs where org_id = $1 and created_at = $2 and id = $3);

-- name: weighed
-- Else the planner would know nothing of so many rows until autovacuum came by, and every page be slow till then.
vacuum (analyze) vis.request_logs, vis.spend_day, vis.work_day, vis.moved_day;
