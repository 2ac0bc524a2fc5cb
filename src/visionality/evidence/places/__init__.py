"""Where heads are kept outside the database: a directory, a bucket with Object Lock."""
