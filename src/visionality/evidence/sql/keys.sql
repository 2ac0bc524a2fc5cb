-- Keys that sign evidence, for psycopg. Run as a role that may see them: each process sees the secrets of its role only.

-- name: active
-- The key of a role that signs now, and its private half where whoever asks may have it.
select k.org_id, k.key_id, k.role, k.public, k.active_from, k.verify_until, k.revoked_at, s.sealed
  from vis.evidence_keys k
  left join vis.evidence_key_secrets s on s.org_id = k.org_id and s.key_id = k.key_id
 where k.org_id = %(org_id)s and k.role = %(role)s and k.verify_until is null and k.revoked_at is null;

-- name: all
-- Every key of an organisation, the oldest first.
select org_id, key_id, role, public, active_from, verify_until, revoked_at from vis.evidence_keys
 where org_id = %(org_id)s order by active_from, role, key_id;

-- name: make
insert into vis.evidence_keys (org_id, key_id, role, public, active_from)
values (%(org_id)s, %(key_id)s, %(role)s, %(public)s, %(now)s);

-- name: keep
insert into vis.evidence_key_secrets (org_id, key_id, role, sealed) values (%(org_id)s, %(key_id)s, %(role)s, %(sealed)s);

-- name: missing
-- Roles of organisations in which nobody signs.
select o.org_id, r.role
  from vis.orgs_v1 o cross join unnest(array['log','pack','receipt']) r(role)
 where not exists (select from vis.evidence_keys k
                    where k.org_id = o.org_id and k.role = r.role and k.verify_until is null and k.revoked_at is null)
 order by 1, 2;

-- name: ask
insert into vis.evidence_key_orders (org_id, order_id, role, act, key_id, asked_at)
values (%(org_id)s, %(order_id)s, %(role)s, %(act)s, %(key_id)s, %(now)s);

-- name: orders
-- What was asked for, taken off the list, in the order in which it was asked.
with taken as (delete from vis.evidence_key_orders returning org_id, role, act, key_id, asked_at, order_id)
select org_id, role, act, key_id from taken order by asked_at, order_id;

-- name: retire
-- What the key that signs has signed until now is believed for ever, and for a minute longer: whoever looked it up a moment ago
-- signs with it yet.
update vis.evidence_keys set verify_until = %(now)s + interval '1 minute'
 where org_id = %(org_id)s and role = %(role)s and verify_until is null and revoked_at is null;

-- name: revoke
update vis.evidence_keys set revoked_at = %(now)s
 where org_id = %(org_id)s and role = %(role)s and key_id = %(key_id)s and revoked_at is null;

-- name: whose
-- What a list of keys says of those whose they are.
select i.installation_id, o.slug, o.name from vis.installation i cross join vis.own_org_v1 o where o.org_id = %(org_id)s;
