"""What `vis try` sets up for its own calls, which are nobody's work."""

PROJECT = "TRY"
AGENT = "first-call@localhost"
