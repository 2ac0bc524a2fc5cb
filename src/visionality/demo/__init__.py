"""ArcTrade, the company of the first story, in an organisation of its own: what it decided, what it spent, what was merged.

`story`, `calendar`, `sums`, `calls` and `hosts` are pure and always say the same; `decided` and `load` put it into an installation.
"""
