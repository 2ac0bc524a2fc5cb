"""Trackers and Git hosts: what is asked of them, and what they say, in one form (promises A4, P1).

One file a service, with `fetch` (the calls) and `parse` (pure) apart. Nothing here knows of a database.
"""
