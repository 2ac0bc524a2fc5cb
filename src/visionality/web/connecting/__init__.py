"""Trackers and Git hosts that an organisation has connected, what was read from them, and their webhooks."""
