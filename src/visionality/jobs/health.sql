-- For psycopg, as vis_jobs.

-- name: spend_by_level
-- Nano-USD by the level that found the project, of all organisations; through the primary key of each, so that no older
-- row is read. Simulated money is no spend.
select coalesce(r.attribution_level, 0) as level, sum(r.cost_nusd)::numeric as cost_nusd
  from vis.org_revisions o
  cross join lateral (
    select attribution_level, sum(cost_nusd) as cost_nusd from vis.request_logs
     where org_id = o.org_id and created_at >= %(since)s and provider <> 'sandbox' and currency = 'USD'
     group by 1) r
 group by 1;

-- name: gauges
select (select count(*) from vis.budget_holds where draft is not null),
       (select coalesce(extract(epoch from max(%(now)s::timestamptz - expires_at)), 0)::bigint from vis.budget_holds
         where expires_at < %(now)s),
       (select count(*) from vis.writers where fenced_at is null and heartbeat_at > now() - interval '30 seconds'),
       (select coalesce(extract(epoch from max(%(now)s::timestamptz - stepped_at)), 0)::bigint from vis.seal_lease);

-- name: connectors
-- Seconds since the last success (since it was made, when there was none), and what is held, by kind.
select o.slug, c.name, extract(epoch from %(now)s::timestamptz - coalesce(r.succeeded_at, c.made_at))::bigint, r.held
  from vis_control.connector c
  join vis_control.connector_run r on r.connector_id = c.id
  join vis.orgs_v1 o on o.org_id = c.org_id
 where c.enabled order by 1, 2;
