-- What the six controls are judged by: views for whoever reads one organisation, and the inbox of alerts for them too.
--
-- Why: a control is judged over the whole population of keys, members, destinations and decisions (S3), and whoever judges reads
-- as vis_reader and may write nothing. Those tables are the control plane's, so views say what may be seen of them: that a key is
-- sealed and never its bytes, that a member has a second factor and never which secret, no mail address and no name. Each view
-- shows the organisation of `vis.org_id` and no other's. What it locks: `membership` and `sign_on`, which get a policy, and
-- `alerts`, for a moment. Old code: never looks here.

create policy views_read on vis_control.membership for select to vis_owner using (true);
create policy views_read on vis_control.sign_on for select to vis_owner using (true);

-- A time as the rows of a control have it: docs/audit/formats.md.
create function vis.rfc3339(moment timestamptz) returns text language sql stable set search_path = pg_catalog as
$$ select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;

-- Keys with what they are bound to as it is now. `is_capped`: a hard budget of the key, or of what it is bound to, or of all.
create view vis.access_keys_v1 with (security_barrier = true) as
select k.org_id, k.id as key_id, a.sub as agent_sub, a.person_id, a.person_id is not null as has_person,
       k.level, greatest(o.level_floor, coalesce(j.level_floor, 0)) as floor, k.issued_at, k.rotated_at, k.expires_at, k.revoked_at,
       k.org_epoch, k.person_epoch, o.epoch as org_epoch_now, coalesce(p.epoch, 1) as person_epoch_now,
       exists (select from (values ('organisation', ''), ('key', k.id::text), ('agent', a.sub), ('person', p.sso_sub), ('project', j.key),
                                   ('customer', c.key), ('team', t.key)) s(kind, value)
                 join vis_control.budget b on b.org_id = k.org_id and b.scope_kind = s.kind and b.scope_value in (s.value, '*')
                where s.value is not null and b.hard and b.retired_at is null) as is_capped
  from vis_control.virtual_key k
  join vis_control.organisation o on o.id = k.org_id
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = a.team_id and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer c on c.id = coalesce(k.customer_id, j.customer_id) and c.org_id = k.org_id
 where k.org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- Members, those that left too. A second factor is a passkey or an authenticator app; recovery codes are none by themselves.
create view vis.access_members_v1 with (security_barrier = true) as
select m.org_id, m.id as member_id, m.roles, m.state, m.joined_at, m.sso_sub <> '' as has_subject,
       exists (select from vis_control.mfa_authenticator f where f.user_id = m.user_id and f.type in ('totp', 'webauthn')) as has_second_factor
  from vis_control.membership m
 where m.org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- What is kept under a key or proves somebody, by kind; `made_at` is when it was made or replaced last.
create view vis.kept_secrets_v1 with (security_barrier = true) as
select * from (
  select org_id, 'organisation key' as kind, id as secret_id, created_at as made_at, null::timestamptz as ends_at,
         null::timestamptz as revoked_at, octet_length(wrapped) > 0 as is_sealed
    from vis_control.organisation_key
  union all
  select org_id, 'signing key', id, made_at, active_until, revoked_at, octet_length(sealed) > 0 from vis_control.signing_key
  union all
  select org_id, 'binding key', id, made_at, retires_at, revoked_at, octet_length(sealed) > 0 from vis_control.binding_key
  union all
  select org_id, 'service token', id, issued_at, expires_at, revoked_at, octet_length(token_hmac) = 32
    from vis_control.service_token
  union all
  select org_id, 'provider key', id, created_at, retired_at, null, octet_length(sealed) > 0 from vis_control.provider_credential
) s where org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- Where the product may send anything for an organisation: the host and whether the way there is encrypted. The rest of an
-- address may be a secret, as that of a chat's webhook is.
create view vis.destinations_v1 with (security_barrier = true) as
select org_id, kind, destination_id, lower(substring(address from '^[A-Za-z]+://(?:[^/?#@]*@)?([^/?#]+)')) as host,
       lower(address) like 'https://%' as is_encrypted, since, until
  from (
  select org_id, 'provider' as kind, id as destination_id, base_url as address, created_at as since, retired_at as until
    from vis_control.provider_credential
  union all
  select org_id, 'connector', id, base_url, made_at, null from vis_control.connector where enabled and base_url <> ''
  union all
  select org_id, 'alert webhook', id, target, created_at, retired_at from vis_control.alert_channel where kind = 'webhook'
  union all
  select org_id, 'sign-on', org_id, issuer, set_at, null from vis_control.sign_on
) d where org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- What is switched on: one row.
create view vis.switched_on_v1 with (security_barrier = true) as
select o.id as org_id,
       exists (select from vis_control.sign_on s where s.org_id = o.id) as has_sign_on,
       exists (select from vis_control.budget b where b.org_id = o.id and b.retired_at is null and b.soft <> '[]') as has_soft_cap,
       exists (select from vis_control.alert_channel c where c.org_id = o.id and c.retired_at is null) as has_channel
  from vis_control.organisation o where o.id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- What was decided, by the id or the version under which the audit log names it.
create view vis.decided_v1 with (security_barrier = true) as
select * from (
  select org_id, 'price_set' as kind, version::text as name, created_at as made_at from vis_control.price_override
  union all
  select org_id, 'map_applied', version::text, applied_at from vis_control.mapping_file
  union all
  select org_id, 'provider_added', id::text, created_at from vis_control.provider_credential
  union all
  select org_id, 'budget_set', id::text, created_at from vis_control.budget
  union all
  select org_id, 'hint_added', id::text, created_at from vis_control.model_hint
  union all
  select org_id, 'floor_lower_requested', id::text, requested_at from vis_control.floor_request
) d where org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

-- When the schema moved; it says nothing of any organisation.
create view vis.applied_migrations_v1 as
select app || '.' || name as migration, applied as applied_at from vis_control.django_migrations;

grant select on vis.access_keys_v1, vis.access_members_v1, vis.kept_secrets_v1, vis.destinations_v1, vis.switched_on_v1,
  vis.decided_v1, vis.applied_migrations_v1 to vis_reader, vis_auditor;
grant execute on function vis.rfc3339(timestamptz) to vis_reader, vis_auditor;

-- Triage is read off the inbox itself: when somebody saw to an alert and whether a delivery was given up, no words and no names.
do $$ declare t text; begin
  foreach t in array array['alerts','alert_deliveries'] loop
    execute format('create policy org_read on vis.%I for select to vis_reader using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor using (true)', t);
  end loop;
end $$;
grant select (org_id, alert_id, created_at, kind, acknowledged_at) on vis.alerts to vis_reader, vis_auditor;
grant select (org_id, alert_id, given_up_at) on vis.alert_deliveries to vis_reader, vis_auditor;
