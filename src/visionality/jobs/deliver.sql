-- Alerts on their way, for psycopg. Run as vis_jobs.

-- name: due
-- Those to send now, each locked by whoever sends it.
select d.org_id, d.alert_id, d.channel_id, d.attempts, c.kind, c.target, a.created_at, a.kind as alert_kind, a.scope, a.title, a.body, a.detail
  from vis.alert_deliveries d
  join vis.alerts a on a.org_id = d.org_id and a.alert_id = d.alert_id
  join vis.alert_channels_v1 c on c.org_id = d.org_id and c.channel_id = d.channel_id
 where d.delivered_at is null and d.given_up_at is null and d.due_at <= %(now)s
 order by d.due_at limit 1 for update of d skip locked;

-- name: delivered
update vis.alert_deliveries set delivered_at = %(now)s, attempts = attempts + 1, last_error = null
 where org_id = %(org_id)s and alert_id = %(alert_id)s and channel_id = %(channel_id)s;

-- name: failed
update vis.alert_deliveries set attempts = attempts + 1, last_error = %(error)s, due_at = %(due_at)s, given_up_at = %(given_up_at)s
 where org_id = %(org_id)s and alert_id = %(alert_id)s and channel_id = %(channel_id)s;
