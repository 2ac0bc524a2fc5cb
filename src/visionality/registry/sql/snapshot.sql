-- What a gateway reads, for asyncpg. Run as vis_writer; only versioned views.

-- name: revisions
select org_id, revision from vis.org_revisions;

-- name: installation
select installation_id from vis.installation;

-- name: organisation
select time_zone, level_floor, epoch, denied_project from vis.orgs_v1 where org_id = $1;

-- name: gateways
-- How many gateways show a sign of life.
select count(*) from vis.writers
 where process = 'gateway' and fenced_at is null and heartbeat_at > now() - interval '30 seconds';

-- name: keys
select org_id, key_id, handle_hmac, expires_at, revoked_at, agent_sub, agent_owner, sso_sub, team_id, cost_center,
       project_id, gl_code, customer_id, task_id, task_class, memo, url, passthrough, business_unit,
       previous_hmac, previous_until, rotation, level, scopes, models, providers, networks, callers, service_id,
       org_epoch, person_epoch, person_epoch_now, projects
  from vis.keys_v1 where org_id = $1;

-- name: projects
select project_id, customer_id, gl_code, business_unit, passthrough, level_floor from vis.projects_v1 where org_id = $1;

-- name: customers
select customer_id from vis.customers_v1 where org_id = $1;

-- name: repos
select repo, name, project_id, customer_id, default_epic, branch_pattern from vis.repos_v1 where org_id = $1;

-- name: project_aliases
select alias, project_id from vis.project_aliases_v1 where org_id = $1;

-- name: task_class_rules
select task_class, client, tool, model, path, system_starts, headers
  from vis.task_class_rules_v1 where org_id = $1 order by number;

-- name: trackers
select org_id, revision from vis.trackers_v1;

-- name: issues
-- Those that count come last: keys of now, with an epic; of two trackers with one key always the same.
select key, epic_key, is_current from vis.issues_v1 where org_id = $1 order by is_current, epic_key is not null, epic_key;

-- name: binding_keys
select binding_key_id as key_id, sealed, kek_id, generation, wrapped, revoked_at, service_id, thumbprint, retires_at
  from vis.binding_keys_v1 where org_id = $1;

-- name: signing_keys
select signing_key_id as key_id, sealed, kek_id, generation, wrapped, revoked_at, public, active_from, active_until, verify_until
  from vis.signing_keys_v1 where org_id = $1 order by active_from;

-- name: revoked_tokens
-- Nobody asks after a token that has expired.
select jti from vis.revoked_tokens_v1 where org_id = $1 and until > now();

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
