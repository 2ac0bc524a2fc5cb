-- For psycopg, as vis_jobs.

-- name: gauges
select (select count(*) from vis.budget_holds where draft is not null),
       (select coalesce(extract(epoch from max(%(now)s::timestamptz - expires_at)), 0)::bigint from vis.budget_holds
         where expires_at < %(now)s),
       (select count(*) from vis.writers where fenced_at is null and heartbeat_at > now() - interval '30 seconds');
