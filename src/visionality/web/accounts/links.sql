-- Links by which the local operator signs in. Run as vis_web.

-- name: forget
delete from vis_control.login_link where expires_at < %(before)s;

-- name: make
insert into vis_control.login_link (token_sha256, org_id, actor, expires_at)
values (%(digest)s, %(org_id)s, %(actor)s, %(expires_at)s);
