"""Every kind of event that the audit logs hold; docs/reference/audit.md says what each means."""

ADMIN_KINDS = (
    *("access_revoked", "agent_added", "alert_acknowledged", "alert_channel_added"),
    *("alert_channel_removed", "audit_exported", "budget_removed", "budget_set", "connector_added"),
    *("connector_removed", "connector_secret_set", "connector_sync_asked", "connector_webhook_set"),
    *(
        "correction_ordered",
        "customer_added",
        "demo_loaded",
        "evidence_pack_made",
        "evidence_pack_taken",
        "exceptions_exported",
        "figure_signed",
        "floor_lower_declined",
        "floor_lower_requested",
    ),
    *("floor_lowered", "floor_raised", "hint_added", "hint_removed", "identity_set"),
    *(
        "invitation_withdrawn",
        "keys_exported",
        "leavers_exported",
        "ledger_exported",
        "limit_removed",
        "limit_set",
        "map_applied",
        "markup_set",
    ),
    *("member_invited", "member_joined", "member_removed", "member_roles_set"),
    *(
        "member_session_ended",
        "member_sessions_ended",
        "offboarding_exported",
        "organisation_added",
        "organisation_set",
    ),
    *(
        "passthrough_closed",
        "passthrough_opened",
        "password_link_made",
        "people_exported",
        "person_added",
        "price_set",
    ),
    *("project_added", "project_set", "provider_added", "provider_removed", "sign_on_removed"),
    *("sign_on_set", "signed_in", "split_set", "team_added", "team_set"),
)
"""Of administrators."""
KEY_KINDS = (
    *("all_revoked", "binding_key_created", "binding_key_revoked", "binding_key_rotated"),
    *("evidence_key_revoked", "evidence_key_rotated"),
    *("exchange_refused", "exchanged", "issued", "mint_refused", "minted", "person_revoked"),
    *("revoked", "rotated", "service_registered", "service_token_issued", "service_token_revoked"),
    *("signing_key_made", "signing_key_revoked", "signing_key_rotated", "token_revoked"),
)
"""In the life of keys and tokens."""
