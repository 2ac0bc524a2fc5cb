-- CC6.1, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- Every key, member and secret that was there at any moment of the period, as it stands by now, and what is switched on.
-- A key that ended with its person or its organisation ended at a moment that the log of keys has; here it is over.
select * from (
  select 'key' as kind, key_id::text as id, jsonb_build_object(
           'has_person', has_person, 'is_capped', is_capped, 'level', level, 'floor', floor, 'issued_at', vis.rfc3339(issued_at),
           'expires_at', vis.rfc3339(expires_at), 'lives_days', ceil(extract(epoch from expires_at - coalesce(rotated_at, issued_at)) / 86400)::int,
           'is_live', expires_at > %(at)s and (revoked_at is null or revoked_at > %(at)s)
                      and org_epoch >= org_epoch_now and person_epoch >= person_epoch_now,
           'last_call_at', vis.rfc3339(u.last_at)) as facts
    from vis.access_keys_v1 k
    left join (select key, max(last_at) as last_at from vis.spend_day
                where org_id = %(org_id)s and dim = 'key' and last_at < %(at)s group by key) u on u.key = k.key_id::text
   where k.org_id = %(org_id)s and issued_at < %(at)s and expires_at > %(start)s and (revoked_at is null or revoked_at > %(start)s)
  union all
  select 'member', member_id::text, jsonb_build_object(
           'is_operator', roles ? 'operator', 'has_second_factor', has_second_factor, 'has_subject', has_subject)
    from vis.access_members_v1 where org_id = %(org_id)s and joined_at < %(at)s and state = 'active'
  union all
  select kind, secret_id::text, jsonb_build_object(
           'made_at', vis.rfc3339(made_at), 'ends_at', vis.rfc3339(ends_at), 'is_sealed', is_sealed,
           'lives_days', ceil(extract(epoch from ends_at - made_at) / 86400)::int,
           'age_days', floor(extract(epoch from least(ends_at, revoked_at, %(at)s) - made_at) / 86400)::int)
    from vis.kept_secrets_v1
   where org_id = %(org_id)s and made_at < %(at)s and (ends_at is null or ends_at > %(start)s)
     and (revoked_at is null or revoked_at > %(start)s)
  union all
  select 'switched on', org_id::text, jsonb_build_object('has_sign_on', has_sign_on)
    from vis.switched_on_v1 where org_id = %(org_id)s) r
 order by kind collate "C", id collate "C";
