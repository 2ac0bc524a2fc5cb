"""Organisations, the people in them, and how one signs in."""
