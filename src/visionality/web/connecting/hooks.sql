-- Webhooks of connectors, for psycopg. Run as vis_web.

-- name: connector
select org_id, kind from vis.hooks_v1 where connector_id = %(connector_id)s;

-- name: secret
select s.sealed, k.id, k.generation, k.wrapped
  from vis_control.connector_secret s
  join vis_control.organisation_key k on k.id = s.organisation_key_id
 where s.connector_id = %(connector_id)s and s.purpose = 'webhook'
 order by s.made_at desc, s.id desc limit 1;

-- name: poke
-- Many that come before a run begins are one.
update vis_control.connector_run set poked_at = %(now)s where connector_id = %(connector_id)s and poked_at is null;
