-- What a gateway reads, for asyncpg. Run as vis_writer; only versioned views.

-- name: revisions
select org_id, revision from vis.org_revisions;

-- name: keys
select org_id, key_id, handle_hmac, expires_at, revoked_at, agent_sub, agent_owner, sso_sub, team_id, cost_center,
       project_id, gl_code, customer_id, task_id, task_class, memo, url, passthrough
  from vis.keys_v1 where org_id = $1;

-- name: providers
select provider, base_url, on_abort, credential_id, sealed, kek_id, generation, wrapped, options
  from vis.providers_v1 where org_id = $1;

-- name: prices
select version, provider, model, rates, effective_from, source from vis.prices_v1 where org_id = $1;
