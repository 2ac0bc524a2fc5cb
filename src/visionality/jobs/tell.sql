-- Telling an operator, for psycopg. Run as vis_jobs.

-- name: tell
-- Once: what has been told gives no row.
insert into vis.alerts (org_id, alert_id, created_at, kind, subject_id, mark, scope, title, body, detail)
values (%(org_id)s, %(alert_id)s, %(now)s, %(kind)s, %(subject_id)s, %(mark)s, %(scope)s, %(title)s, %(body)s, %(detail)s::jsonb)
on conflict (org_id, kind, subject_id, mark) do nothing
returning alert_id;

-- name: address
-- A new alert is due at every channel of its organisation.
insert into vis.alert_deliveries (org_id, alert_id, channel_id, due_at)
select org_id, %(alert_id)s, channel_id, %(now)s from vis.alert_channels_v1 where org_id = %(org_id)s;
