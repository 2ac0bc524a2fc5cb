"""What an auditor checks without us: sealed logs, their heads and segments, and the keys that sign them."""
