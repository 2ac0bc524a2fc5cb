-- What an operator has to settle, for psycopg. Run as vis_web under row security.

-- name: matters
select (select name from vis_control.organisation where id = %(org_id)s) as organisation,
       (select count(*) from vis_control.virtual_key k
          join vis_control.organisation o on o.id = k.org_id
          join vis_control.agent_identity a on a.id = k.agent_id
          left join vis_control.person p on p.id = a.person_id
         where k.org_id = %(org_id)s and k.revoked_at is null and k.expires_at > %(now)s and k.expires_at <= %(keys_until)s
           and k.org_epoch >= o.epoch and (p.id is null or k.person_epoch >= p.epoch)) as keys_ending,
       (select active_from from vis_control.signing_key
         where org_id = %(org_id)s and active_until is null and revoked_at is null) as signing_since,
       (select array_agg(provider order by provider) from vis_control.provider_credential
         where org_id = %(org_id)s and retired_at is null) as providers,
       (select array_agg(c.name order by c.name) from vis_control.connector c
          join vis_control.connector_run r on r.connector_id = c.id
         where c.org_id = %(org_id)s and c.enabled and r.failures > 0) as connectors_failing,
       (select array_agg(name order by name) from vis_control.connector
         where org_id = %(org_id)s and enabled and secret_expires_at <= %(credentials_until)s) as credentials_ending,
       (select count(*) from vis_control.connector where org_id = %(org_id)s and enabled) as connectors,
       (select count(*) from vis_control.floor_request where org_id = %(org_id)s and approved is null) as floors_waiting,
       (select count(*) from vis.alerts where org_id = %(org_id)s and acknowledged_at is null) as alerts;
