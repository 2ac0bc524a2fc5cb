"""The promises by name, played by a person in a browser on the whole product."""

from browser import chromium, new_page  # noqa: F401 -- fixtures
