-- The inbox, for psycopg. Run as vis_web.

-- name: alerts
select alert_id, created_at, kind, scope, title, body, acknowledged_at, acknowledged_by,
       (select count(*) from vis.alert_deliveries d where d.org_id = a.org_id and d.alert_id = a.alert_id and d.delivered_at is not null) as delivered
  from vis.alerts a
 where a.org_id = %(org_id)s and (%(everything)s or a.acknowledged_at is null)
 order by a.created_at desc, a.alert_id desc limit 1000;

-- name: warnings
select alert_id, created_at, kind, scope, title, body, detail::text as detail
  from vis.alerts where org_id = %(org_id)s and acknowledged_at is null
 order by created_at desc, alert_id desc limit %(most)s;

-- name: acknowledge
update vis.alerts set acknowledged_at = %(now)s, acknowledged_by = %(actor)s
 where org_id = %(org_id)s and alert_id = %(alert_id)s and acknowledged_at is null;
