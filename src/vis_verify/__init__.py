"""The auditor's tool: checks an evidence pack offline, with nothing but the standard library.

The room is empty on purpose until evidence packs exist (product promises S3 and S4). It stands beside
`visionality` and never imports it, so that what an auditor runs can be read whole and trusted apart from
the product that made the pack.
"""
