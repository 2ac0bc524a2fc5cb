-- For psycopg, as vis_jobs.

-- name: gauges
select (select count(*) from vis.budget_holds where draft is not null),
       (select coalesce(extract(epoch from max(%(now)s::timestamptz - expires_at)), 0)::bigint from vis.budget_holds
         where expires_at < %(now)s),
       (select count(*) from vis.writers where fenced_at is null and heartbeat_at > now() - interval '30 seconds');

-- name: connectors
-- Seconds since the last success (since it was made, when there was none), and what is held, by kind.
select o.slug, c.name, extract(epoch from %(now)s::timestamptz - coalesce(r.succeeded_at, c.made_at))::bigint, r.held
  from vis_control.connector c
  join vis_control.connector_run r on r.connector_id = c.id
  join vis.orgs_v1 o on o.org_id = c.org_id
 where c.enabled order by 1, 2;
