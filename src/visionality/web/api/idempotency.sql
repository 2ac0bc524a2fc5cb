-- Writes that were done once, for psycopg. Run as vis_web under row security, in the transaction of the write.

-- name: sweep
delete from vis_control.idempotency_key where org_id = %(org_id)s and made_at < %(before)s;

-- name: claim
-- No row when the key is taken; waits for another write that is being done under it.
insert into vis_control.idempotency_key (id, org_id, token_id, key, request_sha256, made_at)
values (%(id)s, %(org_id)s, %(token_id)s, %(key)s, %(request_sha256)s, %(now)s)
on conflict (org_id, token_id, key) do nothing returning id;

-- name: taken
select id, request_sha256, answer, organisation_key_id from vis_control.idempotency_key
 where org_id = %(org_id)s and token_id = %(token_id)s and key = %(key)s;

-- name: answer
update vis_control.idempotency_key set answer = %(answer)s, organisation_key_id = %(organisation_key_id)s
 where org_id = %(org_id)s and id = %(id)s;
