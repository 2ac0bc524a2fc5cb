-- Which master key the installation's secrets are under, for psycopg as vis_web.

-- name: stored
select installation_id, master_fingerprint, wrapped_root from vis.installation;

-- name: store
insert into vis.installation (installation_id, master_fingerprint, wrapped_root)
values (%(id)s, %(fingerprint)s, %(wrapped_root)s);
