-- The dated identity table, for psycopg. Run as vis_jobs.

-- name: begin
-- By the database's clock, as vis.keys_v1 has it. The table's trigger moves the revisions of their organisations.
update vis_control.agent_identity_period set announced_at = now() where announced_at is null and valid_from <= now();
