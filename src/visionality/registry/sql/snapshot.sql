-- What a gateway reads, for asyncpg. Run as vis_writer; only versioned views.

-- name: revisions
select org_id, revision from vis.org_revisions;

-- name: time_zone
-- An organisation that is gone has no budgets either.
select coalesce((select time_zone from vis.orgs_v1 where org_id = $1), 'UTC');

-- name: gateways
-- How many gateways show a sign of life.
select count(*) from vis.writers
 where process = 'gateway' and fenced_at is null and heartbeat_at > now() - interval '30 seconds';

-- name: keys
select org_id, key_id, handle_hmac, expires_at, revoked_at, agent_sub, agent_owner, sso_sub, team_id, cost_center,
       project_id, gl_code, customer_id, task_id, task_class, memo, url, passthrough, business_unit
  from vis.keys_v1 where org_id = $1;

-- name: providers
select provider, base_url, on_abort, credential_id, sealed, kek_id, generation, wrapped, options
  from vis.providers_v1 where org_id = $1;

-- name: prices
select version, provider, model, rates, effective_from, source from vis.prices_v1 where org_id = $1;

-- name: budgets
select budget_id, scope_kind, scope_value, period, cap_nusd, hard, soft, near_cap, ceiling_nusd, created_at
  from vis.budgets_v1 where org_id = $1 order by budget_id;

-- name: markups
select markup_id, scope_kind, scope_value, multiplier, effective_from
  from vis.markups_v1 where org_id = $1 order by effective_from, markup_id;

-- name: hints
select hint_id, agent_sub, project, task_class, model_from, prefer, created_at
  from vis.hints_v1 where org_id = $1 order by hint_id;

-- name: rate_limits
select limit_id, scope_kind, scope_value, requests_per_minute, tokens_per_minute, created_at
  from vis.rate_limits_v1 where org_id = $1 order by limit_id;
