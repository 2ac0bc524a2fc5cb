"""The operator's pages of who may enter: members, the organisation's sign-on, service tokens."""
