-- Which master key the installation's secrets are under, for psycopg as vis_web.

-- name: stored
select master_fingerprint from vis.installation;

-- name: store
insert into vis.installation (installation_id, master_fingerprint) values (%(id)s, %(fingerprint)s);
